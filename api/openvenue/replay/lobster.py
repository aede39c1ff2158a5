"""Reads LOBSTER message and orderbook files (https://lobsterdata.com/info/DataStructure.php).

Prices are integers of 1e-4 dollars, sizes whole shares. Either file may have a header line and may
be compressed with gzip. Row k of the orderbook file is the book right after message k.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from itertools import islice
from pathlib import Path
from typing import Literal

from openvenue.replay.lines import Line, MalformedFile, data_lines, excerpt

Side = Literal["buy", "sell"]

# LOBSTER fills a level that does not exist with this price and size 0.
NO_LEVEL_PRICE = 9_999_999_999


class MessageType(IntEnum):
    NEW = 1
    REDUCE = 2
    DELETE = 3
    EXECUTE = 4
    EXECUTE_HIDDEN = 5
    CROSS = 6
    HALT = 7


# Messages that change the visible book.
VISIBLE = frozenset((MessageType.NEW, MessageType.REDUCE, MessageType.DELETE, MessageType.EXECUTE))

_MESSAGE_FIELDS = 6

# Fewer changes cannot show whether two files of one length are of the same day.
_CHANGES_TO_JUDGE_BY = 10

# In a renamed file's name, the beginning counts if it is in capitals. In small letters it could be
# any word, so the date must follow in LOBSTER's form.
_TICKER = re.compile(
    r"(?P<ticker>[A-Z][A-Z0-9.-]*(?=_)|[A-Za-z][A-Za-z0-9.-]*(?=_\d{4}-\d\d-\d\d_))"
)


@dataclass(frozen=True, slots=True)
class Message:
    """One event of the visible book. `side` is the resting order's."""

    row: int  # from 0
    time_s: float  # after midnight
    type: MessageType
    order_id: int
    size: int
    price: int
    side: Side


@dataclass(frozen=True, slots=True)
class Row:
    """The best levels after a message as (price, size), best first; a full side has `depth`."""

    depth: int
    bids: tuple[tuple[int, int], ...]
    asks: tuple[tuple[int, int], ...]

    def levels(self, side: Side) -> tuple[tuple[int, int], ...]:
        return self.bids if side == "buy" else self.asks


@dataclass(frozen=True, slots=True)
class Day:
    """A stretch of one symbol's messages; `rows` is empty if there is no orderbook file.

    `notes` say what was left out of the files, a sentence each.
    """

    messages: list[Message]
    rows: list[Row]
    notes: tuple[str, ...] = ()


def read_day(message_file: Path, orderbook_file: Path | None, limit: int | None) -> Day:
    """Read the first `limit` messages (None: all) and their book rows.

    A last line that was cut off is left out, and so is the part of the longer file beyond the
    other. Raises MalformedFile if another line does not parse, or if files of different length are
    not of one day.
    """
    notes: list[str] = []
    messages = list(read_messages(message_file, limit, notes))
    if orderbook_file is None:
        return Day(messages, [], tuple(notes))
    rows = list(_read_rows(orderbook_file, limit, notes))
    lengths = (
        f"{orderbook_file} has {len(rows)} rows but {message_file} has {len(messages)} messages"
    )
    differ = len(rows) != len(messages)
    common = min(len(rows), len(messages))
    del rows[common:], messages[common:]
    shown, changes = _changes_shown(messages, rows)
    if differ and 2 * shown <= changes:
        raise MalformedFile(
            f"{lengths}, and the rows do not show what the messages did: row k must be the "
            "book after message k, so give both files of one download"
        )
    if differ:
        notes.append(f"{lengths}: the first {common} of both are replayed")
    if changes >= _CHANGES_TO_JUDGE_BY and 2 * shown <= changes:
        notes.append(
            f"only {shown} of {changes} rows show what their message did: {orderbook_file} may be "
            "of another day or symbol"
        )
    return Day(messages, rows, tuple(notes))


def _changes_shown(messages: list[Message], rows: list[Row]) -> tuple[int, int]:
    """Return how many rows differ from the one before by just their message, and the total."""
    shown = [
        _size_at(row, message) - _size_at(before, message) == _change(message)
        for message, before, row in zip(messages[1:], rows, rows[1:], strict=False)
        if message.type in VISIBLE
    ]
    return sum(shown), len(shown)


