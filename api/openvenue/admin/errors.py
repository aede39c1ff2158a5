"""Failures of administration, each a sentence that says what to do next."""

import re

from openvenue.engine.v1 import engine_pb2 as pb

_FIELD = re.compile(r"\{(\w+)\}")


class AdminError(Exception):
    """The command changed nothing, unless it is EngineAway or OutcomeUnknown.

    `{field}` in it names a field.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__(_FIELD.sub(r"\1", sentence))
        self._sentence = sentence

    def worded(self, field: str) -> str:
        """Return the sentence with each field named in the form `field`, which contains `{}`."""
        return _FIELD.sub(lambda match: field.format(match[1].replace("_", "-")), self._sentence)


class InvalidRequest(AdminError):
    """A field has an invalid value."""


class NotFound(AdminError):
    """The account, instrument, key or order does not exist."""


class AlreadyExists(AdminError):
    """The number is in use."""


class GoesOnTrading(AdminError):
    """The account trades while something is done that needs it to stand still."""


class Refused(AdminError):
    """The engine refused a command, for `reason`, or a call."""

    def __init__(self, sentence: str, reason: int = pb.REASON_NONE) -> None:
        super().__init__(sentence)
        self.reason = reason


class NotAdmitted(Refused):
    """The engine does not know the token, or there is none."""


class TryLater(Refused):
    """The engine has no room for the call now, or another is under way."""


class EngineAway(AdminError):
    """The engine does not answer; it may have executed the command."""


class Interrupted(EngineAway):
    """As EngineAway, for a command with an idempotency key: sending it again is safe."""


class KeyUsed(AdminError):
    """The idempotency key belongs to another command."""


class KeyInUse(AdminError):
    """The idempotency key's first command may still be under way."""

    def __init__(self, sentence: str, retry_after_s: int) -> None:
        super().__init__(sentence)
        self.retry_after_s = retry_after_s


class OutcomeUnknown(AdminError):
    """The command of the idempotency key may have taken effect or not.

    If it did, its entry in the journal has a number above `after_sequence`.
    """

    def __init__(self, sentence: str, after_sequence: int) -> None:
        super().__init__(sentence)
        self.after_sequence = after_sequence


class DatabaseAway(AdminError):
    """The database does not answer; what was asked of it alone was not done."""
