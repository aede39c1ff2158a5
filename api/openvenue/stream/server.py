"""The WebSocket server: which path is which protocol, and how many connections there may be.

/stream                  updates of an account's orders
/v2/{feed}               market data of shares; every feed is this venue's
/v1beta3/crypto/{loc}    market data of pairs; every location is this venue's
"""

import asyncio
import http
import socket
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, get_args

from websockets.asyncio.server import ServerConnection, serve
from websockets.frames import CloseCode
from websockets.http11 import Request, Response

from openvenue.documents.resources.market_data import PairLocation, StockFeed
from openvenue.security.authenticator import Authenticator
from openvenue.security.client_address import Network
from openvenue.security.principal import NotAuthenticated
from openvenue.stream import metrics
from openvenue.stream.admission import Admission, Refusal, may_come_from
from openvenue.stream.data import DataSession
from openvenue.stream.feed import Feed
from openvenue.stream.session import Session
from openvenue.stream.settings import StreamSettings
from openvenue.stream.trading import TradingSession
from openvenue.telemetry import get_logger
from openvenue.vocabulary import AssetClass

_DATA_PATHS: dict[str, AssetClass] = {
    **{f"/v2/{feed}": "us_equity" for feed in (*get_args(StockFeed), "test")},
    **{f"/v1beta3/crypto/{location}": "crypto" for location in get_args(PairLocation)},
}
_TRADING_PATH = "/stream"
PATHS = (_TRADING_PATH, *_DATA_PATHS)

_OPEN_TIMEOUT_S = 10.0
_CLOSE_TIMEOUT_S = 10.0
_PING_INTERVAL_S = 20.0
_PING_TIMEOUT_S = 60.0
_TICK_S = 0.1
_CREDENTIALS_INTERVAL_S = 0.5
_ALL_KEYS_INTERVAL_S = 30.0

_log = get_logger(__name__)


