"""The engine as seen from Python: a pool of sessions for orders and queries, stubs for the rest."""

import asyncio
from collections.abc import Sequence

import grpc

from openvenue import metrics
from openvenue.engine.errors import EngineBusy, EngineUnavailable
from openvenue.engine.session import Session
from openvenue.engine.unary import UnarySession
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.engine.v1 import engine_pb2_grpc as rpc
from openvenue.settings import Settings
from openvenue.telemetry import get_logger

_RECEIVE_BYTES_MAX = 16 << 20  # the engine's largest message

_log = get_logger(__name__)


def open_channel(settings: Settings, target: str | None = None) -> grpc.aio.Channel:
    """Return a channel with its own connection to the engine, with keepalive. Must be closed.

    `target`: one of the engine's listeners; default: the clients'.
    """
    return grpc.aio.insecure_channel(
        target or settings.engine_target,
        options=[
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.keepalive_time_ms", round(settings.engine_keepalive_interval_s * 1000)),
            ("grpc.keepalive_timeout_ms", round(settings.engine_keepalive_timeout_s * 1000)),
            # Also for other pings, which keepalive takes for its own; the default is a minute.
            ("grpc.http2.ping_timeout_ms", round(settings.engine_keepalive_timeout_s * 1000)),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.max_pings_without_data", 0),
            ("grpc.initial_reconnect_backoff_ms", 100),
            # How long an attempt to connect may take, too: a busy machine needs more than a moment.
            ("grpc.min_reconnect_backoff_ms", 1_000),
            (
                "grpc.max_reconnect_backoff_ms",
                round(settings.engine_reconnect_backoff_max_s * 1000),
            ),
            ("grpc.max_receive_message_length", _RECEIVE_BYTES_MAX),
            ("grpc.enable_retries", 0),
        ],
    )


class EngineClient:
    """A pool of engine sessions whose number can change while requests are in flight.

    Use as an async context manager. Requests of one account that must keep their order have to wait
    for each other's replies; concurrent ones may take different sessions.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._sessions: list[Session | UnarySession] = []
        self._closing: set[asyncio.Task[None]] = set()
        self._current: Session | UnarySession | None = None
        self._turn = 0

    async def __aenter__(self) -> "EngineClient":
        self.resize(self._settings.grpc_channels)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.resize(0)
        await asyncio.gather(*self._closing)

    @property
    def channels(self) -> int:
        """Number of channels in use."""
        return len(self._sessions)

    @property
    def connected(self) -> bool:
        """True if a request can be sent now."""
        return any(session.connected for session in self._sessions)

    @property
    def in_flight(self) -> int:
        """Number of requests sent and not answered."""
        return sum(session.in_flight for session in self._sessions)

    @property
    def unsent(self) -> int:
        """Number of requests that wait to leave this process."""
        return sum(session.unsent for session in self._sessions)

    @property
    def admin(self) -> "rpc.AdminAsyncStub":
        """Stub of the administrative service, on a channel as above. Calls raise AioRpcError."""
        return rpc.AdminStub(self._channel())

    @property
    def market_data(self) -> "rpc.MarketDataAsyncStub":
        """Stub of the market data service, on a channel as above. Calls raise AioRpcError."""
        return rpc.MarketDataStub(self._channel())

    @property
    def trading(self) -> "rpc.TradingAsyncStub":
        """Stub of the trading service, on a channel that is up if one is. Calls as above."""
        return rpc.TradingStub(self._channel())

    @property
    def message_due(self) -> bool:
        """True if a request should wait a turn of the event loop; see `Session`."""
        return self._current is not None and self._current.message_due

    def submit(self, request: pb.Request) -> asyncio.Future[pb.Reply]:
        """Send one command or query; its request_id is set here. Returns the future of the reply.

        Raises EngineUnavailable or EngineBusy if nothing was sent. The future raises those, or
        FateUnknown if the request was sent and its outcome is unknown.
        """
        return self._session().submit(request)

    def submit_all(self, requests: Sequence[pb.Request]) -> list[asyncio.Future[pb.Reply]]:
        """Send requests in their order, over one session; see `submit`.

        Returns the future of each reply. Raises before any was sent, or not at all.
        """
        return self._session().submit_all(requests)

    def resize(self, channels: int) -> None:
        """Use `channels` channels from now on; surplus ones end when their replies have come."""
        while len(self._sessions) > channels:
            session = self._sessions.pop()
            closing = asyncio.ensure_future(session.close(self._settings.engine_reply_timeout_s))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
        while len(self._sessions) < channels:
            self._sessions.append(self._open_session())
        self._current = None
        for session in self._sessions:
            session.in_flight_max = max(1, self._settings.engine_in_flight_max // channels)

    def export_metrics(self) -> None:
        """Set the gauges that describe this pool."""
        connected = sum(session.connected for session in self._sessions)
        metrics.ENGINE_CHANNELS.labels("connected").set(connected)
        metrics.ENGINE_CHANNELS.labels("connecting").set(len(self._sessions) - connected)
        metrics.ENGINE_IN_FLIGHT.set(self.in_flight)
        metrics.ENGINE_UNSENT.set(self.unsent)

    def _channel(self) -> grpc.aio.Channel:
        """Return a channel that is up, if one is. Raises EngineUnavailable if all are closed."""
        if not self._sessions:
            raise EngineUnavailable("the connections to the matching engine are closed")
        up = (session for session in self._sessions if session.connected)
        return next(up, self._sessions[0]).channel

    def _open_session(self) -> Session | UnarySession:
        settings = self._settings
        channel = open_channel(settings)
        if settings.engine_transport == "unary":
            return UnarySession(
                channel,
                shard_id=settings.shard_id,
                in_flight_max=settings.engine_in_flight_max,
                reply_timeout_s=settings.engine_reply_timeout_s,
            )
        return Session(
            channel,
            shard_id=settings.shard_id,
            in_flight_max=settings.engine_in_flight_max,
            reply_timeout_s=settings.engine_reply_timeout_s,
            backoff_max_s=settings.engine_reconnect_backoff_max_s,
        )

    def _session(self) -> Session | UnarySession:
        """Return the session whose message is being filled, or the next one."""
        session = self._current
        if session is None or not session.batching or not session.has_room:
            session = self._current = self._next_session()
        return session

    def _next_session(self) -> Session | UnarySession:
        """Return the next session in turn that has room, so that all share the load."""
        sessions = self._sessions
        for _ in sessions:
            self._turn = (self._turn + 1) % len(sessions)
            if sessions[self._turn].has_room:
                return sessions[self._turn]
        if not self.connected:
            raise EngineUnavailable("the matching engine cannot be reached")
        raise EngineBusy(f"{self.in_flight} requests are waiting for the matching engine")
