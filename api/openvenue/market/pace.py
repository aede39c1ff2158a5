"""The pace of a recorded day: when a message is due, and how soon the next request may go out."""

import time
from collections.abc import Callable

_LATE_MAX_S = 1.0
_BURST_S = 1.0


class Pace:
    """A day's own time, `speed` times as fast, and at most `per_second_max` requests a second.

    A second's requests may go out at once. If the day comes to be late by more than a second,
    because of that bound or a venue that was away, it lasts longer: it never hurries to catch up.
    """

    def __init__(
        self,
        first_s: float,
        speed: float,
        per_second_max: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._speed = speed
        self._interval_s = 1 / per_second_max
        self._clock = clock
        self._origin = clock() - first_s / speed
        self._spent_until = clock()

    def until_due_s(self, time_s: float) -> float:
        """Return how long to wait for a message of this time of the day."""
        wait_s = self._origin + time_s / self._speed - self._clock()
        if wait_s < -_LATE_MAX_S:
            self._origin += -_LATE_MAX_S - wait_s
        return max(0.0, wait_s)

    def until_allowed_s(self) -> float:
        """Return how long to wait before one more request, which this counts."""
        now = self._clock()
        # Generic cell rate algorithm (ITU-T I.371).
        self._spent_until = max(self._spent_until, now) + self._interval_s
        return max(0.0, self._spent_until - now - max(_BURST_S, self._interval_s))
