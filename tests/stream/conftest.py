"""A venue with a stream process, and a client that shows the bytes' meaning."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
from openvenue.security.keys import NewKey
from websockets.asyncio.client import ClientConnection, connect

from tests.support.venue import Bearer, Venue

WITHIN_S = 30.0


class Client:
    """A raw client of a stream."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def say(self, **command: Any) -> None:
        await self.connection.send(json.dumps(command))

    async def hear(self) -> Any:
        """Return the next message."""
        async with asyncio.timeout(WITHIN_S):
            return json.loads(await self.connection.recv())

    async def updates(self, count: int) -> list[dict[str, Any]]:
        """Return the data of the next order updates."""
        return [(await self.hear())["data"] for _ in range(count)]

    async def listen(self, key: NewKey, **further: Any) -> None:
        """Authenticate, and listen to the account's updates."""
        data = {"key_id": key.key_id, "secret_key": key.secret, **further}
        await self.say(action="authenticate", data=data)
        assert (await self.hear())["data"]["status"] == "authorized"
        await self.say(action="listen", data={"streams": ["trade_updates"]})
        assert (await self.hear())["data"]["streams"] == ["trade_updates"]

    async def subscribe(self, key: NewKey, resume: int | None = None, **channels: Any) -> Any:
        """Authenticate at a market data stream and subscribe; return the confirmation."""
        assert await self.hear() == [{"T": "success", "msg": "connected"}]
        await self.say(action="auth", key=key.key_id, secret=key.secret, resume=resume)
        assert await self.hear() == [{"T": "success", "msg": "authenticated"}]
        await self.say(action="subscribe", **channels)
        (confirmation,) = await self.hear()
        return confirmation


@asynccontextmanager
async def client(venue: Venue, path: str = "/stream", **options: Any) -> AsyncIterator[Client]:
    async with connect(venue.stream_url + path, **options) as connection:
        yield Client(connection)


@pytest.fixture
def streaming(new_venue: Callable[..., Venue]) -> Venue:
    """Return a venue of the test's own with a stream process."""
    venue = new_venue().start()
    venue.start_stream()
    return venue


@pytest.fixture
def shared(venue_with: Callable[..., Venue]) -> Venue:
    """Return a venue with a stream process that a module's tests share; no order rests in it."""
    venue = venue_with()
    if "stream" not in venue.processes:
        venue.start_stream()
    return venue


@pytest.fixture
def trader(shared: Venue) -> Iterator[NewKey]:
    with _trading(shared) as key:
        yield key


@pytest.fixture
def other_trader(shared: Venue) -> Iterator[NewKey]:
    with _trading(shared) as key:
        yield key


@contextmanager
def _trading(venue: Venue) -> Iterator[NewKey]:
    """Yield a key to an account of its own, and cancel what is left of its orders."""
    key = venue.open_account(may_sell_short=True)
    yield key
    with venue.client(key) as http:
        http.delete("/v2/orders")


@pytest.fixture
def alice(streaming: Venue) -> NewKey:
    return streaming.open_account(may_sell_short=True)


@pytest.fixture
def bob(streaming: Venue) -> NewKey:
    return streaming.open_account(may_sell_short=True)


def order(venue: Venue, key: NewKey | Bearer, **terms: Any) -> dict[str, Any]:
    """Enter an order; return its document."""
    body = {
        "symbol": "AAPL",
        "side": "buy",
        "type": "limit",
        "time_in_force": "gtc",
        "qty": "10",
        "limit_price": "100",
        **terms,
    }
    with venue.client(key) as http:
        response = http.post("/v2/orders", json=body)
    assert response.status_code == 200, response.text
    document: dict[str, Any] = response.json()
    return document
