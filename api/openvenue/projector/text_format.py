"""Values in PostgreSQL's text format: exact, and cheaper to make in Python than the binary one.

https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9.2
"""

import time
from functools import lru_cache

NULL = r"\N"

_NANOS = 1_000_000_000
_MICROS = 1_000_000

# PostgreSQL's texts cannot hold NUL; one in the journal must not stop the projection.
_NUL = {0: "\ufffd"}
_COPY_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\0": "\ufffd"})


# Prices and quantities repeat.
@lru_cache(maxsize=1 << 14)
def nanos(amount: int) -> str:
    """Return a count of 1e-9 as a decimal."""
    if amount < 0:
        return "-" + nanos(-amount)
    return f"{amount // _NANOS}.{amount % _NANOS:09d}"


def micros(amount: int) -> str:
    """Return a count of 1e-6 as a decimal."""
    if amount < 0:
        return "-" + micros(-amount)
    return f"{amount // _MICROS}.{amount % _MICROS:06d}"


def timestamp(time_ns: int) -> str:
    """Return a time since the Unix epoch as a timestamptz, cut to PostgreSQL's microseconds."""
    return f"{_second(time_ns // _NANOS)}.{time_ns % _NANOS // 1000:06d}+00"


@lru_cache(maxsize=64)
def _second(time_s: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(time_s))


def text(value: str) -> str:
    """Return a text as a parameter."""
    return value.translate(_NUL)


def copy_text(value: str) -> str:
    """Return a text as a COPY column."""
    return value.translate(_COPY_ESCAPES)
