"""The engine client: batches, bounds, and the true fate of requests without a reply."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast

import grpc
import pytest
from openvenue.engine.client import EngineClient
from openvenue.engine.errors import EngineBusy, EngineUnavailable, FateUnknown
from openvenue.engine.session import Session
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.settings import Settings

from tests.support.proxy import Proxy
from tests.support.venue import Venue
from tests.support.waiting import until

MakeClient = Callable[..., Awaitable[EngineClient]]


@pytest.fixture
def broken_venue(new_venue: Callable[..., Venue]) -> Venue:
    """Return a venue of the test's own: an engine and account 1 with cash, nothing else."""
    venue = new_venue()
    venue.start_engine()
    venue.define_instruments()
    venue.apply(pb.AdminRequest(open_account=pb.OpenAccount(account_id=1, name="one")))
    cash = pb.AdjustBalance(account_id=1, amount_micros=10**12)
    venue.apply(pb.AdminRequest(adjust_balance=cash))
    return venue


def new_order(client_order_id: str = "x", account_id: int = 1) -> pb.Request:
    order = pb.NewOrder(
        account_id=account_id,
        instrument_id=1,
        side=pb.SIDE_BUY,
        type=pb.ORDER_TYPE_LIMIT,
        # IOC, so that nothing rests and an account may send any number.
        time_in_force=pb.TIME_IN_FORCE_IOC,
        qty_lots=1,
        limit_price_ticks=1,
        client_order_id=client_order_id,
    )
    return pb.Request(new_order=order)


def get_account(account_id: int = 1) -> pb.Request:
    return pb.Request(get_account=pb.GetAccount(account_id=account_id))


async def connected(client: EngineClient, channels: int = 1) -> EngineClient:
    async with asyncio.timeout(20):
        while sum(session.connected for session in client._sessions) < channels:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return client


@pytest.fixture
async def make_client(
    broken_venue: Venue,
) -> AsyncIterator[MakeClient]:
    made: list[EngineClient] = []

    async def make(**changes: Any) -> EngineClient:
        settings = Settings(**{**broken_venue.settings.model_dump(), **changes})
        client = EngineClient(settings)
        made.append(client)
        await client.__aenter__()
        return await connected(client, settings.grpc_channels)

    yield make
    for client in made:
        await client.__aexit__()


