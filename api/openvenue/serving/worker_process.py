"""A worker process, as its supervisor starts and controls it."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

import msgspec

from openvenue.serving.metrics_slots import count_in, remove_metrics_directory
from openvenue.serving.readiness import WorkerReport
from openvenue.serving.tuning import Tuning
from openvenue.serving.worker_place import Place

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

RETIRE_SIGNAL = signal.SIGUSR2
# Importing and connecting take a second or two; on a busy machine, much longer.
_STARTUP_TIMEOUT_S = 120.0
# Several beats, on a busy machine.
_SILENCE_MAX_S = 5.0

Work = Callable[[Place, Connection, Tuning, signal.Signals], bool]
"""Serves in a worker until SIGTERM or the given signal; False: the supervisor is gone."""

PROCESSES = multiprocessing.get_context("spawn")
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(WorkerReport).decode


class WorkerProcess:
    """A worker and the supervisor's end of the pipe to it."""

    def __init__(self, work: Work, place: Place, tuning: Tuning) -> None:
        self._pipe, theirs = PROCESSES.Pipe()
        self.slot = place.slot
        self.process: SpawnProcess = PROCESSES.Process(
            target=_run, args=(work, place, theirs, tuning), name=f"worker-{place.slot}"
        )
        self.process.start()
        theirs.close()
        self._told = tuning
        self._report = WorkerReport()
        self.up = False
        self.heard_at = time.monotonic()
        self.leave_by: float | None = None
        """Time by which a worker that was asked to leave must have gone."""

    @property
    def pid(self) -> int | None:
        """Process id."""
        return self.process.pid

    @property
    def running(self) -> Tuning | None:
        """Tuning that it reports as in force."""
        return self._report.running

    @property
    def report(self) -> WorkerReport | None:
        """Last report; None if it has been silent since."""
        silent = self.up and time.monotonic() - self.heard_at > _SILENCE_MAX_S
        return None if silent else self._report

    def tell(self, tuning: Tuning) -> None:
        """Make it run `tuning`, unless it was told already."""
        if tuning == self._told:
            return
        self._told = tuning
        try:
            self._pipe.send_bytes(_encode(tuning))
        except OSError:
            return  # It has ended and will be reaped.

    def listen(self) -> None:
        """Read its reports since the last time."""
        try:
            while self._pipe.poll():
                self._report = _decode(self._pipe.recv_bytes())
                self.heard_at = time.monotonic()
                self.up = True
        except (EOFError, OSError):
            return  # It has ended and will be reaped.

    def hangs(self, timeout_s: float) -> bool:
        """True if it has been silent for too long, or has not left in time."""
        now = time.monotonic()
        if self.leave_by is not None and now > self.leave_by:
            return True
        allowed = timeout_s if self.up else max(timeout_s, _STARTUP_TIMEOUT_S)
        return now - self.heard_at > allowed

    def leave(self, within_s: float) -> None:
        """Ask it to leave its clients to the others, and to end within a time."""
        self.leave_by = time.monotonic() + within_s
        self.signal(RETIRE_SIGNAL)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it runs."""
        if self.process.exitcode is None and self.process.pid is not None:
            os.kill(self.process.pid, number)

    def reap(self) -> None:
        """Release the resources of a process that has ended."""
        self.process.join()
        self._pipe.close()


def _run(work: Work, place: Place, supervisor: Connection, tuning: Tuning) -> None:
    count_in(place.metrics_dir, str(place.slot))
    if not work(place, supervisor, tuning, RETIRE_SIGNAL):
        # The supervisor was killed, and removes nothing any more.
        remove_metrics_directory(place.metrics_dir)
