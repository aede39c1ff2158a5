"""A client can make a worker hold or wait only within bounds, and refusals name the bound."""

import contextlib
import itertools
import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import psutil
import pytest
from openvenue.security.keys import NewKey

from tests.api.orders import limit_order
from tests.support import http
from tests.support.venue import Venue, key_headers, log_lines
from tests.support.waiting import wait_for

CONNECTIONS_MAX = 8
READ_TIMEOUT_S = 0.5
ACCOUNTS = itertools.count(60)


@pytest.fixture(scope="module")
def bounded(
    tmp_path_factory: pytest.TempPathFactory, new_migrated_database: Callable[[], str]
) -> Iterator[Venue]:
    """Yield a venue with one worker and narrow bounds."""
    venue = Venue(tmp_path_factory.mktemp("bounded"), new_migrated_database())
    try:
        yield venue.start(
            connections_max=str(CONNECTIONS_MAX),
            request_read_timeout_s=str(READ_TIMEOUT_S),
            response_write_timeout_s="1",
            request_head_bytes_max="2048",
        )
    finally:
        venue.stop()


@pytest.fixture
def connect(bounded: Venue) -> Iterator[Callable[[], socket.socket]]:
    opened: list[socket.socket] = []

    def make() -> socket.socket:
        opened.append(socket.create_connection(("127.0.0.1", bounded.api_port), timeout=10))
        return opened[-1]

    yield make
    for connection in opened:
        connection.close()
    wait_for(lambda: connections_of(bounded) == 0)


def connections_of(venue: Venue) -> int:
    """Return how many connections the venue's worker has, those that only it has to close too."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    local, state = f":{venue.api_port:04X}", ("01", "08")  # established, waiting to be closed
    return sum(line.split()[1].endswith(local) and line.split()[3] in state for line in lines)


def refused(venue: Venue, cause: str) -> float:
    return venue.metric("connections_refused_total", cause=cause)


def order_request(
    key: NewKey,
    client_order_id: str,
    *,
    bytes_missing: int = 0,
    chunked: bool = False,
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """Return an order's bytes on a connection, without the last bytes that it announces."""
    body = json.dumps(limit_order(client_order_id=client_order_id)).encode()
    length = {"content-length": str(len(body) + bytes_missing)}
    if chunked:
        length = {"transfer-encoding": "chunked"}
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    lines = "".join(
        f"{name}: {value}\r\n"
        for name, value in {**key_headers(key), **length, **(headers or {})}.items()
    )
    return f"POST /v2/orders HTTP/1.1\r\nhost: venue\r\n{lines}\r\n".encode() + body


def answer(connection: socket.socket) -> tuple[str, dict[str, object]]:
    """Read until the server closes; return the status line and the problem."""
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    return head.split(b"\r\n")[0].decode(), json.loads(body)


def read_answer(stream: BinaryIO) -> tuple[int, dict[str, object]]:
    """Read one of several answers on a connection; return its status and document."""
    status = int(stream.readline().split()[1])
    length = 0
    while (line := stream.readline()) != b"\r\n":
        name, _, value = line.partition(b":")
        length = int(value) if name == b"content-length" else length
    return status, json.loads(stream.read(length))


def test_a_head_that_does_not_end_is_refused(connect: Callable[[], socket.socket]) -> None:
    connection = connect()
    connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: venue\r\n")
    connection.sendall(b"x-more: " + b"y" * 4096)
    status, problem = answer(connection)
    assert status == "HTTP/1.1 431 Request Header Fields Too Large"
    assert problem["code"] == 43110000


@pytest.mark.parametrize(
    "start",
    [
        b"\r\n",
        b"GET /healthz HTTP/1.1\r\n",
        b"POST /v2/orders HTTP/1.1\r\nhost: venue\r\ncontent-length: 99\r\n\r\n{",
    ],
)
def test_a_request_that_does_not_come_in_time_is_refused(
    connect: Callable[[], socket.socket], start: bytes
) -> None:
    connection = connect()
    connection.sendall(start)
    status, problem = answer(connection)
    if b"POST" in start:
        # A missing key is answered before the body arrives.
        assert status == "HTTP/1.1 401 Unauthorized"
    else:
        assert status == "HTTP/1.1 408 Request Timeout"
        assert problem["code"] == 40810000


