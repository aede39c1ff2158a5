"""Runs the API: worker processes on one listening socket, their number changeable at run time.

The parent binds the socket, keeps the wanted number of workers alive and follows the tuning file
(SIGTTIN and SIGTTOU also change the number by one). A worker that is given up stops accepting,
tells its clients to leave with their next answer, and stops when they have gone: no request fails,
because the socket stays open in the others. When all stop, readiness fails first.
"""

import multiprocessing
import os
import shutil
import signal
import socket
import tempfile
import time
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import FrameType

from prometheus_client import multiprocess as prometheus_multiprocess

from openvenue.settings import Settings, get_settings
from openvenue.telemetry import configure_logging, get_logger, set_log_level
from openvenue.tuning import TuningFile, initial_tuning

RETIRE_SIGNAL = signal.SIGUSR2
STARTUP_FAILURE = 3  # uvicorn's exit status

_BACKLOG = 2048
_TICK_S = 0.1
_RESPAWN_INTERVAL_S = 1.0
_KILL_GRACE_S = 5.0
_METRICS_DIR_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"

_log = get_logger(__name__)


class WorkersFailed(RuntimeError):
    """The workers cannot start, and would fail the same way again."""


def serve(settings: Settings | None = None) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises OSError where the address cannot be bound, WorkersFailed where no worker can start.
    """
    settings = settings or get_settings()
    configure_logging(settings.log_level, settings.log_format)
    with socket.create_server((settings.api_host, settings.api_port), backlog=_BACKLOG) as listener:
        listener.set_inheritable(True)
        if settings.api_port_file is not None:
            settings.api_port_file.write_text(f"{listener.getsockname()[1]}\n")
        metrics_dir = _prepare_metrics_dir()
        try:
            Supervisor(settings, listener).run()
        finally:
            if metrics_dir is not None:
                shutil.rmtree(metrics_dir, ignore_errors=True)


class Supervisor:
    """Keeps the wanted number of workers running."""

    def __init__(self, settings: Settings, listener: socket.socket) -> None:
        self._settings = settings
        self._listener = listener
        self._tuning_file = TuningFile(settings.tuning_file, settings)
        self._wanted = initial_tuning(settings).workers
        self._workers: list[SpawnProcess] = []
        self._leaving: list[SpawnProcess] = []
        self._spawn_not_before = 0.0
        self._signals: list[int] = []

    def run(self) -> None:
        """Supervise until a signal says stop."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTTIN, signal.SIGTTOU):
            signal.signal(number, self._on_signal)
        try:
            while not self._handle_signals():
                self._follow_tuning()
                self._reap()
                self._adjust()
                time.sleep(_TICK_S)
        finally:
            self._stop_all()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._signals.append(number)

    def _handle_signals(self) -> bool:
        """Return whether to stop."""
        while self._signals:
            number = self._signals.pop(0)
            if number in (signal.SIGTERM, signal.SIGINT):
                return True
            self._wanted = max(1, self._wanted + (1 if number == signal.SIGTTIN else -1))
        return False

    def _follow_tuning(self) -> None:
        tuning = self._tuning_file.read_if_changed()
        if tuning is not None:
            self._wanted = tuning.workers
            set_log_level(tuning.log_level)

    def _reap(self) -> None:
        """Take note of workers that have ended, wanted or not."""
        for worker in [worker for worker in self._workers if worker.exitcode is not None]:
            self._workers.remove(worker)
            _bury(worker)
            if worker.exitcode == STARTUP_FAILURE:
                raise WorkersFailed("a worker could not start; its log says why")
            _log.error("worker died", pid=worker.pid, exit_code=worker.exitcode)
            self._spawn_not_before = time.monotonic() + _RESPAWN_INTERVAL_S
        for worker in [worker for worker in self._leaving if worker.exitcode is not None]:
            self._leaving.remove(worker)
            _bury(worker)

    def _adjust(self) -> None:
        """Start or retire workers until there are as many as wanted."""
        while len(self._workers) < self._wanted and time.monotonic() >= self._spawn_not_before:
            context = multiprocessing.get_context("spawn")
            worker = context.Process(target=_run_worker, args=(self._listener,))
            worker.start()
            self._workers.append(worker)
            _log.info("worker started", pid=worker.pid)
        while len(self._workers) > self._wanted:
            worker = self._workers.pop()
            _signal(worker, RETIRE_SIGNAL)
            self._leaving.append(worker)
            _log.info("worker retires", pid=worker.pid)

    def _stop_all(self) -> None:
        # Otherwise this process's copy would queue connections that nobody accepts any more.
        self._listener.close()
        workers = self._workers + self._leaving
        for worker in workers:
            _signal(worker, signal.SIGTERM)
        settings = self._settings
        deadline = time.monotonic() + (
            settings.shutdown_notice_s
            + settings.drain_timeout_s
            + settings.engine_reply_timeout_s
            + _KILL_GRACE_S
        )
        for worker in workers:
            worker.join(max(0.0, deadline - time.monotonic()))
            if worker.exitcode is None:
                _log.error("worker did not stop in time", pid=worker.pid)
                worker.kill()
                worker.join()


def _run_worker(listener: socket.socket) -> None:
    # Imported in the worker, so that the parent stays small and starts fast.
    from openvenue.http.serving import run_worker

    run_worker(listener, RETIRE_SIGNAL)


def _signal(worker: SpawnProcess, number: signal.Signals) -> None:
    if worker.exitcode is None and worker.pid is not None:
        os.kill(worker.pid, number)


def _bury(worker: SpawnProcess) -> None:
    worker.join()
    prometheus_multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def _prepare_metrics_dir() -> Path | None:
    """Give the workers an empty directory to share metrics in; return it if it was made here."""
    given = os.environ.get(_METRICS_DIR_VARIABLE)
    if given is None:
        made = Path(tempfile.mkdtemp(prefix="openvenue-metrics-"))
        os.environ[_METRICS_DIR_VARIABLE] = str(made)
        return made
    directory = Path(given)
    directory.mkdir(parents=True, exist_ok=True)
    for leftover in directory.glob("*.db"):
        leftover.unlink()
    return None


if __name__ == "__main__":
    serve()
