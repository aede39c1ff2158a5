"""Keeps the wanted number of API workers running on one listening socket, each tuned alike.

The supervisor reads the tuning file and hands every worker its settings through a pipe; workers
say back what they run, and that they are alive. SIGTTIN and SIGTTOU change the number of workers by
one.
"""

import ctypes
import multiprocessing
import os
import signal
import socket
import time
from multiprocessing.connection import Connection
from types import FrameType
from typing import TYPE_CHECKING

import msgspec
from prometheus_client import Counter, Gauge

from openvenue.metrics_archive import MetricsArchive
from openvenue.settings import Settings
from openvenue.telemetry import get_logger, set_log_level
from openvenue.tuning import (
    WORKERS_MAX,
    InvalidTuning,
    Rollout,
    Tuning,
    TuningFile,
    initial_tuning,
)

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

RETIRE_SIGNAL = signal.SIGUSR2
STARTUP_FAILURE = 3  # uvicorn's exit status

_TICK_S = 0.1
_RESPAWN_INTERVAL_S = 1.0
_RESPAWN_INTERVAL_MAX_S = 30.0
_KILL_GRACE_S = 5.0
# Importing and connecting take a second or two; on a machine that is busy starting, much longer.
_STARTUP_TIMEOUT_S = 120.0
_PATIENCE_S = 60.0
_PATIENCE_ALONE_S = 10.0

# Here and not with the workers' metrics: a process that imports a gauge also shows it.
_WORKERS_WANTED = Gauge(
    "openvenue_api_workers_wanted",
    "Workers that the tuning asks for.",
    multiprocess_mode="livemax",
)
_WORKERS_LEAVING = Gauge(
    "openvenue_api_workers_leaving",
    "Workers on their way out, which still hold connections.",
    multiprocess_mode="livemax",
)
_DEATHS = Counter("openvenue_api_worker_deaths", "Workers that ended without being told to.")
_TUNING_REJECTED = Counter(
    "openvenue_api_tuning_rejected", "Contents of the tuning file that could not be used."
)
_TARGET_GENERATION = Gauge(
    "openvenue_api_tuning_target_generation",
    "Generation of the tuning file that was read last.",
    multiprocess_mode="livemax",
)

_PROCESSES = multiprocessing.get_context("spawn")
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Tuning).decode
_log = get_logger(__name__)


class WorkersFailed(RuntimeError):
    """The workers cannot start, and would fail the same way again."""