class StreamServer:
    """The open sessions. There are none before there is a feed."""

    def __init__(
        self,
        authenticator: Authenticator,
        settings: StreamSettings,
        trusted_proxies: Sequence[Network] = (),
    ) -> None:
        self._trusted_proxies = trusted_proxies
        self._authenticator = authenticator
        self._settings = settings
        self._admission = Admission(authenticator, settings)
        self._sessions: dict[Session, None] = {}
        self._feed: Feed | None = None
        self._unchecked_keys: set[str] = set()
        self._ends: set[asyncio.Task[None]] = set()

    def use(self, feed: Feed) -> None:
        """Serve this feed from now on; the sessions of another have to connect again."""
        for session in self._sessions:
            metrics.CLOSED.labels("restart").inc()
            self._end(session.close(CloseCode.SERVICE_RESTART, "connect again"))
        self._feed = feed

    def key_changed(self, key_id: str) -> None:
        """Check a key's sessions again soon."""
        self._unchecked_keys.add(key_id)

    def keys_changed(self) -> None:
        """Check all sessions' keys again soon: changes may have been missed."""
        self._unchecked_keys.update(
            session.principal.key_id for session in self._sessions if session.principal is not None
        )

    async def run(self) -> None:
        """Do what no message prompts, until cancelled."""
        checked_at = all_checked_at = time.monotonic()
        while True:
            await asyncio.sleep(_TICK_S)
            now = time.monotonic()
            if self._feed is not None:
                until_ns = time.time_ns() - round(self._settings.bar_grace_s * 1e9)
                self._feed.close_bars(until_ns)
            for session in list(self._sessions):
                session.catch_up()
            if now - all_checked_at >= _ALL_KEYS_INTERVAL_S:
                all_checked_at = now
                self.keys_changed()
            if now - checked_at >= _CREDENTIALS_INTERVAL_S:
                checked_at = now
                self._authenticator.export_metrics()
                self._check_ended()
                if self._unchecked_keys:
                    await self._close_revoked()

    @asynccontextmanager
    async def serving(self, listener: socket.socket) -> AsyncIterator[None]:
        """Serve for the duration; at its end everybody is told to connect again."""
        server = serve(
            self._handle,
            sock=listener,
            process_request=self._route,
            # Compressed frames could not be shared.
            compression=None,
            max_size=self._settings.message_bytes_max,
            open_timeout=_OPEN_TIMEOUT_S,
            close_timeout=_CLOSE_TIMEOUT_S,
            ping_interval=_PING_INTERVAL_S,
            ping_timeout=_PING_TIMEOUT_S,
            server_header=None,
        )
        async with server as running:
            try:
                yield
            finally:
                running.close(code=CloseCode.SERVICE_RESTART, reason="connect again")
                await running.wait_closed()

    def _route(self, connection: ServerConnection, request: Request) -> Response | None:
        """Refuse a handshake that no session can follow."""
        if _path_of(request) not in PATHS:
            return connection.respond(http.HTTPStatus.NOT_FOUND, "endpoint not found.\n")
        if self._feed is None:
            return _unavailable(connection, "the stream is starting")
        if len(self._sessions) >= self._settings.connections_max:
            metrics.REFUSALS.labels("connections").inc()
            return _unavailable(connection, "too many connections")
        return None

    async def _handle(self, connection: ServerConnection) -> None:
        session = self._session(connection)
        self._sessions[session] = None
        metrics.CONNECTIONS.inc()
        try:
            await session.run()
        finally:
            del self._sessions[session]
            metrics.CONNECTIONS.dec()

    def _session(self, connection: ServerConnection) -> Session:
        assert self._feed is not None
        assert connection.request is not None
        path = _path_of(connection.request)
        if path == _TRADING_PATH:
            return TradingSession(
                connection, self._feed, self._admission, self._settings, self._trusted_proxies
            )
        return DataSession(
            connection,
            self._feed,
            self._admission,
            self._settings,
            self._trusted_proxies,
            _DATA_PATHS[path],
        )

    async def _close_revoked(self) -> None:
        keys, self._unchecked_keys = self._unchecked_keys, set()
        for key_id in keys:
            sessions = [
                session
                for session in self._sessions
                if session.principal is not None and session.principal.key_id == key_id
            ]
            try:
                checked = [
                    (session, await self._authenticator.in_force(session.principal))
                    for session in sessions
                    if session.principal is not None
                ]
            except NotAuthenticated:
                self._unchecked_keys.add(key_id)  # The database does not answer.
                continue
            for session, principal in checked:
                if principal is None:
                    metrics.CLOSED.labels("revoked").inc()
                    self._end(session.refuse(Refusal.REVOKED))
                elif not may_come_from(principal, session.client):
                    metrics.CLOSED.labels("address").inc()
                    self._end(session.refuse(Refusal.ADDRESS))
                else:
                    session.principal = principal

    def _check_ended(self) -> None:
        for session in self._sessions:
            principal = session.principal
            if principal is None or session.closing or not self._authenticator.has_ended(principal):
                continue
            if principal.signed_by is None:
                self._unchecked_keys.add(principal.key_id)  # Its end may have been changed.
            else:
                metrics.CLOSED.labels("revoked").inc()
                self._end(session.refuse(Refusal.REVOKED))

    def _end(self, closing: Coroutine[Any, Any, None]) -> None:
        """Close without waiting for the client."""
        task = asyncio.ensure_future(closing)
        self._ends.add(task)
        task.add_done_callback(self._ends.discard)


def _unavailable(connection: ServerConnection, reason: str) -> Response:
    response = connection.respond(http.HTTPStatus.SERVICE_UNAVAILABLE, f"{reason}\n")
    response.headers["Retry-After"] = "1"
    return response


def _path_of(request: Request) -> str:
    """Return its path as it is in PATHS: alpaca-trade-api asks for /stream/."""
    return request.path.partition("?")[0].removesuffix("/")
