"""HTTP/1.1 on a connection, with bounds on what a client makes the worker hold and wait for.

A request to switch to another protocol (`Upgrade: h2c`, as curl --http2 and Java's HttpClient send)
is answered in HTTP/1.1, as RFC 9110 section 7.8 allows. A WebSocket is passed on to the
streams, where the worker knows them.
"""

import asyncio
import math
import random
from dataclasses import dataclass
from typing import Any, cast

import httptools
from starlette.types import Scope
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from openvenue import metrics
from openvenue.http import problems
from openvenue.http.closing import closing_answer, come_back, last_answer_of
from openvenue.http.problems import Problem
from openvenue.http.shared_limits import Addresses, Keyless, Unread, plain_address, subscriber_of
from openvenue.http.stream_relay import Relays
from openvenue.telemetry import log_refusal

_CONNECTION = "openvenue.connection"
# How long, and how much, the worker still reads from a refused connection.
_LINGER_S = 2.0
_LINGER_BYTES_MAX = 1 << 20


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Bounds on the connections of one worker."""

    connections_max: int
    """Connections that are served; as many again are asked to come back, more are cut."""
    head_bytes_max: int
    """Request line and headers of one request, in bytes."""
    read_timeout_s: float
    """Time from a request's first byte to its last."""
    idle_timeout_s: float
    """How long a connection may wait for its first request."""
    write_timeout_s: float
    """How long answers may wait for a client that does not read."""
    lifetime_s: float
    """Age after which the next answer asks the client to reconnect."""
    body_bytes_max: int
    """Bytes still read of a request that was answered before its end."""
    per_address_max: int
    """Connections of one client address; 0: no bound but `connections_max`."""
    unread_bytes_max: int
    """Answers of all connections that wait for clients that do not read."""


