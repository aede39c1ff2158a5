"""Market data streams: trades, quotes, books, codecs, errors, and what a client missed."""

import contextlib
import json
import zlib
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgpack
import pytest
from openvenue.security.keys import NewKey
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.stream.conftest import Client, client, order
from tests.support import http, metrics
from tests.support.ports import free_port
from tests.support.venue import Venue
from tests.support.waiting import until

BID = {"symbol": "AAPL", "side": "buy", "type": "limit", "time_in_force": "gtc", "qty": "1"}
SHARES, PAIRS = "/v2/iex", "/v1beta3/crypto/us"


def stream_metric(port: str, name: str, **labels: str) -> float:
    text = http.get(f"http://127.0.0.1:{port}/metrics", timeout=20).text
    return metrics.total(text, f"openvenue_stream_{name}", **labels)


async def hear(stream: Client, count: int) -> list[dict[str, Any]]:
    """Return at least `count` messages, of as many frames as they come in."""
    messages: list[dict[str, Any]] = []
    while len(messages) < count:
        messages += await stream.hear()
    return messages


async def test_a_trade_changes_quote_and_book(shared: Venue, trader: NewKey) -> None:
    async with client(shared, SHARES) as stream:
        confirmation = await stream.subscribe(
            trader, trades=["AAPL"], quotes=["*"], orderbooks=["AAPL"]
        )
        assert (confirmation["T"], confirmation["trades"]) == ("subscription", ["AAPL"])
        assert confirmation["corrections"] == ["AAPL"]
        (book,) = await stream.hear()
        assert (book["T"], book["r"], book["b"], book["a"]) == ("o", True, [], [])
        order(shared, trader, qty="10", limit_price="100.5")
        quote, delta = await hear(stream, 2)
        assert (quote["T"], quote["bp"], quote["bs"], quote["ap"]) == ("q", 100.5, 10, 0)
        assert (delta["b"], delta["a"], "r" in delta) == ([{"p": 100.5, "s": 10}], [], False)
        assert delta["prev_seq"] == book["seq"]
        order(shared, trader, side="sell", qty="10", limit_price="100")
        trade, quote, delta = await hear(stream, 3)
        assert (trade["T"], trade["S"], trade["p"], trade["s"]) == ("t", "AAPL", 100.5, 10)
        assert (quote["bp"], quote["bs"]) == (0, 0)
        assert delta["b"] == [{"p": 100.5, "s": 0}]


async def test_a_client_gets_the_trades_that_it_missed(shared: Venue, trader: NewKey) -> None:
    pair = {"symbol": "BTC/USD", "qty": "1", "limit_price": "60000"}

    def trade() -> None:
        order(shared, trader, **pair)
        order(shared, trader, **pair, side="sell")

    async with client(shared, PAIRS) as stream:
        await stream.subscribe(trader, trades=["*"])
        trade()
        (first,) = await hear(stream, 1)
        assert first["tks"] == "S"
    trade()
    trade()
    async with client(shared, PAIRS) as stream:
        await stream.subscribe(trader, resume=first["seq"], trades=["BTC/USD"])
        trade()
        missed = await hear(stream, 3)
    assert [message["prev_seq"] for message in missed] == [
        first["seq"],
        *(message["seq"] for message in missed[:-1]),
    ]


async def test_messages_are_messagepack_for_those_who_ask(shared: Venue, trader: NewKey) -> None:
    headers = {"Content-Type": "application/msgpack"}
    async with connect(shared.stream_url + SHARES, additional_headers=headers) as connection:

        async def said() -> Any:
            return msgpack.unpackb(await connection.recv())

        assert await said() == [{"T": "success", "msg": "connected"}]
        command = {"action": "auth", "key": trader.key_id, "secret": trader.secret}
        await connection.send(msgpack.packb(command))
        assert (await said())[0]["msg"] == "authenticated"
        command = msgpack.packb({"action": "subscribe", "trades": ["AAPL"]})
        await connection.send([command[:9], command[9:]])
        assert (await said())[0]["trades"] == ["AAPL"]
        order(shared, trader)
        entered = order(shared, trader, side="sell")
        (trade,) = await said()
        made = trade["t"].to_datetime().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        assert made == entered["filled_at"]


