"""Keeps the wanted number of workers running on one listening socket, each tuned alike.

The supervisor reads the tuning file and sends every worker its settings through a pipe; workers
report the tuning that they run, and their state. SIGTTIN and SIGTTOU change the number of workers
by one.
"""

import ctypes
import resource
import signal
import socket
import time
from pathlib import Path
from types import FrameType

import msgspec
from prometheus_client import Counter, Gauge

from openvenue.reasons import reason_of
from openvenue.serving.metrics_slots import exposition, release_slot
from openvenue.serving.operations import Probes
from openvenue.serving.readiness import Health, ready
from openvenue.serving.tuning import (
    WORKERS_MAX,
    InvalidTuning,
    Rollout,
    TuningFile,
    initial_tuning,
)
from openvenue.serving.worker_place import Place
from openvenue.serving.worker_process import PROCESSES, Work, WorkerProcess
from openvenue.settings import Settings
from openvenue.telemetry import get_logger, set_log_level

STARTUP_FAILURE = 3  # uvicorn's exit status

_TICK_S = 0.1
_STUCK_S = 10.0
_RESPAWN_INTERVAL_S = 1.0
_RESPAWN_INTERVAL_MAX_S = 30.0
_KILL_GRACE_S = 5.0
_PATIENCE_S = 60.0
_PATIENCE_ALONE_S = 10.0
# Files that a worker needs besides its clients' connections: the largest pools, and its own files.
_OTHER_FILES_MAX = 1200

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
_DEATHS = Counter(
    "openvenue_api_worker_deaths", "Workers that ended without being told to, or had to be killed."
)
_TUNING_REJECTED = Counter(
    "openvenue_api_tuning_rejected", "Contents of the tuning file that could not be used."
)
_TARGET_GENERATION = Gauge(
    "openvenue_api_tuning_target_generation",
    "Generation of the tuning file that was read last.",
    multiprocess_mode="livemax",
)

_log = get_logger(__name__)


class WorkersFailed(RuntimeError):
    """The workers cannot start, and would fail again in the same way."""


