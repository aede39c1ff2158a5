"""The client never doubles an order: a repeated request has the same client_order_id."""

import json
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from openvenue.replay import venue as venue_client
from openvenue.replay.venue import Credentials, Refused, Venue, VenueUnavailable

ORDER = {"id": "1", "qty": "1", "filled_qty": "0", "filled_avg_price": None, "status": "new"}

Answers = Callable[[], web.Response]


class Script:
    """A server that gives these answers in turn and remembers the requests.

    A real venue does not fail on demand in the ways that these tests need.
    """

    def __init__(self) -> None:
        self.answers: Iterator[web.Response | None] = iter(())
        self.bodies: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.told: list[str] = []

    async def handle(self, request: web.Request) -> web.Response:
        self.paths.append(request.raw_path)
        body = await request.read()
        self.bodies.append(json.loads(body) if body else {})
        answer = next(self.answers)
        if answer is None:
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        return answer


@pytest.fixture
async def script() -> Script:
    return Script()


@pytest.fixture
async def client(script: Script) -> AsyncIterator[Venue]:
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", script.handle)
    async with (
        TestServer(application) as server,
        Venue(
            str(server.make_url("")), [Credentials("id", "secret")], 4, script.told.append
        ) as venue,
    ):
        yield venue


def away() -> web.Response:
    return web.json_response({"message": "try again"}, status=503, headers={"Retry-After": "0"})


async def enter(venue: Venue) -> str:
    return (await venue.place(0, "mine-1", "AAPL", "buy", "1", "10.00", "gtc")).id


def ingress_without_a_pod() -> web.Response:
    return web.Response(text="Bad Gateway", status=502)


@pytest.mark.parametrize(
    "failure",
    [away(), ingress_without_a_pod(), None],
    ids=["a 503", "a 502", "a lost connection"],
)
async def test_an_order_of_unknown_fate_is_sent_again_under_the_same_id(
    client: Venue, script: Script, failure: web.Response | None
) -> None:
    script.answers = iter([failure, web.json_response(ORDER)])
    assert await enter(client) == "1"
    assert [body["client_order_id"] for body in script.bodies] == ["mine-1", "mine-1"]
    assert script.bodies[0] == script.bodies[1]
    assert client.retries == 1


async def test_a_refusal_is_not_sent_again(client: Venue, script: Script) -> None:
    script.answers = iter([web.json_response({"message": "insufficient cash"}, status=403)])
    with pytest.raises(Refused, match="insufficient cash"):
        await enter(client)
    assert len(script.bodies) == 1


async def test_a_cancel_whose_first_answer_was_lost_counts_as_done(
    client: Venue, script: Script
) -> None:
    gone = web.json_response({"message": "order is not open"}, status=422)
    script.answers = iter([None, gone, web.json_response({**ORDER, "status": "canceled"})])
    await client.cancel(0, "1")


async def test_a_cancel_that_comes_after_a_fill_is_a_refusal(client: Venue, script: Script) -> None:
    refused = web.json_response({"message": "order is not open"}, status=422)
    script.answers = iter([refused, web.json_response({**ORDER, "status": "filled"})])
    with pytest.raises(Refused):
        await client.cancel(0, "1")


@pytest.mark.parametrize(
    "url", ["localhost:8000", "http://", "ftp://127.0.0.1", "http://127.0.0.1:99999", "venue"]
)
async def test_an_invalid_address_is_refused_at_once(url: str) -> None:
    async with Venue(url, [Credentials("id", "secret")], 4) as client:
        with pytest.raises(VenueUnavailable, match="is no address of a venue"):
            await enter(client)
        assert client.retries == 0


async def test_a_long_wait_is_told_once(
    client: Venue, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(venue_client, "_NOTICE_AFTER_S", 0.0)
    script.answers = iter([away(), away(), web.json_response(ORDER)])
    await enter(client)
    (sentence,) = script.told
    assert "waiting for http://127.0.0.1" in sentence
    assert "503: try again" in sentence


async def test_a_short_wait_is_not_worth_a_word(client: Venue, script: Script) -> None:
    script.answers = iter([away(), web.json_response(ORDER)])
    await enter(client)
    assert script.told == []


async def test_an_answer_that_is_not_of_a_venue_is_named_as_such(
    client: Venue, script: Script
) -> None:
    script.answers = iter([web.Response(text="up 1")])
    with pytest.raises(VenueUnavailable, match="does not answer as a venue does"):
        await client.asset("AAPL")


@pytest.mark.parametrize(
    ("symbol", "path"),
    [
        ("BTC/USD", "/v2/assets/BTC%2FUSD"),
        ("../../metrics", "/v2/assets/..%2F..%2Fmetrics"),
        ("A?b#c", "/v2/assets/A%3Fb%23c"),
    ],
)
async def test_a_symbol_stays_within_its_part_of_the_path(
    client: Venue, script: Script, symbol: str, path: str
) -> None:
    script.answers = iter([web.json_response({"symbol": symbol, "status": "active"})])
    await client.asset(symbol)
    assert script.paths == [path]
