"""HTTP/1.1 on a connection, with bounds on what a client makes the worker hold and wait for.

A request to go on in another protocol (`Upgrade: h2c`, as curl --http2 and Java's HttpClient send)
is answered in this one, as RFC 9110 section 7.8 allows.
"""

import asyncio
import math
import random
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, cast

import httptools
from starlette.types import Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from openvenue import metrics
from openvenue.http import problems
from openvenue.http.problems import Problem
from openvenue.http.refusals import log_refusal

_CLOSE = (b"connection", b"close")


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Bounds on the connections of one worker."""

    connections_max: int
    """Connections that are served; as many again are told to come back, more are cut."""
    head_bytes_max: int
    """Request line and headers of one request, in bytes."""
    read_timeout_s: float
    """From a request's first byte to its last."""
    idle_timeout_s: float
    """How long a connection may wait for its first request."""
    write_timeout_s: float
    """How long answers may wait for a client that does not read."""
    lifetime_s: float
    """After which the next answer asks the client to connect anew."""


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol within `ConnectionLimits`; `bounded` makes the factory."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        limits: ConnectionLimits,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._limits = limits
        self._in_head = False
        self._head_bytes = 0
        self._received_bytes = 0
        # What is left to say before the connection closes; nothing that comes is read any more.
        self._last_words: bytes | None = None
        # Until the first request comes. Proxies open connections ahead of it: one that is closed as
        # early as a request that does not go on would fail what they are about to send.
        self._unused_since: float | None = self.loop.time()
        # When the request that is being read began; None between requests.
        self._reading_since: float | None = None
        # When the client stopped reading; None while it reads.
        self._unread_since: float | None = None
        # Clients that came together do not leave together.
        self._leaves_at = self.loop.time() + random.uniform(0.5, 1.0) * limits.lifetime_s  # noqa: S311

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Serve the connection, ask its client to come back, or cut it, by how many there are."""
        super().connection_made(transport)
        count = len(self.connections)
        if count > 2 * self._limits.connections_max:
            self._count_refusal("cut")
            transport.abort()
        elif count > self._limits.connections_max:
            self._count_refusal("told")
            self.app = _come_back

    def data_received(self, data: bytes) -> None:
        """Parse what came, keeping count of a head that does not end."""
        if self._last_words is not None:
            return
        self._unused_since = None
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
            self._reading_since = self.loop.time()  # Line breaks that no request follows.

    def on_message_begin(self) -> None:
        """A request's first byte."""
        super().on_message_begin()
        self._in_head = True
        self._reading_since = self.loop.time()

    def on_headers_complete(self) -> None:
        """The end of a request's head."""
        if self.parser.should_upgrade() and not self._should_upgrade():
            return  # It is read again, without its upgrade.
        self._in_head = False
        if self.loop.time() > self._leaves_at:
            self._leaves_at = math.inf
            self.app = _last_answer_of(self.app)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """A request's last byte."""
        if self._in_head:
            return  # What the parser takes for the end of a request that asks for an upgrade.
        self._reading_since = None
        # What came along with it is not held against the next request's head.
        self._head_bytes = -self._received_bytes
        super().on_message_complete()

    def pause_writing(self) -> None:
        """The client has left too much unread."""
        super().pause_writing()
        self._unread_since = self.loop.time()

    def resume_writing(self) -> None:
        """The client reads on."""
        super().resume_writing()
        self._unread_since = None

    def on_response_complete(self) -> None:
        """An answer's last byte: the next one's turn, or the end of a refused connection."""
        was_last = not self.pipeline
        super().on_response_complete()
        if was_last and self._last_words is not None:
            self._close_with_last_words()

    def end_if_overdue(self, now: float) -> None:
        """Close the connection if its client has taken too long over a request, or an answer, or
        has never sent anything."""
        if (
            self._unread_since is not None
            and now - self._unread_since > self._limits.write_timeout_s
        ):
            self._count_refusal("unread")
            self.transport.abort()
        elif (
            self._reading_since is not None
            and now - self._reading_since > self._limits.read_timeout_s
            # Where the worker has stopped reading, the time is its own.
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
        """Answer what is not HTTP, in the form of all other errors."""
        self._refuse(problems.bad_request(msg), "malformed")

    def _parse(self, rest: memoryview) -> None:
        """Parse what came, reading requests that ask for an upgrade as if they did not."""
        try:
            while (head_bytes := self._feed(rest)) is not None:
                rest = rest[head_bytes:]
                self._begin_without_upgrade()
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")

    def _feed(self, data: memoryview) -> int | None:
        """Parse up to the end of the next head that asks for an upgrade; return where that is.

        None: there is none. Raises HttpParserError.
        """
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._should_upgrade():
                self.handle_websocket_upgrade()
                return None
            return int(upgrade.args[0])
        return None

    def _begin_without_upgrade(self) -> None:
        """Read the request's head again, as if it had not asked for an upgrade.

        The parser takes what follows such a head for the other protocol, not for the body. Raises
        HttpParserError.
        """
        method, version = self.parser.get_method(), self.parser.get_http_version()
        if method == b"CONNECT":
            raise httptools.HttpParserError("this is no proxy")
        head = [b"%s %s HTTP/%s" % (method, self.url, version.encode())]
        head += [b"%s: %s" % header for header in self.headers if header[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # As uvicorn does.
        self.parser.feed_data(b"\r\n".join([*head, b"", b""]))

    def _refuse(self, problem: Problem, cause: str) -> None:
        """Answer outside of the application, and close.

        Requests before this one are answered first: the client takes answers in their order, and
        the first of them is not refused.
        """
        self._count_refusal(cause)
        self._reading_since = None
        cycle = self.cycle
        # The request that is refused, where its head was whole; then it has a cycle of its own.
        begun = cycle is not None and not self._in_head and cycle.more_body
        answered = begun and cycle.response_started
        self._last_words = b"" if answered else _closing_answer(problem)
        if begun and self.pipeline and self.pipeline[0][0] is cycle:
            self.pipeline.popleft()  # Its turn has not come, and does not.
        elif begun or cycle is None or cycle.response_complete:
            self._close_with_last_words()

    def _close_with_last_words(self) -> None:
        if self._last_words and not self.transport.is_closing():
            self.transport.write(self._last_words)
        self.transport.close()

    def _count_refusal(self, cause: str) -> None:
        metrics.CONNECTIONS_REFUSED.labels(cause).inc()
        log_refusal("connection refused", cause, client=self.client and self.client[0])


def asking_to_leave(send: Send) -> Send:
    """Have an answer ask its client to connect anew: to another worker, or pod."""

    async def send_and_close(message: Any) -> None:
        if message["type"] == "http.response.start":
            others = [one for one in message.get("headers", []) if one != _CLOSE]
            message["headers"] = [*others, _CLOSE]
        await send(message)

    return send_and_close


def bounded(limits: ConnectionLimits) -> type[asyncio.Protocol]:
    """Return what uvicorn takes as its HTTP protocol class."""

    def make(*arguments: Any, **named: Any) -> BoundedProtocol:
        return BoundedProtocol(*arguments, **named, limits=limits)

    return cast("type[asyncio.Protocol]", make)


def _last_answer_of(app: Any) -> Any:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, asking_to_leave(send))

    return answer


def _closing_answer(problem: Problem) -> bytes:
    """Return the whole response of a problem that ends its connection."""
    body = problem.body("")
    status = HTTPStatus(problem.status)
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\n"
        f"date: {formatdate(usegmt=True)}\r\n"
        f"content-type: {problems.MEDIA_TYPE}\r\n"
        f"content-length: {len(body)}\r\n"
        "connection: close\r\n\r\n"
    )
    return head.encode() + body


async def _come_back(_scope: Any, _receive: Any, send: Send) -> None:
    problem = problems.unavailable("the worker has as many connections as it may")
    body = problem.body("")
    await send(
        {
            "type": "http.response.start",
            "status": problem.status,
            "headers": [
                (b"content-type", problems.MEDIA_TYPE.encode()),
                (b"content-length", b"%d" % len(body)),
                _CLOSE,
                *((name.encode(), value.encode()) for name, value in problem.headers.items()),
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})