@pytest.mark.parametrize(
    ("path", "command", "code"),
    [
        (SHARES, {"action": "subscribe", "trades": ["AAPL"]}, 401),
        (SHARES, {"action": "auth", "key": "PKNONE", "secret": "wrong"}, 402),
        (SHARES, {"action": 5}, 400),
    ],
)
async def test_errors_before_authentication(
    shared: Venue, path: str, command: dict[str, Any], code: int
) -> None:
    async with client(shared, path) as stream:
        await stream.hear()
        await stream.say(**command)
        (error,) = await stream.hear()
    assert (error["T"], error["code"]) == ("error", code)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ({"action": "auth", "key": "PK", "secret": "x"}, 403),
        ({"action": "subscribe", "lulds": ["BTC/USD"]}, 410),
        ({"action": "subscribe", "trades": [f"S{number}" for number in range(1001)]}, 405),
        ({"action": "subscribe", "trades": "AAPL"}, 400),
        ({"action": "publish"}, 400),
    ],
)
async def test_errors_after_authentication(
    shared: Venue, trader: NewKey, command: dict[str, Any], code: int
) -> None:
    async with client(shared, PAIRS) as stream:
        await stream.subscribe(trader, trades=["BTC/USD"])
        await stream.say(**command)
        (error,) = await stream.hear()
    assert (error["T"], error["code"]) == ("error", code)


async def test_a_key_has_so_many_connections(streaming: Venue, alice: NewKey) -> None:
    streaming.stream.stop()
    streaming.start_stream(connections_per_key_max="1", authentication_timeout_s="1")
    async with client(streaming, SHARES) as first:
        await first.subscribe(alice, trades=["AAPL"])
        async with client(streaming, SHARES) as second:
            await second.hear()
            await second.say(action="auth", key=alice.key_id, secret=alice.secret)
            assert (await second.hear())[0]["code"] == 406
        async with client(streaming, SHARES) as silent:
            await silent.hear()
            assert (await silent.hear())[0]["code"] == 404


async def test_a_client_that_reads_late_gets_the_newest_quote_and_the_whole_book(
    streaming: Venue, alice: NewKey
) -> None:
    port = str(free_port())
    streaming.stream.stop()
    streaming.start_stream(conflate_bytes="1024", http_port=port)
    async with client(streaming, SHARES) as late:
        await late.subscribe(alice, quotes=["AAPL"], orderbooks=["AAPL"])
        late.connection.transport.pause_reading()
        cents = 0
        with streaming.client(alice) as trading:
            while not stream_metric(port, "conflated_total"):
                steps = range(cents + 1, cents + 201)
                cents += 200
                orders = [{**BID, "limit_price": f"{step / 100:.2f}"} for step in steps]
                entered = trading.post("/v2/orders:batch", json={"orders": orders})
                assert {result["status"] for result in entered.json()} == {200}
        price = cents / 100
        late.connection.transport.resume_reading()
        quote: dict[str, Any] = {}
        book: dict[str, Any] = {}
        messages: list[dict[str, Any]] = []
        while quote.get("bp") != price or not book.get("r"):
            messages += await late.hear()
            quote = next((each for each in reversed(messages) if each["T"] == "q"), quote)
            book = next((each for each in reversed(messages) if each["T"] == "o"), book)
    assert [level["p"] for level in book["b"]] == [step / 100 for step in range(cents, 0, -1)]
    quotes = [each["seq"] for each in messages if each["T"] == "q"]
    assert quotes == sorted(set(quotes))
    assert len(quotes) < cents


