"""One worker process: uvicorn around the application, leaving without failing a request."""

import asyncio
import signal
import socket
from collections.abc import Callable
from multiprocessing.connection import Connection
from types import FrameType

from openvenue.http.app import Application
from openvenue.http.bounded_server import TICKS_A_SECOND, BoundedServer
from openvenue.http.rate_limits import RateLimits
from openvenue.serving.garbage import collect_rarely
from openvenue.serving.supervisor_link import SupervisorLink
from openvenue.serving.tuning import Tuning, tuned_settings
from openvenue.serving.worker_place import Place
from openvenue.settings import Settings, get_settings
from openvenue.telemetry import configure_logging

_DRAIN_POLL_S = 0.05
_RATE_LIMITS = "rate-limits"  # beside the metrics, which the pod's workers share, too


def run_worker(
    place: Place, supervisor: Connection, tuning: Tuning, retire_signal: signal.Signals
) -> bool:
    """Serve until SIGTERM (the venue stops) or `retire_signal` (this worker does).

    The worker takes no connection before it is ready, or has waited `place.patience_s` for that.
    Returns whether the supervisor still runs.
    """
    settings = tuned_settings(get_settings(), tuning).model_copy(
        update={"connections_max": place.connections_max}
    )
    configure_logging(settings.log_level, settings.log_format)
    application = Application(
        settings,
        follow_supervisor=lambda: SupervisorLink(supervisor, tuning, place.ever_ready),
        patience_s=place.patience_s,
        rate_limits=RateLimits(place.metrics_dir / _RATE_LIMITS),
    )
    server = WorkerServer(application, settings)
    signal.signal(retire_signal, server.retire)
    server.run(sockets=[place.listener])
    return application.supervised()


class WorkerServer(BoundedServer):
    """Stops without failing a request."""

    def __init__(self, application: Application, settings: Settings) -> None:
        super().__init__(application, settings, lifespan="on")
        self._application = application
        self._settings = settings
        self._stopping = False

    def retire(self, _signal: int, _frame: FrameType | None) -> None:
        """Leave clients to the other workers. The venue stays up, so readiness does too."""
        self._leave()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take the supervisor's SIGTERM as the end of the venue; Ctrl-C is for the supervisor."""
        if sig == signal.SIGTERM:
            self._stopping = True
            self._leave()

    def _leave(self) -> None:
        self._application.leaves = True
        self.should_exit = True

    async def on_tick(self, counter: int) -> bool:
        """Also end when the supervisor is gone, so that no orphan holds the socket."""
        if counter == 1:
            collect_rarely()
        if counter % TICKS_A_SECOND == 0:
            self.end_overdue()
            self._application.connections = len(self.server_state.connections)
            self._application.unread_bytes = self.unread_bytes
        if not self._application.supervised():
            self.should_exit = True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Fail readiness, stop accepting, let clients leave by themselves, then stop.

        If no worker has been ready yet, there are no clients, and it stops at once: a worker that
        waits for the database or the engine must not take the time of a drain.
        """
        self._application.drain(stopping=self._stopping)
        self._shared.relays.close()
        if not self._application.may_have_clients():
            await super().shutdown(sockets)
            return
        if self._stopping:
            await self._wait_while(self._settings.shutdown_notice_s, lambda: True)
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        await self._wait_while(
            self._settings.drain_timeout_s, lambda: bool(self.server_state.connections)
        )
        # The other connections are idle or wait for the engine: uvicorn closes or awaits them.
        await super().shutdown(sockets)

    async def _wait_while(self, timeout_s: float, wanted: Callable[[], bool]) -> None:
        """Wait at most `timeout_s`, while `wanted` holds."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        # uvicorn has no event for its connections; it polls too.
        while wanted() and loop.time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(_DRAIN_POLL_S)