async def test_everything_of_one_tick_is_one_message(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await make_client()
    sizes: list[int] = []
    request_type = pb.SessionRequest

    def counting(requests: list[pb.Request], shard_id: int) -> pb.SessionRequest:
        sizes.append(len(requests))
        return request_type(requests=requests, shard_id=shard_id)

    monkeypatch.setattr("openvenue.engine.session.pb.SessionRequest", counting)
    replies = await asyncio.gather(*(client.submit(get_account()) for _ in range(100)))
    assert sizes == [100]
    assert all(reply.account.account_id == 1 for reply in replies)


async def test_a_message_never_exceeds_the_engines_limit(make_client: MakeClient) -> None:
    client = await make_client(engine_in_flight_max=5000)
    replies = await asyncio.gather(*(client.submit(get_account()) for _ in range(3000)))
    assert len(replies) == 3000


async def test_requests_beyond_the_bound_are_refused_at_once(
    broken_venue: Venue, make_client: MakeClient
) -> None:
    client = await make_client(engine_in_flight_max=3)
    broken_venue.engine.pause()
    waiting = [client.submit(get_account()) for _ in range(3)]
    with pytest.raises(EngineBusy, match="3 requests are waiting"):
        client.submit(get_account())
    broken_venue.engine.resume()
    assert len(await asyncio.gather(*waiting)) == 3


async def test_a_reply_that_takes_too_long_leaves_the_fate_unknown(
    broken_venue: Venue, make_client: MakeClient
) -> None:
    client = await make_client(engine_reply_timeout_s=0.3)
    broken_venue.engine.pause()
    with pytest.raises(FateUnknown, match="no reply in"):
        await client.submit(new_order())
    assert client.in_flight == 0
    broken_venue.engine.resume()


async def test_a_killed_engine_leaves_the_fate_unknown_and_the_client_heals(
    broken_venue: Venue, make_client: MakeClient
) -> None:
    client = await make_client()
    broken_venue.engine.pause()
    lost = client.submit(new_order("lost"))
    await asyncio.sleep(0.05)  # until it has left, which cannot be observed
    broken_venue.engine.stop(signal.SIGKILL)
    with pytest.raises(FateUnknown):
        await lost
    with pytest.raises(EngineUnavailable):
        client.submit(new_order("not sent"))
    broken_venue.start_engine()
    await connected(client)
    resent = await client.submit(new_order("lost"))
    assert resent.order.client_order_id == "lost"


async def test_a_request_that_was_not_written_has_a_known_fate(
    broken_venue: Venue, make_client: MakeClient
) -> None:
    client = await make_client()
    waiting = client.submit(new_order())
    session: Any = client._sessions[0]
    session._disconnect("test")
    with pytest.raises(EngineUnavailable):
        await waiting


async def test_a_request_reported_as_never_sent_is_never_sent(
    broken_venue: Venue, make_client: MakeClient
) -> None:
    client = await make_client(engine_reply_timeout_s=0.5, engine_in_flight_max=65_536)
    broken_venue.engine.pause()
    # Far more than the connection's buffers hold, so that the last ones cannot leave.
    ids = [f"{number:0>128}" for number in range(60_000)]
    outcomes = await asyncio.gather(
        *(client.submit(new_order(client_order_id)) for client_order_id in ids),
        return_exceptions=True,
    )
    unsent = [
        client_order_id
        for client_order_id, outcome in zip(ids, outcomes, strict=True)
        if isinstance(outcome, EngineUnavailable)
    ]
    assert 0 < len(unsent) < len(ids)
    assert client.in_flight == client.unsent == 0

    broken_venue.engine.resume()
    await until_accepted(client, new_order("sent afterwards"))
    for client_order_id in unsent[:: len(unsent) // 100 + 1]:
        query = pb.GetOrder(account_id=1, client_order_id=client_order_id)
        reply = await client.submit(pb.Request(get_order=query))
        assert reply.not_sequenced.cause == pb.NotSequenced.CAUSE_NOT_FOUND


async def test_a_request_whose_caller_has_gone_is_not_sent(
    broken_venue: Venue, make_client: MakeClient
) -> None:
    client = await make_client()
    gone, waiting = client.submit(new_order("gone")), client.submit(get_account())
    gone.cancel()
    await waiting
    query = pb.GetOrder(account_id=1, client_order_id="gone")
    reply = await client.submit(pb.Request(get_order=query))
    assert reply.not_sequenced.cause == pb.NotSequenced.CAUSE_NOT_FOUND
    assert client.in_flight == 0


async def test_channels_are_added_and_given_up_while_requests_are_under_way(
    broken_venue: Venue, make_client: MakeClient
) -> None:
    client = await make_client()
    done = asyncio.Event()
    answered = 0

    async def keep_asking() -> None:
        nonlocal answered
        while not done.is_set():
            await client.submit(get_account())
            answered += 1

    asking = [asyncio.create_task(keep_asking()) for _ in range(20)]
    for channels in (4, 2, 3, 1):
        client.resize(channels)
        await connected(client, channels)
        before = answered
        while answered < before + 100:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        assert client.channels == channels
    done.set()
    await asyncio.gather(*asking)


async def test_several_channels_share_the_load(make_client: MakeClient) -> None:
    client = await make_client(grpc_channels=3)
    for _ in range(6):
        await client.submit(get_account())
    sessions: list[Any] = client._sessions
    assert [session._next_id for session in sessions] == [3, 3, 3]


async def test_a_full_channel_leaves_its_requests_to_the_others(
    broken_venue: Venue, make_client: MakeClient
) -> None:
    client = await make_client(grpc_channels=3, engine_in_flight_max=30)
    broken_venue.engine.pause()
    waiting = [client.submit(get_account()) for _ in range(30)]
    with pytest.raises(EngineBusy, match="30 requests are waiting"):
        client.submit(get_account())
    broken_venue.engine.resume()
    assert len(await asyncio.gather(*waiting)) == 30


class Heard:
    """A log that keeps why sessions were lost."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    def warning(self, _event: str, *, reason: str, **_: object) -> None:
        self.reasons.append(reason)


async def test_an_engine_of_another_shard_is_not_used(
    broken_venue: Venue, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = Heard()
    monkeypatch.setattr("openvenue.engine.session._log", heard)
    settings = Settings(**{**broken_venue.settings.model_dump(), "shard_id": 9})
    async with EngineClient(settings) as client:
        await until(lambda: len(heard.reasons) > 1)
        assert not client.connected
    assert all("the engine serves shard 0, not 9" in reason for reason in heard.reasons)


async def test_requests_are_unsent_until_the_event_loop_has_its_turn(
    make_client: MakeClient,
) -> None:
    client = await make_client()
    waiting = [client.submit(get_account()) for _ in range(3)]
    assert client.unsent == 3
    await asyncio.gather(*waiting)
    assert client.unsent == 0


async def test_unary_calls_answer_the_same(make_client: MakeClient) -> None:
    client = await make_client(engine_transport="unary")
    replies = await asyncio.gather(*(client.submit(get_account()) for _ in range(10)))
    assert {reply.account.account_id for reply in replies} == {1}


async def test_idle_connections_that_were_cut_heal_by_themselves(
    broken_venue: Venue, make_client: MakeClient
) -> None:
    with Proxy(port=broken_venue.engine_port) as proxy:
        client = await make_client(engine_target=f"127.0.0.1:{proxy.port}", grpc_channels=2)
        proxy.cut()
        await connected_again(client)
        assert (await client.submit(get_account())).account.account_id == 1


async def until_accepted(client: EngineClient, request: pb.Request) -> None:
    """Send an order until the engine reports that it has it."""
    async with asyncio.timeout(20):
        while True:
            try:
                reply = await client.submit(request)
            except (EngineUnavailable, FateUnknown):
                await asyncio.sleep(0.05)
                continue
            assert reply.HasField("order"), reply
            return


async def connected_again(client: EngineClient) -> None:
    async with asyncio.timeout(20):
        while client.connected:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    await connected(client, client.channels)


class BrokenCall:
    """A stream whose writes fail while its reads wait."""

    async def read(self) -> None:
        await asyncio.Event().wait()

    async def write(self, _message: pb.SessionRequest) -> None:
        raise RuntimeError("the write failed")


async def test_a_session_ends_when_its_writes_fail() -> None:
    """Otherwise it would take requests and send none."""
    async with grpc.aio.insecure_channel("127.0.0.1:1") as channel:
        session = Session(channel, shard_id=0, in_flight_max=8, reply_timeout_s=60, backoff_max_s=1)
        session.connected = True
        session.submit(pb.Request())
        with pytest.raises(RuntimeError, match="the write failed"):
            async with asyncio.timeout(5):
                await session._run(cast("Any", BrokenCall()))
        await session.close(drain_timeout_s=0)


async def test_calls_beside_the_sessions_fail_in_words_once_all_are_closed() -> None:
    client = EngineClient(Settings(engine_target="127.0.0.1:1"))
    for service in ("admin", "market_data", "trading"):
        with pytest.raises(EngineUnavailable, match="are closed"):
            getattr(client, service)