async def test_a_client_that_does_not_read_is_closed_and_others_go_on(
    streaming: Venue, alice: NewKey
) -> None:
    streaming.stream.stop()
    port = str(free_port())
    streaming.start_stream(conflate_bytes="1024", unsent_bytes_max="4096", http_port=port)
    entered = 0
    async with client(streaming) as slow, client(streaming) as reader:
        await slow.listen(alice)
        await reader.listen(alice)
        slow.connection.transport.pause_reading()
        with streaming.client(alice) as trading:
            # Until the kernel's buffers between the two processes are full as well.
            while not stream_metric(port, "closed_total", reason="slow"):
                for _ in range(100):
                    trading.post("/v2/orders", json={**IOC, "client_order_id": f"{entered:0128}"})
                    entered += 1
                for _ in range(200):
                    await reader.hear()
        slow.connection.transport.resume_reading()
        heard = 0
        with pytest.raises(ConnectionClosed) as closed:  # noqa: PT012
            while True:
                await slow.hear()
                heard += 1
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, "slow client")
    assert heard < 2 * entered


IOC = {
    "symbol": "AAPL",
    "side": "buy",
    "type": "limit",
    "time_in_force": "ioc",
    "qty": "1",
    "limit_price": "1",
}


async def test_a_copy_of_the_book_has_the_checksum_of_each_change(
    shared: Venue, trader: NewKey
) -> None:
    def checksum() -> int:
        best = [*sorted(copy["a"].items())[:10], *sorted(copy["b"].items(), reverse=True)[:10]]
        levels = (f"{price:f}:{size:f}" for price, size in best)
        return zlib.crc32(":".join(levels).encode())

    copy: dict[str, dict[Decimal, Decimal]] = {"a": {}, "b": {}}
    pair = {"symbol": "BTC/USD"}
    async with client(shared, PAIRS) as stream:
        await stream.subscribe(trader, orderbooks=["BTC/USD"])
        for each in range(12):
            qty = f"{each + 1}.05"
            order(shared, trader, **pair, qty=qty, limit_price=f"{60000 - each}.5")
            order(shared, trader, **pair, side="sell", qty=qty, limit_price=f"{60001 + each}")
        order(shared, trader, **pair, side="sell", qty="5", limit_price="59990")
        received = 0
        while received < 26:  # The whole book, and the change of each order.
            message = await stream.connection.recv()
            for change in json.loads(message, parse_float=Decimal, parse_int=Decimal):
                received += 1
                for side in ("a", "b"):
                    copy[side].update((level["p"], level["s"]) for level in change[side])
                    copy[side] = {price: size for price, size in copy[side].items() if size}
                assert change["crc32"] == checksum()
    assert len(copy["a"]) == 12


async def test_a_day_is_whole_after_a_start_in_its_middle(streaming: Venue, alice: NewKey) -> None:
    def trade(price: str, qty: str) -> None:
        order(streaming, alice, qty=qty, limit_price=price)
        order(streaming, alice, side="sell", qty=qty, limit_price=price)

    for price, qty in (("101", "1"), ("104.5", "2"), ("99", "3")):
        trade(price, qty)
    with streaming.client(alice) as api:
        streaming.wait_until_projected(api)
        day = f"/v2/stocks/AAPL/bars?timeframe=1Day&start={datetime.now(UTC).date()}"
        await until(lambda: api.get(day).json()["bars"][-1]["n"] == 3)
    streaming.stream.stop()
    # Some trades before the window, some in it.
    streaming.start_stream(window_entries="3", bar_grace_s="0")
    async with client(streaming, SHARES) as stream:
        await stream.subscribe(alice, dailyBars=["AAPL"])
        trade("100", "4")
        bar = {"n": 0}
        while bar["n"] < 4:  # Until the minute is over.
            with contextlib.suppress(TimeoutError):
                (bar,) = await stream.hear()
    shown = tuple(bar[name] for name in ("o", "h", "l", "c", "v", "n", "vw"))
    assert shown == (101, 104.5, 99, 100, 10, 4, 100.7)