def test_an_order_whose_body_stays_away_is_refused_and_not_carried_out(
    bounded: Venue, connect: Callable[[], socket.socket]
) -> None:
    key = bounded.open_account(41)
    connection = connect()
    connection.sendall(order_request(key, "cut-off", bytes_missing=1))
    status, _ = answer(connection)
    assert status == "HTTP/1.1 408 Request Timeout"
    with bounded.client(key) as client:
        found = client.get("/v2/orders:by_client_order_id", params={"client_order_id": "cut-off"})
    assert found.status_code == 404


@pytest.mark.parametrize(
    ("refused", "more", "status"),
    [
        (
            b"POST /v2/orders HTTP/1.1\r\nhost: v\r\ntransfer-encoding: chunked\r\n\r\nZZZ\r\n",
            b"more that nobody reads",
            400,
        ),
        (b"HELO venue\r\n\r\n", b"", 400),
        (b"\x00\x01", b"\x00", 400),
        (b"GET /healthz HTTP/1.1\r\nx-more: ", 4096 * b"y", 431),
        (b"GET /healthz HTTP/1.1\r\n", b"", 408),
    ],
)
@pytest.mark.parametrize("orders", [1, 3])
def test_the_answers_to_orders_come_before_the_refusal_of_what_follows_them(
    bounded: Venue,
    connect: Callable[[], socket.socket],
    refused: bytes,
    more: bytes,
    status: int,
    orders: int,
) -> None:
    key = bounded.open_account(next(ACCOUNTS))
    connection = connect()
    ids = [f"before {number}" for number in range(orders)]
    # The orders wait for their answers while the next request is refused.
    bounded.engine.pause()
    try:
        connection.sendall(b"".join(order_request(key, name) for name in ids) + refused)
        time.sleep(0.1)
        connection.sendall(more)
        time.sleep(READ_TIMEOUT_S + 0.3 if status == 408 else 0.1)
    finally:
        bounded.engine.resume()
    with connection.makefile("rb") as stream:
        *answered, last = (read_answer(stream) for _ in range(orders + 1))
        assert stream.read() == b""
    assert [(code, order["client_order_id"]) for code, order in answered] == [
        (200, name) for name in ids
    ]
    assert (last[0], last[1]["status"]) == (status, status)


def test_a_request_behind_a_refused_one_is_not_carried_out(
    bounded: Venue, connect: Callable[[], socket.socket]
) -> None:
    key = bounded.open_account(next(ACCOUNTS))
    connection = connect()
    refused = b"GET / HTTP/1.1\r\nhost: v\r\ntransfer-encoding: chunked\r\n\r\nZZZ\r\n"
    connection.sendall(order_request(key, "before") + refused + order_request(key, "behind"))
    with connection.makefile("rb") as stream:
        assert [read_answer(stream)[0] for _ in range(2)] == [200, 400]
        assert stream.read() == b""
    with bounded.client(key) as client:
        assert [order["client_order_id"] for order in client.get("/v2/orders").json()] == ["before"]


def test_a_client_that_does_not_read_is_cut(
    bounded: Venue, connect: Callable[[], socket.socket]
) -> None:
    connection = connect()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    with pytest.raises(ConnectionError):
        _ask_without_reading(connection)
    wait_for(lambda: refused(bounded, "unread") == 1)


def _ask_without_reading(connection: socket.socket) -> None:
    for _ in range(1000):
        connection.sendall(100 * b"GET /openapi.json HTTP/1.1\r\nhost: venue\r\n\r\n")
        time.sleep(0.01)


