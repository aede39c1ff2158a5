"""Numbers and times in words."""

from datetime import UTC, datetime


def count(number: int, what: str) -> str:
    """Return a number of things, in singular or plural."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def at(time: float) -> str:
    """Return a time of today (UTC)."""
    return datetime.fromtimestamp(time, UTC).strftime("%H:%M:%S")
