"""Times as the API shows them: RFC 3339 in UTC with microseconds, as the database keeps them."""

import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache

_NS_PER_S = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def format_ns(timestamp_ns: int) -> str:
    """Return a time given in nanoseconds since the Unix epoch."""
    seconds, nanos = divmod(timestamp_ns, _NS_PER_S)
    return f"{_format_second(seconds)}.{nanos // 1000:06d}Z"


def format_datetime(moment: datetime) -> str:
    """Return a time of the database."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def ns_of(moment: datetime) -> int:
    """Return a time of the database in nanoseconds since the Unix epoch."""
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def now_ns() -> int:
    """Return the wall clock; only for display, never for decisions."""
    return time.time_ns()


@lru_cache(maxsize=4096)
def _format_second(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