class Shared:
    """What the connections of one worker share."""

    def __init__(self, limits: ConnectionLimits, relays: Relays) -> None:
        self.relays = relays
        self.unread = Unread(limits.unread_bytes_max)
        self.keyless = Keyless()
        self.addresses = Addresses()


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol within `ConnectionLimits`; `bounded` returns the class."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        limits: ConnectionLimits,
        shared: Shared,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._limits = limits
        self._shared = shared
        self._subscriber: str | None = None
        # True while the next request waits until its client has read the answers before it.
        self._held_up = False
        # Bytes received since of a request that was answered already.
        self._discarded_bytes = 0
        self._in_head = False
        self._head_bytes = 0
        self._received_bytes = 0
        # The answer to send before the connection closes; after that nothing is parsed.
        self._last_words: bytes | None = None
        # Until the first request comes. Proxies open connections ahead of it. Closing one after the
        # shorter time of an unfinished request would fail the request that they are about to send.
        self._unused_since: float | None = self.loop.time()
        # When the request that is being read began; None between requests.
        self._reading_since: float | None = None
        # When the last answer was sent; None before.
        self._lingers_since: float | None = None
        # When the client stopped reading; None while it reads.
        self._unread_since: float | None = None
        # Random, so that clients that came together do not leave together.
        self._leaves_at = self.loop.time() + random.uniform(0.5, 1.0) * limits.lifetime_s  # noqa: S311

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Serve the connection, ask its client to come back, or cut it, by their number."""
        super().connection_made(transport)
        of_address = 0
        if self.client is not None:
            self.client = (plain_address(self.client[0]), self.client[1])
            self._subscriber = subscriber_of(self.client[0])
            of_address = self._shared.addresses.enter(self._subscriber)
        limits = self._limits
        count = len(self.connections)
        most_of_address = limits.per_address_max or count
        if count > 2 * limits.connections_max or of_address > 2 * most_of_address:
            self._count_refusal("cut")
            transport.abort()
        elif of_address > most_of_address:
            self._count_refusal("address")
            self.app = come_back("the client's address has as many connections as it may")
        elif count > limits.connections_max and not self._shared.keyless.shed_one(self):
            self._count_refusal("told")
            self.app = come_back("the worker has as many connections as it may")
        else:
            self._shared.keyless.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop counting the connection."""
        super().connection_lost(exc)
        self._stop_counting()

    def _stop_counting(self) -> None:
        self._shared.unread.release(self)
        self._shared.keyless.remove(self)
        if self._subscriber is not None:
            self._shared.addresses.leave(self._subscriber)
            self._subscriber = None

    def keyed(self) -> None:
        """Note a valid key on this connection: it is no longer closed to make room."""
        self._shared.keyless.remove(self)

    def shed(self) -> bool:
        """Close the connection, unless it is answering a request."""
        if self.cycle is not None and not self.cycle.response_complete:
            return False
        self._count_refusal("shed")
        self.transport.abort()
        self.connections.discard(self)
        return True

    def cut_unread(self) -> None:
        """Cut the connection, because its client leaves answers unread."""
        self._count_refusal("unread")
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Parse the data, counting the bytes of an unfinished head."""
        if self._last_words is not None:
            self._discarded_bytes += len(data)
            if self._discarded_bytes > self._limits.body_bytes_max + _LINGER_BYTES_MAX:
                self.transport.abort()
            return
        self._unused_since = None
        if self in self._shared.keyless:
            self._shared.keyless.add(self)
        self._unset_keepalive_if_required()
        self._received_bytes = len(data)
        if not self._in_head:
            self._head_bytes = 0
        self._parse(memoryview(data))
        if self._last_words is not None:
            return
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > self._limits.head_bytes_max:
                self._refuse(problems.head_too_large(self._limits.head_bytes_max), "head")
        elif self._reading_since is None and (self.cycle is None or self.cycle.response_complete):
            self._reading_since = self.loop.time()  # Line breaks without a request.

    def on_message_begin(self) -> None:
        """Handle a request's first byte."""
        super().on_message_begin()
        self.scope[_CONNECTION] = self  # type: ignore[literal-required]
        self._discarded_bytes = 0
        self._in_head = True
        self._reading_since = self.loop.time()

    def on_headers_complete(self) -> None:
        """Handle the end of a request's head."""
        if self.parser.should_upgrade() and not self._should_upgrade():
            return  # The head is parsed again without its upgrade.
        if self._last_words is not None or self._refuse_head():
            return
        self._in_head = False
        if self.loop.time() > self._leaves_at:
            self._leaves_at = math.inf
            self.app = last_answer_of(self.app)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Handle a part of a request's body. Read an unwanted body only up to a bound."""
        if self._in_head or self._last_words is not None:
            return
        super().on_body(body)
        if self.cycle.response_complete:
            self._discarded_bytes += len(body)
            if self._discarded_bytes > self._limits.body_bytes_max:
                self.transport.close()

    def on_message_complete(self) -> None:
        """Handle a request's last byte."""
        if self._in_head or self._last_words is not None:
            return  # The parser ends a request that asks for an upgrade here.
        self._reading_since = None
        # Bytes that came along with it do not count for the next request's head.
        self._head_bytes = -self._received_bytes
        super().on_message_complete()

    def pause_writing(self) -> None:
        """Stop: the client has left too much unread."""
        super().pause_writing()
        self._unread_since = self.loop.time()
        self._shared.unread.hold(self, self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """Continue: the client reads again."""
        super().resume_writing()
        self._unread_since = None
        self._shared.unread.release(self)
        if self._held_up:
            self._held_up = False
            super().on_response_complete()

    def on_response_complete(self) -> None:
        """Handle an answer's last byte: start the next answer, or end a refused connection."""
        was_last = not self.pipeline
        if self.flow.write_paused and not self.transport.is_closing() and not was_last:
            # The next answer would wait in memory for a client that does not read this one.
            self._held_up = True
            return
        super().on_response_complete()
        if self.flow.write_paused:
            self.flow.pause_reading()
            self._held_up = True
        if was_last and self._last_words is not None:
            self._close_with_last_words()

    def end_if_overdue(self, now: float) -> None:
        """Close the connection if its client has taken too long over a request or an answer, or
        has never sent anything."""
        if self._lingers_since is not None:
            if now - self._lingers_since > _LINGER_S:
                self.transport.abort()
        elif (
            self._unread_since is not None
            and now - self._unread_since > self._limits.write_timeout_s
        ):
            self.cut_unread()
        elif (
            self._reading_since is not None
            and now - self._reading_since > self._limits.read_timeout_s
            # If the worker has stopped reading, the delay is its own.
            and not self.flow.read_paused
            and not self.transport.is_closing()
        ):
            self._refuse(problems.too_slow(self._limits.read_timeout_s), "slow")
        elif (
            self._unused_since is not None
            and now - self._unused_since > self._limits.idle_timeout_s
        ):
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Answer input that is not HTTP, in the form of all other errors."""
        self._refuse(problems.bad_request(msg), "malformed")

    def _parse(self, rest: memoryview) -> None:
        """Parse data, ignoring requests to upgrade."""
        try:
            while (head_bytes := self._feed(rest)) is not None:
                rest = rest[head_bytes:]
                self._begin_without_upgrade()
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")

    def _feed(self, data: memoryview) -> int | None:
        """Parse up to the end of the next head that asks for an upgrade; return its position.

        Returns None if there is none. Raises HttpParserError.
        """
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            head_bytes = int(upgrade.args[0])
            if self._should_upgrade():
                self._pass_on(bytes(data[head_bytes:]))
                return None
            return head_bytes
        return None

    def _should_upgrade(self) -> bool:
        """True if the request is a WebSocket's, the streams are known, and no answer is due."""
        answered = self.cycle is None or self.cycle.response_complete
        return (
            answered and self._shared.relays.lead_anywhere and self._get_upgrade() == b"websocket"
        )

    def _pass_on(self, rest: bytes) -> None:
        """Let a relay have the connection: the request's head, the rest, and what is to come."""
        head = [b"GET %s HTTP/1.1" % self.url, *(b"%s: %s" % header for header in self.headers)]
        if self.client is not None:
            head.append(b"x-forwarded-for: %s" % self.client[0].encode())
        self.connections.discard(self)
        self._stop_counting()
        self._shared.relays.pass_on(self.transport, b"\r\n".join([*head, b"", rest]))

    def _begin_without_upgrade(self) -> None:
        """Parse the request's head again, as if it had not asked for an upgrade.

        The parser takes the bytes after such a head for the other protocol, not for the body.
        Raises HttpParserError.
        """
        method, version = self.parser.get_method(), self.parser.get_http_version()
        if method == b"CONNECT":
            raise httptools.HttpParserError("this is no proxy")
        head = [b"%s %s HTTP/%s" % (method, self.url, version.encode())]
        head += [b"%s: %s" % header for header in self.headers if header[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # As uvicorn does.
        self.parser.feed_data(b"\r\n".join([*head, b"", b""]))

    def _refuse_head(self) -> bool:
        """Refuse a request for its head, if necessary."""
        hosts = head_bytes = 0
        encoded = False
        for name, value in self.headers:
            head_bytes += len(name) + len(value) + 4
            if name == b"host":
                hosts += 1
            elif name == b"content-encoding":
                encoded = value.strip().lower() not in (b"", b"identity")
        head_bytes += len(self.url)
        if head_bytes > self._limits.head_bytes_max:
            self._refuse(problems.head_too_large(self._limits.head_bytes_max), "head")
        elif hosts > 1 or (hosts == 0 and self.parser.get_http_version() == "1.1"):
            self._refuse(problems.bad_request("a request names one Host"), "malformed")
        elif encoded:
            self._refuse(problems.encoded_body(), "malformed")
        else:
            return False
        return True

    def _refuse(self, problem: Problem, cause: str) -> None:
        """Answer outside of the application, and close.

        Earlier requests are answered first: the client takes answers in order, and would take this
        refusal for the first one's.
        """
        self._count_refusal(cause)
        self._reading_since = None
        cycle = self.cycle
        # If the refused request's head was complete, the request has a cycle of its own.
        begun = cycle is not None and not self._in_head and cycle.more_body
        answered = begun and cycle.response_started
        self._last_words = b"" if answered else closing_answer(problem)
        if begun and self.pipeline and self.pipeline[0][0] is cycle:
            self.pipeline.popleft()  # It will never be started.
        elif begun or cycle is None or cycle.response_complete:
            self._close_with_last_words()

    def _close_with_last_words(self) -> None:
        """Send the last answer, but keep reading for a moment.

        The kernel resets a connection that is closed with data unread, and the client would lose
        the answer.
        """
        if self._lingers_since is not None or self.transport.is_closing():
            return
        self._lingers_since = self.loop.time()
        if self._last_words:
            self.transport.write(self._last_words)
        self.transport.write_eof()

    def _count_refusal(self, cause: str) -> None:
        metrics.CONNECTIONS_REFUSED.labels(cause).inc()
        log_refusal("connection refused", cause, client=self.client and self.client[0])


def mark_keyed(scope: Scope) -> None:
    """Note that a request's connection carried a valid key."""
    connection = scope.get(_CONNECTION)
    if connection is not None:
        connection.keyed()


def bounded(limits: ConnectionLimits, shared: Shared) -> type[asyncio.Protocol]:
    """Return the protocol class for uvicorn."""

    def make(*arguments: Any, **named: Any) -> BoundedProtocol:
        return BoundedProtocol(*arguments, **named, limits=limits, shared=shared)

    return cast("type[asyncio.Protocol]", make)