def _size_at(row: Row, message: Message) -> int:
    return dict(row.levels(message.side)).get(message.price, 0)


def _change(message: Message) -> int:
    return message.size if message.type is MessageType.NEW else -message.size


def find_orderbook(message_file: Path) -> Path | None:
    """Return the orderbook file beside `message_file` by LOBSTER's naming, if it exists; either may
    be compressed."""
    named = message_file.with_name(message_file.name.replace("_message_", "_orderbook_"))
    if named == message_file:
        return None
    plain = named.with_suffix("") if named.suffix == ".gz" else named
    candidates = (named, plain, plain.with_name(f"{plain.name}.gz"))
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def symbol_of(message_file: Path) -> str | None:
    """Return the ticker that starts a LOBSTER file name, if it looks like one, in capitals."""
    found = _TICKER.match(message_file.name)
    return found["ticker"].upper() if found else None


def read_messages(
    path: Path, limit: int | None = None, notes: list[str] | None = None
) -> Iterator[Message]:
    """Yield the first `limit` messages (None: all), each as it is read; a last line that was cut
    off is left out, and noted. Raises MalformedFile, and OSError."""
    for row, line in enumerate(islice(data_lines(path), limit)):
        try:
            yield _message(row, line.fields)
        except ValueError as error:
            if row and line.is_cut(_MESSAGE_FIELDS):
                if notes is not None:
                    notes.append(_cut(path, line))
                return
            raise MalformedFile(
                f"{path}:{line.number}: expected time,type 1-7,order id,size,price,direction, got "
                f"'{excerpt(','.join(line.fields))}' ({excerpt(str(error))})"
            ) from error


def _message(row: int, fields: list[str]) -> Message:
    """Parse a message. Raises ValueError if a field is invalid."""
    time_s, kind, order_id, size, price, direction = fields[:_MESSAGE_FIELDS]
    message = Message(
        row=row,
        time_s=float(time_s),
        type=MessageType(int(kind)),
        order_id=int(order_id),
        size=int(size),
        price=int(price),
        side="buy" if int(direction) > 0 else "sell",
    )
    if not 0 <= message.time_s < math.inf:
        raise ValueError("the time is not in seconds after midnight")
    # A cross or a halt has no order: its size, price and direction are codes, or left at 0 or -1.
    if message.type in (MessageType.CROSS, MessageType.HALT):
        return message
    if message.size <= 0 or message.price <= 0:
        raise ValueError("size and price must be above zero")
    if int(direction) not in (1, -1):
        raise ValueError("the direction must be 1 or -1")
    return message


def _read_rows(path: Path, limit: int | None, notes: list[str]) -> Iterator[Row]:
    fields = 0
    for row, line in enumerate(islice(data_lines(path), limit)):
        fields = fields or len(line.fields)
        try:
            yield _row(line.fields, fields)
        except ValueError as error:
            if row and line.is_cut(fields):
                notes.append(_cut(path, line))
                return
            raise MalformedFile(
                f"{path}:{line.number}: expected integers: ask price, ask size, bid price, bid "
                f"size for each level, got '{excerpt(','.join(line.fields))}' "
                f"({excerpt(str(error))})"
            ) from error


def _cut(path: Path, line: Line) -> str:
    return f"{path}:{line.number}, its last line, is cut off and left out"


def _row(fields: list[str], expected: int) -> Row:
    """Parse a row. Raises ValueError if the fields are not levels, or not `expected` many."""
    if len(fields) % 4:
        raise ValueError(f"{len(fields)} fields are no whole number of levels")
    if len(fields) != expected:
        raise ValueError(f"{len(fields)} fields, where the rows before have {expected}")
    numbers = [int(field) for field in fields]
    return Row(
        depth=len(numbers) // 4,
        asks=_levels(numbers[0::4], numbers[1::4]),
        bids=_levels(numbers[2::4], numbers[3::4]),
    )


def _levels(prices: list[int], sizes: list[int]) -> tuple[tuple[int, int], ...]:
    levels = tuple(
        (price, size)
        for price, size in zip(prices, sizes, strict=True)
        if size != 0 and abs(price) != NO_LEVEL_PRICE
    )
    if any(price <= 0 or size < 0 for price, size in levels):
        raise ValueError("a level's size and price must be above zero")
    return levels
