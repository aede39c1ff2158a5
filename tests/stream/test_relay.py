"""The API passes WebSockets on to the streams, where it is told to, and stays itself."""

import signal
import socket
from collections.abc import Callable
from typing import Any

import psutil
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.stream.conftest import Client, order
from tests.support.venue import Venue, key_headers
from tests.support.waiting import wait_for

CONNECTIONS_MAX = 4


@pytest.fixture
def relaying(new_venue: Callable[..., Venue]) -> Callable[..., Venue]:
    def start(**settings: str) -> Venue:
        venue = new_venue()
        venue.start_engine()
        venue.define_instruments()
        venue.start_projector()
        venue.start_stream()
        venue.start_api(websocket_target=f"127.0.0.1:{venue.stream_port}", **settings)
        return venue

    return start


def at_the_api(venue: Venue, path: str = "/stream") -> Any:
    return connect(f"ws://127.0.0.1:{venue.api_port}{path}")


@pytest.mark.parametrize("path", ["/stream", "/stream/"])
async def test_a_client_of_one_url_hears_of_its_orders(
    relaying: Callable[..., Venue], path: str
) -> None:
    venue = relaying()
    alice = venue.open_account()
    async with at_the_api(venue, path) as connection:
        stream = Client(connection)
        await stream.listen(alice)
        entered = [order(venue, alice)["id"] for _ in range(3)]
        updates = await stream.updates(3)
    assert [update["order"]["id"] for update in updates] == entered


async def test_other_paths_and_streams_that_are_away_are_said(
    relaying: Callable[..., Venue],
) -> None:
    venue = relaying()
    with pytest.raises(InvalidStatus) as absent:
        await at_the_api(venue, "/v2/orders")
    assert absent.value.response.status_code == 404
    venue.stream.stop()
    with pytest.raises(InvalidStatus) as away:
        await at_the_api(venue)
    assert away.value.response.status_code == 503
    assert away.value.response.headers["Retry-After"]


async def test_relays_are_bounded_and_take_no_place_of_requests(
    relaying: Callable[..., Venue],
) -> None:
    venue = relaying(workers="1", connections_max=str(CONNECTIONS_MAX))
    alice = venue.open_account()
    opened = [await at_the_api(venue) for _ in range(CONNECTIONS_MAX)]
    with pytest.raises(InvalidStatus) as full:
        await at_the_api(venue)
    assert full.value.response.status_code == 503
    assert order(venue, alice)["status"] == "new"
    for connection in opened:
        await connection.close()
    async with at_the_api(venue) as connection:
        await Client(connection).listen(alice)


async def test_a_relay_ends_with_either_end(relaying: Callable[..., Venue]) -> None:
    venue = relaying(workers="1")
    alice = venue.open_account()
    async with at_the_api(venue) as connection:
        await Client(connection).listen(alice)
        venue.stream.stop(signal.SIGKILL)
        with pytest.raises(ConnectionClosed):
            await connection.recv()
    venue.start_stream()
    (worker,) = venue.worker_pids()
    before = _sockets(worker)
    with socket.create_connection(("127.0.0.1", venue.api_port), timeout=10) as client:
        client.sendall(HANDSHAKE % b"/stream")
        assert client.recv(4096).startswith(b"HTTP/1.1 101 ")
        assert _sockets(worker) == before + 2
    wait_for(lambda: _sockets(worker) == before)


async def test_a_stopping_api_does_not_wait_for_its_relays(
    relaying: Callable[..., Venue],
) -> None:
    venue = relaying(drain_timeout_s="300")
    alice = venue.open_account()
    async with at_the_api(venue) as connection:
        await Client(connection).listen(alice)
        assert venue.api.stop() == 0
        with pytest.raises(ConnectionClosed):
            await connection.recv()


def test_a_request_before_the_handshake_is_answered_first(
    relaying: Callable[..., Venue],
) -> None:
    venue = relaying()
    alice = venue.open_account()
    headers = "".join(f"{name}: {value}\r\n" for name, value in key_headers(alice).items())
    request = f"GET /v2/account HTTP/1.1\r\nHost: venue\r\n{headers}\r\n".encode()
    with socket.create_connection(("127.0.0.1", venue.api_port), timeout=10) as connection:
        connection.sendall(request + HANDSHAKE % b"/stream")
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200 ")


HANDSHAKE = (
    b"GET %s HTTP/1.1\r\nHost: venue\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def _sockets(pid: int) -> int:
    return len(psutil.Process(pid).net_connections())