def test_connections_beyond_the_limit_are_told_to_come_back_and_then_cut(
    bounded: Venue, connect: Callable[[], socket.socket]
) -> None:
    key = bounded.open_account(next(ACCOUNTS))
    served = [connect() for _ in range(CONNECTIONS_MAX)]
    for connection in served:
        connection.sendall(clock_request(key))
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
    for _ in range(CONNECTIONS_MAX):
        told = connect()
        told.sendall(HEALTH)
        received = told.recv(4096).lower()
        assert received.startswith(b"http/1.1 503")
        assert b"retry-after: 1" in received
        assert b"connection: close" in received
    for _ in range(CONNECTIONS_MAX):
        connect()
    cut = connect()
    assert _sent_in_vain(cut, HEALTH)
    # The served connections still work.
    served[0].sendall(HEALTH)
    assert served[0].recv(4096).startswith(b"HTTP/1.1 200")
    wait_for(lambda: refused(bounded, "told") > 0)


HEALTH = b"GET /healthz HTTP/1.1\r\nhost: venue\r\n\r\n"


def clock_request(key: NewKey) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in key_headers(key).items())
    return f"GET /v2/clock HTTP/1.1\r\nhost: venue\r\n{lines}\r\n".encode()


def test_connections_without_a_key_make_room_for_others_the_silent_ones_first(
    bounded: Venue, connect: Callable[[], socket.socket]
) -> None:
    key = bounded.open_account(next(ACCOUNTS))
    keyed = connect()
    keyed.sendall(clock_request(key))
    assert keyed.recv(4096).startswith(b"HTTP/1.1 200")
    silent = [connect() for _ in range(CONNECTIONS_MAX - 1)]
    for connection in silent:
        connection.sendall(HEALTH)
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
    for _ in range(10 * CONNECTIONS_MAX):
        newcomer = connect()
        newcomer.sendall(clock_request(key))
        assert newcomer.recv(4096).startswith(b"HTTP/1.1 200")
        newcomer.close()
        wait_for(lambda: connections_of(bounded) <= CONNECTIONS_MAX)
    keyed.sendall(clock_request(key))
    assert keyed.recv(4096).startswith(b"HTTP/1.1 200")
    for _ in range(2 * CONNECTIONS_MAX):
        connect()
    assert _sent_in_vain(silent[0], HEALTH)
    keyed.sendall(clock_request(key))
    assert keyed.recv(4096).startswith(b"HTTP/1.1 200")
    wait_for(lambda: refused(bounded, "shed") > 0)


def _sent_in_vain(connection: socket.socket, request: bytes) -> bool:
    try:
        connection.sendall(request)
        return connection.recv(4096) == b""
    except ConnectionError:
        return True


@pytest.fixture
def short_lived(venue_with: Callable[..., Venue]) -> Venue:
    return venue_with(
        projector=False,
        request_read_timeout_s=str(READ_TIMEOUT_S),
        keep_alive_timeout_s="5",
        connection_lifetime_s="1",
    )


def test_a_connection_without_a_request_waits_as_long_as_one_between_requests(
    short_lived: Venue,
) -> None:
    """Proxies open connections ahead of requests, the first one included."""
    venue = short_lived
    with socket.create_connection(("127.0.0.1", venue.api_port), timeout=15) as connection:
        time.sleep(4 * READ_TIMEOUT_S)
        connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: venue\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
    with socket.create_connection(("127.0.0.1", venue.api_port), timeout=15) as connection:
        assert connection.recv(4096) == b""


def test_a_connection_that_has_lived_long_is_closed_with_an_answer(
    short_lived: Venue,
) -> None:
    """Otherwise clients that never pause would stay with the first workers."""
    venue = short_lived
    with socket.create_connection(("127.0.0.1", venue.api_port), timeout=10) as connection:
        answered = 0
        while True:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: venue\r\n\r\n")
            received = connection.recv(4096).lower()
            assert received.startswith(b"http/1.1 200")
            answered += 1
            if b"connection: close" in received:
                break
            time.sleep(0.05)
        assert answered > 2
        assert connection.recv(4096) == b""


def test_input_that_is_not_http_gets_a_problem(
    bounded: Venue, connect: Callable[[], socket.socket]
) -> None:
    connection = connect()
    connection.sendall(b"HELO venue\r\n\r\n")
    status, problem = answer(connection)
    assert status == "HTTP/1.1 400 Bad Request"
    assert problem["code"] == 40010000
    lines = log_lines(bounded, "connection refused")
    line = next(line for line in lines if line["cause"] == "malformed")
    assert (line["level"], line["client"]) == ("warning", "127.0.0.1")


