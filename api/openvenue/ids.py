"""Public ids: UUIDs of version 8 (RFC 9562) that encode what they name, so that no table maps them.

    custom_a (48 bits)  shard id
    custom_b (12 bits)  kind: 0 order, 1 account, 2 instrument, 3 execution
    custom_c (62 bits)  the engine's number

Order 1234 of shard 1 is 00000000-0001-8000-8000-0000000004d2.
"""

from enum import IntEnum
from uuid import UUID

_NUMBER_BITS = 62
_NUMBER_MASK = (1 << _NUMBER_BITS) - 1
_VARIANT = 0b10 << _NUMBER_BITS
_TEXT_LENGTH = 36
_SHORT_MAX = 1 << 48  # below it, a number has digits only in the last group


class Kind(IntEnum):
    """Type of the thing that an id names; the value is its custom_b field."""

    ORDER = 0
    ACCOUNT = 1
    INSTRUMENT = 2
    EXECUTION = 3


class IdSpace:
    """The ids of one kind on one shard."""

    def __init__(self, shard_id: int, kind: Kind) -> None:
        shard = f"{shard_id:012x}"
        self._prefix = f"{shard[:8]}-{shard[8:]}-8{kind:03x}-"
        self._short_prefix = f"{self._prefix}{_VARIANT >> 48:04x}-"

    def format(self, number: int) -> str:
        """Return the UUID text of engine number `number` (0 < number < 2**62)."""
        if number < _SHORT_MAX:
            return f"{self._short_prefix}{number:012x}"
        digits = f"{_VARIANT | number:016x}"
        return f"{self._prefix}{digits[:4]}-{digits[4:]}"

    def parse(self, text: str) -> int | None:
        """Return the engine's number, or None if `text` is not an id of this space.

        Accepts every spelling of a UUID that Python's `uuid` does; ids are case-insensitive.
        """
        try:
            canonical = text if len(text) == _TEXT_LENGTH else str(UUID(text))
            canonical = canonical.lower()
            number = int(canonical[19:23] + canonical[24:], 16)
        except ValueError:
            return None
        if number >> _NUMBER_BITS != 0b10 or not number & _NUMBER_MASK:
            return None
        number &= _NUMBER_MASK
        return number if self.format(number) == canonical else None
