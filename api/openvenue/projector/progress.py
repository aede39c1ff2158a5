"""Progress of a projection, for probes and metrics."""

import math
import time
from collections import deque
from contextlib import AbstractContextManager

from openvenue.projector import metrics
from openvenue.projector.projection import Batch

FAULT = "fault"  # the cause of a failure that a person has to mend

_MARK_INTERVAL_S = 0.05


class Progress:
    """State that the projector reports; `problem` says why it is not ready, None if it is.

    The lag in seconds is the age of the oldest moment whose durable entries are not all in the
    database. It grows while the stream is broken, because the missing entries are unknown then.
    """

    def __init__(self, projection: str) -> None:
        self.projection = projection
        self.problem: str | None = "it is starting"
        self._at_fault = False
        self._metrics = metrics.of_projection(projection)
        self._sequence = 0
        self._durable_sequence = 0
        # Sequence numbers that the database has yet to reach, and when each became durable.
        self._owed: deque[tuple[float, float]] = deque([(math.inf, time.monotonic())])
        self._metrics.lag_seconds.set_function(self.lag_s)
        self._metrics.lag_sequences.set(math.nan)

    def lag_s(self) -> float:
        """Time that the database has been behind, in seconds; 0 if it holds everything."""
        return time.monotonic() - self._owed[0][1] if self._owed else 0.0

    @property
    def entries_behind(self) -> int:
        """Durable entries that the database lacks, as far as known; 0 without a stream."""
        return max(0, self._durable_sequence - self._sequence)

    def standing_by(self) -> None:
        """Note that another process projects."""
        self._clear()
        self._owed.clear()
        self._metrics.lag_sequences.set(math.nan)

    def projecting(self, sequence: int, durable_sequence: int) -> None:
        """Note that the database is at `sequence`, the engine at `durable_sequence`.

        A fault stays until the entries that it came from, which are tried again, are in the
        database.
        """
        if not self._at_fault or durable_sequence <= sequence:
            self._clear()
        since = self._owed[0][1] if self._owed else time.monotonic()
        self._owed.clear()
        self._durable_sequence = durable_sequence
        if durable_sequence > sequence:
            self._owed.append((durable_sequence, since))
        self._metrics.active.set(1)
        self._at(sequence)

    def received(self, durable_sequence: int) -> None:
        """Note how far the engine is."""
        now = time.monotonic()
        if durable_sequence > self._durable_sequence and (
            not self._owed or now - self._owed[-1][1] > _MARK_INTERVAL_S
        ):
            self._owed.append((durable_sequence, now))
        self._durable_sequence = max(self._durable_sequence, durable_sequence)

    def applied(self, batch: Batch) -> None:
        """Note that the database holds the batch."""
        self._clear()
        while self._owed and self._owed[0][0] <= batch.last_sequence:
            self._owed.popleft()
        self._at(batch.last_sequence)
        self._metrics.batch_entries.observe(batch.entries)
        self._metrics.entries.inc(batch.entries)
        self._metrics.rows.inc(batch.rows)

    def stopped(self) -> None:
        """Note that the stream or the database broke, or that the process ends."""
        self._owed.append((math.inf, time.monotonic()))
        self._durable_sequence = self._sequence
        self._metrics.active.set(0)
        self._metrics.lag_sequences.set(math.nan)

    def failed(self, cause: str, error: str) -> None:
        """Note that the projector starts over, because of `cause`."""
        self.problem = f"{cause}: {error}"
        self._at_fault = cause == FAULT
        metrics.FAILURES.labels(self.projection, cause).inc()

    def transaction(self) -> AbstractContextManager[object]:
        """Measure the time of a transaction, commit included."""
        return self._metrics.transaction_seconds.time()

    def _clear(self) -> None:
        self.problem = None
        self._at_fault = False

    def _at(self, sequence: int) -> None:
        self._sequence = sequence
        self._metrics.sequence.set(sequence)
        self._metrics.lag_sequences.set(self.entries_behind)