UPGRADE = {"connection": "Upgrade, HTTP2-Settings", "upgrade": "h2c", "http2-settings": "AAMAAABk"}


def answers(connection: socket.socket, count: int) -> list[tuple[int, dict[str, object]]]:
    """Read exactly `count` answers of a connection that stays open."""
    with connection.makefile("rb") as stream:
        return [read_answer(stream) for _ in range(count)]


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("step", [1, 1 << 20])
def test_an_order_that_asks_for_http_2_is_answered_in_http_1(
    bounded: Venue, connect: Callable[[], socket.socket], chunked: bool, step: int
) -> None:
    key = bounded.open_account(50 + 2 * chunked + (step == 1))
    connection = connect()
    requests = order_request(key, "first", chunked=chunked, headers=UPGRADE)
    requests += order_request(key, "second", chunked=chunked, headers=UPGRADE)
    requests += order_request(key, "third")
    for start in range(0, len(requests), step):
        connection.sendall(requests[start : start + step])
    found = answers(connection, 3)
    assert [status for status, _ in found] == [200, 200, 200]
    assert [order["client_order_id"] for _, order in found] == ["first", "second", "third"]
    assert "upgrade" not in bounded.api.log.read_text().lower()


def test_curl_with_http_2_submits_an_order(bounded: Venue) -> None:
    key = bounded.open_account(54)
    headers = [f"-H{name}: {value}" for name, value in key_headers(key).items()]
    curl = ["curl", "--http2", "-sS", "-w", "\n%{http_code}", f"{bounded.url}/v2/orders"]
    curl += [*headers, "-d", json.dumps(limit_order(client_order_id="from curl"))]
    printed = subprocess.run(curl, capture_output=True, text=True, check=True).stdout
    order, _, status = printed.rpartition("\n")
    assert (status, json.loads(order)["client_order_id"]) == ("200", "from curl")


def test_thousands_of_upgrades_at_once_are_answered(connect: Callable[[], socket.socket]) -> None:
    connection = connect()
    request = b"GET /healthz HTTP/1.1\r\nhost: venue\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n"
    connection.sendall(3000 * request)
    assert {status for status, _ in answers(connection, 3000)} == {200}


def test_an_upgrade_to_websocket_is_answered_by_the_route(
    connect: Callable[[], socket.socket],
) -> None:
    connection = connect()
    connection.sendall(
        b"GET /v2/stream HTTP/1.1\r\nhost: venue\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
        b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n"
    )
    ((status, problem),) = answers(connection, 1)
    assert (status, problem["code"]) == (404, 40410000)


def test_a_proxys_request_is_refused(connect: Callable[[], socket.socket]) -> None:
    connection = connect()
    connection.sendall(b"CONNECT venue:80 HTTP/1.1\r\nhost: venue\r\n\r\n")
    status, problem = answer(connection)
    assert status == "HTTP/1.1 400 Bad Request"
    assert problem["code"] == 40010000


@pytest.mark.parametrize(
    "hosts", [b"", b"host: venue\r\nhost: venue\r\n", b"host: a\r\nHost: b\r\n"]
)
def test_a_request_names_one_host(connect: Callable[[], socket.socket], hosts: bytes) -> None:
    connection = connect()
    connection.sendall(b"GET /healthz HTTP/1.1\r\n" + hosts + b"\r\n")
    status, problem = answer(connection)
    assert status == "HTTP/1.1 400 Bad Request"
    assert problem["detail"] == "a request names one Host"


def test_http_1_0_needs_no_host(connect: Callable[[], socket.socket]) -> None:
    connection = connect()
    connection.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
    assert connection.recv(4096).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "head", [b"GET /healthz?%s HTTP/1.1\r\nhost: v\r\n\r\n", b"GET /%s HTTP/1.1\r\nhost: v\r\n\r\n"]
)
@pytest.mark.parametrize("size", [2049, 70_000, 200_000])
def test_a_long_target_is_refused_as_a_long_head(
    connect: Callable[[], socket.socket], head: bytes, size: int
) -> None:
    connection = connect()
    connection.sendall(head % (b"x" * size))
    status, problem = answer(connection)
    assert (status, problem["code"]) == ("HTTP/1.1 431 Request Header Fields Too Large", 43110000)


