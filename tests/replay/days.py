"""Small LOBSTER days: message and orderbook files as text, and a planner's result for them."""

from collections.abc import Iterable
from pathlib import Path

from openvenue.replay.lobster import Day, read_day
from openvenue.replay.plan import Planner, Request, Step

# The book before the first message of every day here: two orders of 100.
ASKS, BIDS = (1_000_200, 100), (1_000_000, 100)


def row(*, ask: tuple[int, int] = ASKS, bid: tuple[int, int] = BIDS) -> str:
    """Return a level-1 row."""
    return f"{ask[0]},{ask[1]},{bid[0]},{bid[1]}"


def message(kind: int, order_id: int, size: int, price: int, direction: int) -> str:
    return f"34200.5,{kind},{order_id},{size},{price},{direction}"


def write_day(directory: Path, lines: Iterable[tuple[str, str]]) -> Path:
    """Write (message, row) pairs under LOBSTER's file names; return the message file."""
    messages, rows = zip(*lines, strict=True)
    file = directory / "AAPL_2012-06-21_34200000_57600000_message_1.csv"
    file.write_text("\n".join(messages) + "\n")
    orderbook = directory / "AAPL_2012-06-21_34200000_57600000_orderbook_1.csv"
    orderbook.write_text("\n".join(rows) + "\n")
    return file


def day(directory: Path, *lines: tuple[str, str]) -> Day:
    file = write_day(directory, lines)
    return read_day(file, file.with_name(file.name.replace("message", "orderbook")), None)


def plan(directory: Path, *lines: tuple[str, str]) -> tuple[list[Request], list[Step], Planner]:
    """Return seeds, steps and the planner after them."""
    planner = Planner(day(directory, *lines))
    return planner.seeds(), list(planner.steps()), planner


HIDDEN = message(5, 0, 1, 1_000_100, 1)
