"""Time frames of bars: which bar a moment belongs to, and when the next one begins."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Integer, func

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_MONDAY = datetime(1970, 1, 5, tzinfo=UTC)
_MINUTE, _HOUR, _DAY, _WEEK, _MONTH = "Min", "Hour", "Day", "Week", "Month"
_LENGTHS = {
    _MINUTE: timedelta(minutes=1),
    _HOUR: timedelta(hours=1),
    _DAY: timedelta(days=1),
    _WEEK: timedelta(weeks=1),
}
# Alpaca's own, and how many of each there may be.
_AMOUNTS = {
    _MINUTE: range(1, 60),
    _HOUR: range(1, 24),
    _DAY: (1,),
    _WEEK: (1,),
    _MONTH: (1, 2, 3, 4, 6, 12),
}
_SHORT = {"T": _MINUTE, "H": _HOUR, "D": _DAY, "W": _WEEK, "M": _MONTH}


class Timeframe(NamedTuple):
    """An amount of minutes, hours, days, weeks or months. All begin in UTC, weeks on Mondays."""

    amount: int
    unit: str

    @property
    def source(self) -> str:
        """The stored time frame whose bars it is made of."""
        return "1Min" if self.unit in (_MINUTE, _HOUR) else "1Day"

    @property
    def stored(self) -> bool:
        """True if its bars need not be made."""
        return f"{self.amount}{self.unit}" == self.source

    def start(self, moment: datetime) -> datetime:
        """Return the start of the bar of a moment."""
        if self.unit == _MONTH:
            months = (moment.year * 12 + moment.month - 1) // self.amount * self.amount
            return datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC)
        return self._origin + (moment - self._origin) // self._length * self._length

    def after(self, start: datetime) -> datetime:
        """Return the start of the bar after the one that begins at `start`."""
        if self.unit == _MONTH:
            months = start.year * 12 + start.month - 1 + self.amount
            return datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC)
        return start + self._length

    def cover(self, since: datetime, until: datetime) -> tuple[datetime, datetime]:
        """Return begin and end of the bars that begin at or after `since` and before `until`."""
        begin = self.start(since)
        if begin < since:
            begin = self.after(begin)
        return begin, self.after(self.start(until - timedelta.resolution))

    def start_of(self, started_at: ColumnElement[Any]) -> ColumnElement[Any]:
        """Return the expression of `start` for a column."""
        if self.unit == _MONTH:
            month = func.date_trunc("month", started_at, "UTC")
            months_ago = func.mod(
                func.date_part("month", func.timezone("UTC", month)).cast(Integer) - 1, self.amount
            )
            return func.timezone(
                "UTC", func.timezone("UTC", month) - func.make_interval(0, months_ago)
            )
        return func.date_bin(self._length, started_at, self._origin)

    @property
    def _origin(self) -> datetime:
        return _FIRST_MONDAY if self.unit == _WEEK else _EPOCH

    @property
    def _length(self) -> timedelta:
        return self.amount * _LENGTHS[self.unit]


def parse_timeframe(text: str) -> Timeframe:
    """Return the time frame of `5Min`, `5T`, `1Hour`, `1D` and so on. Raises ValueError."""
    match = re.fullmatch(r"([0-9]{1,2})(min|t|hour|h|day|d|week|w|month|m)", text, re.IGNORECASE)
    if match is not None:
        amount = int(match[1])
        name = match[2].capitalize()
        unit = _SHORT.get(name, name)
        if amount in _AMOUNTS[unit]:
            return Timeframe(amount, unit)
    raise ValueError(
        "it is none of 1Min to 59Min, 1Hour to 23Hour, 1Day, 1Week, and 1, 2, 3, 4, 6 or 12Month"
    )