class Worker:
    """A worker process and the supervisor's end of the pipe to it."""

    def __init__(
        self,
        listener: socket.socket,
        tuning: Tuning,
        ever_ready: ctypes.c_bool,
        *,
        patience_s: float,
    ) -> None:
        self._pipe, theirs = _PROCESSES.Pipe()
        self.process: SpawnProcess = _PROCESSES.Process(
            target=_run_worker, args=(listener, theirs, tuning, ever_ready, patience_s)
        )
        self.process.start()
        theirs.close()
        self._told = tuning
        self.running: Tuning | None = None
        self.up = False
        self.heard_at = time.monotonic()

    @property
    def pid(self) -> int | None:
        """Its process id."""
        return self.process.pid

    def tell(self, tuning: Tuning) -> None:
        """Have it run `tuning`, unless it was told already."""
        if tuning == self._told:
            return
        self._told = tuning
        try:
            self._pipe.send_bytes(_encode(tuning))
        except OSError:
            return  # It has ended, and is about to be reaped.

    def listen(self) -> None:
        """Take in what it has said since the last time."""
        try:
            while self._pipe.poll():
                message = self._pipe.recv_bytes()
                self.heard_at = time.monotonic()
                self.up = True
                if message:
                    self.running = _decode(message)
        except (EOFError, OSError):
            return  # It has ended, and is about to be reaped.

    def hangs(self, timeout_s: float) -> bool:
        """Whether it has been silent for too long."""
        allowed = timeout_s if self.up else max(timeout_s, _STARTUP_TIMEOUT_S)
        return time.monotonic() - self.heard_at > allowed

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it runs."""
        if self.process.exitcode is None and self.process.pid is not None:
            os.kill(self.process.pid, number)

    def bury(self) -> None:
        """Release what is left of a process that has ended."""
        self.process.join()
        self._pipe.close()


class Supervisor:
    """Keeps the wanted number of workers running."""

    def __init__(self, settings: Settings, listener: socket.socket) -> None:
        self._settings = settings
        self._listener = listener
        self._tuning_file = TuningFile(settings.tuning_file, settings)
        self._rollout = Rollout(initial_tuning(settings))
        self._workers: list[Worker] = []
        self._leaving: list[Worker] = []
        self._archive = MetricsArchive.of_environment()
        self._served = False
        # In memory that the workers share. A worker of one that never was ready has no clients.
        self._ever_ready = _PROCESSES.RawValue(ctypes.c_bool, False)
        self._spawn_not_before = 0.0
        self._respawn_interval_s = _RESPAWN_INTERVAL_S
        self._signals: list[int] = []

    def run(self) -> None:
        """Supervise until a signal says stop. Raises WorkersFailed."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTTIN, signal.SIGTTOU):
            signal.signal(number, self._on_signal)
        # The first workers start with what the file says, not with what is replaced at once.
        self._follow_tuning()
        self._rollout = Rollout(self._rollout.target)
        try:
            while not self._handle_signals():
                self._follow_tuning()
                self._reap()
                self._tune()
                self._adjust()
                self._export_metrics()
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
            target = self._rollout.target
            workers = target.workers + (1 if number == signal.SIGTTIN else -1)
            workers = min(max(workers, 1), WORKERS_MAX)
            self._rollout.target = msgspec.structs.replace(target, workers=workers)
        return False

    def _follow_tuning(self) -> None:
        try:
            tuning = self._tuning_file.read_if_changed()
        except (InvalidTuning, OSError) as error:
            _TUNING_REJECTED.inc()
            _log.error(
                "tuning file ignored", path=str(self._settings.tuning_file), reason=str(error)
            )
            return
        if tuning is not None:
            self._rollout.target = tuning
            set_log_level(tuning.log_level)
            _log.info("tuning read", **msgspec.structs.asdict(tuning))

    def _tune(self) -> None:
        """Bring the workers a step nearer to the tuning that is wanted."""
        for worker in self._workers:
            worker.listen()
        self._rollout.advance([worker.running for worker in self._workers], len(self._leaving))
        for worker in self._workers:
            worker.tell(self._rollout.current)

    def _reap(self) -> None:
        """Take note of workers that have ended, wanted or not, and end those that hang."""
        for worker in self._workers:
            if worker.hangs(self._settings.worker_hang_timeout_s):
                _log.error("worker hangs, ending it", pid=worker.pid)
                worker.process.kill()
                worker.process.join()
        for worker in [worker for worker in self._workers if worker.process.exitcode is not None]:
            self._workers.remove(worker)
            worker.listen()
            self._bury(worker)
            self._after_death(worker)
        for worker in [worker for worker in self._leaving if worker.process.exitcode is not None]:
            self._leaving.remove(worker)
            self._bury(worker)

    def _after_death(self, worker: Worker) -> None:
        exit_code = worker.process.exitcode
        self._served = self._served or worker.up
        if exit_code == STARTUP_FAILURE and not self._served:
            raise WorkersFailed("a worker could not start; its log says why")
        _DEATHS.inc()
        _log.error("worker died", pid=worker.pid, exit_code=exit_code)
        if worker.up:
            self._respawn_interval_s = _RESPAWN_INTERVAL_S
        self._spawn_not_before = time.monotonic() + self._respawn_interval_s
        self._respawn_interval_s = min(2 * self._respawn_interval_s, _RESPAWN_INTERVAL_MAX_S)

    def _adjust(self) -> None:
        """Start or retire workers until there are as many as wanted.

        Those on their way out still hold connections, so they count until they have gone.
        """
        self._served = self._served or any(worker.up for worker in self._workers)
        current = self._rollout.current
        while (
            len(self._workers) + len(self._leaving) < current.workers
            and time.monotonic() >= self._spawn_not_before
        ):
            worker = Worker(
                self._listener, current, self._ever_ready, patience_s=self._patience_s()
            )
            self._workers.append(worker)
            _log.info("worker started", pid=worker.pid)
        while len(self._workers) > current.workers:
            worker = self._workers.pop()
            worker.signal(RETIRE_SIGNAL)
            self._leaving.append(worker)
            _log.info("worker retires", pid=worker.pid)

    def _patience_s(self) -> float:
        """How long a worker that starts now may wait until it can serve, taking no connection.

        What the others answer meanwhile, it need not refuse. Of the first worker, and soon of the
        only one, people want to hear why it is not ready.
        """
        if any(worker.up for worker in self._workers):
            return _PATIENCE_S
        return _PATIENCE_ALONE_S if self._served else 0.0

    def _export_metrics(self) -> None:
        _WORKERS_WANTED.set(self._rollout.target.workers)
        _WORKERS_LEAVING.set(len(self._leaving))
        _TARGET_GENERATION.set(self._rollout.target.generation)

    def _bury(self, worker: Worker) -> None:
        worker.bury()
        if worker.pid is not None:
            self._archive.take_over(worker.pid)

    def _stop_all(self) -> None:
        # Otherwise this process's copy would queue connections that nobody accepts any more.
        self._listener.close()
        workers = self._workers + self._leaving
        for worker in workers:
            worker.signal(signal.SIGTERM)
        deadline = time.monotonic() + self._settings.stop_timeout_s + _KILL_GRACE_S
        for worker in workers:
            worker.process.join(max(0.0, deadline - time.monotonic()))
            if worker.process.exitcode is None:
                _log.error("worker did not stop in time", pid=worker.pid)
                worker.process.kill()
                worker.process.join()


def _run_worker(
    listener: socket.socket,
    supervisor: Connection,
    tuning: Tuning,
    ever_ready: ctypes.c_bool,
    patience_s: float,
) -> None:
    # Imported in the worker, so that the parent stays small and starts fast.
    from openvenue.http.serving import run_worker

    run_worker(listener, supervisor, tuning, ever_ready, RETIRE_SIGNAL, patience_s)
