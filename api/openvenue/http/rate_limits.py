"""How many requests a key may send: a token bucket for each key, which a pod's workers share.

A bucket holds a minute's requests and fills continuously. All that is stored of it is the time at
which it will be full (the generic cell rate algorithm), in a file that all workers map into their
memory. No lock guards it: if two workers take for the same key within the same microsecond, one
request may go uncounted. A full bucket needs no place, so the file's size does not bound the number
of keys; a key loses its place only while all places around its own are taken.

Times are of the monotonic clock, which is the machine's, so the same in all processes.
"""

import hashlib
import math
import mmap
import time
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

_ROWS = 1 << 14
_PROBES = 8
_PERIOD_S = 60.0
_ROUNDING_S = 1e-6
_KEYS_KNOWN_MAX = 10_000


class Allowance(NamedTuple):
    """The requests that a key has left."""

    limit: int
    """Requests a minute."""
    remaining: int
    """Requests that it could send at once now."""
    full_at_s: float
    """Seconds since 1970, when it could send `limit` at once again."""
    wait_s: float
    """0: the request may go on; else how long the next one has to wait."""

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return the headers of the answer, as Alpaca names them."""
        return [
            (b"x-ratelimit-limit", b"%d" % self.limit),
            (b"x-ratelimit-remaining", b"%d" % self.remaining),
            (b"x-ratelimit-reset", b"%d" % math.ceil(self.full_at_s)),
        ]


class RateLimits:
    """The buckets; `file` is shared with the other workers, None: they are this process's own."""

    def __init__(self, file: Path | None = None) -> None:
        size = 16 * _ROWS
        if file is None:
            memory = mmap.mmap(-1, size)
        else:
            with file.open("a+b") as opened:
                opened.truncate(size)
                memory = mmap.mmap(opened.fileno(), size)
        view = memoryview(memory)
        self._keys = view[: 8 * _ROWS].cast("Q")
        self._full_at = view[8 * _ROWS :].cast("d")

    def take(self, key_id: str, per_minute: int, count: int = 1) -> Allowance:
        """Take `count` requests out of a key's bucket if they are in it, else none."""
        now = time.monotonic()
        row = self._row(_number_of(key_id))
        full_at = self._full_at[row]
        # Beyond a period it is of another boot of the machine.
        if not now < full_at <= now + _PERIOD_S + _ROUNDING_S:
            full_at = now
        interval_s = _PERIOD_S / per_minute
        taken_s = count * interval_s
        wait_s = max(0.0, full_at + taken_s - now - _PERIOD_S)
        if wait_s > _ROUNDING_S:
            taken_s = 0.0
        else:
            wait_s = 0.0
            self._full_at[row] = full_at + taken_s
        missing_s = full_at + taken_s - now
        remaining = max(0, int((_PERIOD_S - missing_s + _ROUNDING_S) / interval_s))
        return Allowance(per_minute, remaining, time.time() + missing_s, wait_s)

    def _row(self, number: int) -> int:
        """Return the key's row; a new key gets the row around its own that is full first."""
        chosen = first = number % _ROWS
        for offset in range(_PROBES):
            row = (first + offset) % _ROWS
            if self._keys[row] == number:
                return row
            if self._full_at[row] < self._full_at[chosen]:
                chosen = row
        self._keys[chosen] = number
        self._full_at[chosen] = 0.0
        return chosen


@lru_cache(maxsize=_KEYS_KNOWN_MAX)
def _number_of(key_id: str) -> int:
    """Return a number that is the same in all processes, and not 0."""
    digest = hashlib.blake2b(key_id.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") or 1
