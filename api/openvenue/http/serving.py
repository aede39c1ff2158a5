"""One worker process: uvicorn around the application, leaving without failing a request."""

import asyncio
import gc
import os
import signal
import socket
from types import FrameType

import uvicorn

from openvenue.http.app import Application
from openvenue.settings import Settings, get_settings
from openvenue.telemetry import configure_logging

_DRAIN_POLL_S = 0.05
# Objects that live as long as the process are frozen; what requests make hardly ever has cycles.
_GC_THRESHOLD = 50_000


def run_worker(listener: socket.socket, retire_signal: signal.Signals) -> None:
    """Serve on `listener` until SIGTERM (the venue stops) or `retire_signal` (this worker does)."""
    settings = get_settings()
    configure_logging(settings.log_level, settings.log_format)
    server = WorkerServer(Application(settings), settings)
    signal.signal(retire_signal, server.retire)
    server.run(sockets=[listener])


class WorkerServer(uvicorn.Server):
    """uvicorn's server, with a way out that clients do not notice."""

    def __init__(self, application: Application, settings: Settings) -> None:
        super().__init__(
            uvicorn.Config(
                application,
                loop="uvloop",
                http="httptools",
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=round(settings.keep_alive_timeout_s),
                timeout_graceful_shutdown=round(settings.engine_reply_timeout_s) + 1,
            )
        )
        self._application = application
        self._settings = settings
        self._parent = os.getppid()
        self._stopping = False

    def retire(self, _signal: int, _frame: FrameType | None) -> None:
        """Leave to the other workers; the venue stays up, so readiness is not touched."""
        self.should_exit = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take the parent's SIGTERM as the end of the venue; Ctrl-C is the parent's to handle."""
        if sig == signal.SIGTERM:
            self._stopping = True
            self.should_exit = True

    async def on_tick(self, counter: int) -> bool:
        """Also end when the parent is gone, so that no orphan holds the socket."""
        if counter == 1:
            gc.collect()
            gc.freeze()
            gc.set_threshold(_GC_THRESHOLD, 20, 20)
        if os.getppid() != self._parent:
            self.should_exit = True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Fail readiness, stop accepting, let clients leave by themselves, then stop."""
        self._application.drain(stopping=self._stopping)
        if self._stopping:
            await asyncio.sleep(self._settings.shutdown_notice_s)
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._settings.drain_timeout_s
        # uvicorn has no event for it, as it polls itself.
        while self.server_state.connections and loop.time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(_DRAIN_POLL_S)
        # The rest is idle or waits for the engine: uvicorn closes the ones and awaits the others.
        await super().shutdown(sockets)