class Supervisor:
    """Keeps the wanted number of workers running; each does `work`, a function of a module."""

    def __init__(
        self, work: Work, settings: Settings, listener: socket.socket, metrics_dir: Path
    ) -> None:
        self._work = work
        self._settings = settings
        self._listener = listener
        self._metrics_dir = metrics_dir
        self._tuning_file = TuningFile(settings.tuning_file, settings)
        self._tuning_failure: str | None = None
        self._rollout = Rollout(initial_tuning(settings))
        self._workers: list[WorkerProcess] = []
        self._leaving: list[WorkerProcess] = []
        self._connections_max = connections_that_fit(settings.connections_max)
        self._served = False
        # In memory that the workers share. If no worker was ever ready, there are no clients.
        self._ever_ready = PROCESSES.RawValue(ctypes.c_bool, False)
        self._spawn_not_before = 0.0
        self._respawn_interval_s = _RESPAWN_INTERVAL_S
        self._signals: list[int] = []
        self._stopping = False
        self._ticked_at = time.monotonic()

    @property
    def probes(self) -> Probes:
        """Return the answers to probes, for another thread."""
        return Probes(self._health, self._readiness, lambda: exposition(self._metrics_dir))

    def run(self) -> None:
        """Supervise until a signal says stop. Raises WorkersFailed."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTTIN, signal.SIGTTOU):
            signal.signal(number, self._on_signal)
        # The first workers start with the file's tuning, not with one that is replaced at once.
        self._follow_tuning()
        self._rollout = Rollout(self._rollout.target)
        try:
            while not self._handle_signals():
                self._follow_tuning()
                self._listen()
                self._reap()
                self._tune()
                self._adjust()
                self._export_metrics()
                time.sleep(_TICK_S)
        finally:
            self._stop_all()

    def _health(self) -> Health:
        if time.monotonic() - self._ticked_at > _STUCK_S:
            return Health("unavailable", {"supervisor": f"it has been stuck for {_STUCK_S:g} s"})
        if not self._workers and not self._leaving:
            return Health("unavailable", {"worker": "none runs"})
        return Health("ok")

    def _readiness(self) -> Health:
        return ready([worker.report for worker in self._workers], stopping=self._stopping)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._signals.append(number)

    def _handle_signals(self) -> bool:
        """Handle pending signals; return True if it is time to stop."""
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
            # An unreadable file is tried again at each tick, and reported once.
            if isinstance(error, InvalidTuning) or reason_of(error) != self._tuning_failure:
                self._tuning_failure = reason_of(error)
                _TUNING_REJECTED.inc()
                _log.error(
                    "tuning file ignored",
                    path=str(self._settings.tuning_file),
                    reason=self._tuning_failure,
                )
            return
        self._tuning_failure = None
        if tuning is not None:
            self._rollout.target = tuning
            set_log_level(tuning.log_level)
            _log.info("tuning read", **msgspec.structs.asdict(tuning))

    def _listen(self) -> None:
        """Read the workers' reports, also of those that leave: a full pipe would block them."""
        self._ticked_at = time.monotonic()
        for worker in self._workers + self._leaving:
            worker.listen()

    def _tune(self) -> None:
        """Bring the workers a step nearer to the wanted tuning."""
        self._rollout.advance([worker.running for worker in self._workers], len(self._leaving))
        for worker in self._workers:
            worker.tell(self._rollout.current)

    def _reap(self) -> None:
        """Reap workers that have ended, wanted or not, and kill those that hang."""
        for worker in self._workers + self._leaving:
            if worker.process.exitcode is None and worker.hangs(
                self._settings.worker_hang_timeout_s
            ):
                leaves = worker.leave_by is not None
                _log.error("worker hangs, ending it", pid=worker.pid, leaving=leaves)
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
            if worker.process.exitcode != 0:
                _DEATHS.inc()
                exit_code = worker.process.exitcode
                _log.error("worker died while it left", pid=worker.pid, exit_code=exit_code)

    def _bury(self, worker: WorkerProcess) -> None:
        worker.reap()
        release_slot(self._metrics_dir, str(worker.slot))

    def _after_death(self, worker: WorkerProcess) -> None:
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
        """Start or retire workers until their number is as wanted.

        Leaving workers still hold connections, so they count until they have gone.
        """
        self._served = self._served or any(worker.up for worker in self._workers)
        current = self._rollout.current
        while (
            len(self._workers) + len(self._leaving) < current.workers
            and time.monotonic() >= self._spawn_not_before
        ):
            worker = WorkerProcess(self._work, self._place(), current)
            self._workers.append(worker)
            _log.info("worker started", pid=worker.pid)
        while len(self._workers) > current.workers:
            worker = self._workers.pop()
            worker.leave(self._settings.stop_timeout_s + _KILL_GRACE_S)
            self._leaving.append(worker)
            _log.info("worker retires", pid=worker.pid)

    def _place(self) -> Place:
        taken = {worker.slot for worker in self._workers + self._leaving}
        return Place(
            listener=self._listener,
            ever_ready=self._ever_ready,
            metrics_dir=self._metrics_dir,
            slot=next(slot for slot in range(len(taken) + 1) if slot not in taken),
            connections_max=self._connections_max,
            patience_s=self._patience_s(),
        )

    def _patience_s(self) -> float:
        """Return how long a worker that starts now may wait to be ready before it accepts.

        Long if other workers already serve, so that clients never reach an unready one; 0 at the
        first start, so that the port answers.
        """
        if any(worker.up for worker in self._workers):
            return _PATIENCE_S
        return _PATIENCE_ALONE_S if self._served else 0.0

    def _export_metrics(self) -> None:
        _WORKERS_WANTED.set(self._rollout.target.workers)
        _WORKERS_LEAVING.set(len(self._leaving))
        _TARGET_GENERATION.set(self._rollout.target.generation)

    def _stop_all(self) -> None:
        self._stopping = True
        # Otherwise this process's copy would queue connections that no worker accepts any more.
        self._listener.close()
        workers = self._workers + self._leaving
        for worker in workers:
            worker.signal(signal.SIGTERM)
        deadline = time.monotonic() + self._settings.stop_timeout_s + _KILL_GRACE_S
        while any(worker.process.exitcode is None for worker in workers):
            if time.monotonic() > deadline:
                break
            self._listen()
            time.sleep(_TICK_S)
        for worker in workers:
            if worker.process.exitcode is None:
                _log.error("worker did not stop in time", pid=worker.pid)
                worker.process.kill()
            worker.process.join()


def connections_that_fit(wanted: int) -> int:
    """Return how many connections a worker may serve, after raising the limit on open files.

    As many again are open while they are refused, see `http.protocol`.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 2 * wanted + _OTHER_FILES_MAX
    unlimited = resource.RLIM_INFINITY
    if soft != unlimited and soft < needed:
        soft = needed if hard == unlimited else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == unlimited or soft >= needed:
        return wanted
    fitting = max(1, (soft - min(_OTHER_FILES_MAX, soft // 4)) // 2)
    _log.warning(
        "fewer connections than wanted: the limit on open files (ulimit -Hn) is too low",
        connections_max=wanted,
        connections=fitting,
        open_files_max=soft,
    )
    return fitting