def test_a_head_over_the_bound_is_refused_though_it_comes_in_one_piece(
    connect: Callable[[], socket.socket],
) -> None:
    connection = connect()
    connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: v\r\nx-more: " + 3000 * b"y" + b"\r\n\r\n")
    assert answer(connection)[0].startswith("HTTP/1.1 431")


def test_a_compressed_body_is_refused_as_such(
    bounded: Venue, connect: Callable[[], socket.socket]
) -> None:
    key = bounded.open_account(next(ACCOUNTS))
    connection = connect()
    connection.sendall(order_request(key, "compressed", headers={"content-encoding": "gzip"}))
    status, problem = answer(connection)
    assert (status, problem["code"]) == ("HTTP/1.1 415 Unsupported Media Type", 41510000)
    connection = connect()
    connection.sendall(order_request(key, "plain", headers={"content-encoding": "identity"}))
    assert connection.recv(4096).startswith(b"HTTP/1.1 200")


def test_the_body_of_a_refused_request_is_not_read_to_its_end(
    connect: Callable[[], socket.socket],
) -> None:
    connection = connect()
    connection.sendall(b"POST /v2/orders HTTP/1.1\r\nhost: v\r\ncontent-length: 100000000\r\n\r\n")
    assert _sent_until_cut(connection) < 20_000_000


def _sent_until_cut(connection: socket.socket) -> int:
    sent = 0
    try:
        for _ in range(1526):
            sent += connection.send(65536 * b"x")
            time.sleep(0.001)
    except ConnectionError:
        pass
    return sent


def test_every_answer_forbids_guessing_its_type_and_caching(
    bounded: Venue, connect: Callable[[], socket.socket]
) -> None:
    heads = []
    for request in (HEALTH, HEALTH.replace(b"/healthz", b"/none"), b"HELO\r\n\r\n"):
        connection = connect()
        connection.sendall(request.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n", 1))
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
        heads.append(received.partition(b"\r\n\r\n")[0].lower())
    for head in heads:
        assert head.count(b"x-content-type-options: nosniff") == 1
        assert head.count(b"cache-control: no-store") == 1
    refused = http.get(f"{bounded.url}/v2/account")
    assert (refused.status_code, refused.headers["www-authenticate"]) == (
        401,
        'APCA-API-KEY-ID realm="OpenVenue"',
    )


def test_answers_that_many_clients_leave_unread_are_bounded_and_others_are_served(
    new_venue: Callable[..., Venue],
) -> None:
    venue = new_venue().start(projector=False, unread_bytes_max=str(2 << 20))
    key = venue.open_account(1)
    with venue.client(key) as client:
        for number in range(300):
            order = limit_order(client_order_id=f"{number:0128}", qty="1")
            assert client.post("/v2/orders", json=order).status_code == 200
        answer_bytes = len(client.get("/v2/orders?limit=500").content)
    (worker,) = venue.worker_pids()
    lines = "".join(f"{name}: {value}\r\n" for name, value in key_headers(key).items())
    request = f"GET /v2/orders?limit=500 HTTP/1.1\r\nhost: venue\r\n{lines}\r\n".encode()
    before = _resident_bytes(worker)
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            connection = stack.enter_context(socket.socket())
            # So small that the kernel takes almost nothing from the worker.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            connection.connect(("127.0.0.1", venue.api_port))
            connection.sendall(4 * request)
        with venue.client(key) as client:
            client.timeout = 60
            for _ in range(10):
                assert client.get("/v2/clock").status_code == 200
                assert client.get("/v2/orders?limit=1").status_code == 200
        wait_for(lambda: refused(venue, "unread") > 0)
        grown = _resident_bytes(worker) - before
    # Without the bound, each would make the worker hold at least one answer.
    assert grown < 12 << 20 < 100 * answer_bytes
    wait_for(lambda: venue.metric("unread_bytes") == 0)


def _resident_bytes(pid: int) -> int:
    return int(psutil.Process(pid).memory_info().rss)
