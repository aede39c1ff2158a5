"""Times as the API takes and shows them: RFC 3339; shown in UTC with microseconds, as the database
keeps them."""

import re
import time
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Annotated

from pydantic import BeforeValidator

_NS_PER_S = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_LATEST = datetime(2200, 1, 1, tzinfo=UTC)


def _date_or_time(text: object) -> object:
    """Refuse numbers, which pydantic would read as seconds since 1970."""
    if isinstance(text, str) and not re.match(r"\d{4}-\d{2}-\d{2}", text):
        raise ValueError("it is no date and no RFC 3339 time")
    return text


Moment = Annotated[datetime | None, BeforeValidator(_date_or_time)]
"""A query parameter: a date, which means its beginning, or a time. See `in_range`."""


def in_range(moment: datetime) -> datetime:
    """Return a parameter within the database's range; nothing happened beyond it.

    A time without a zone is UTC.
    """
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max(moment, _EPOCH), _LATEST)


def format_ns(timestamp_ns: int) -> str:
    """Return a time given in nanoseconds since the Unix epoch."""
    seconds, nanos = divmod(timestamp_ns, _NS_PER_S)
    # Every order's time: padding by a format such as :06d takes twice as long.
    return f"{_format_second(seconds)}.{str(nanos // 1000 + 1_000_000)[1:]}Z"


def format_datetime(moment: datetime) -> str:
    """Return a time of the database."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def ns_of(moment: datetime) -> int:
    """Return a time of the database in nanoseconds since the Unix epoch."""
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def utc_date(moment: datetime) -> date:
    """Return a parameter's date in UTC, within the database's range."""
    return in_range(moment).astimezone(UTC).date()


def now_ns() -> int:
    """Return the wall clock; only for display, never for decisions."""
    return time.time_ns()


@lru_cache(maxsize=4096)
def _format_second(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
