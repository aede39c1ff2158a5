"""Failures of administration, each a sentence that says what to do next."""

import re

_FIELD = re.compile(r"\{(\w+)\}")


class AdminError(Exception):
    """The command changed nothing, unless it is EngineAway. `{field}` in it names a field."""

    def __init__(self, sentence: str) -> None:
        super().__init__(_FIELD.sub(r"\1", sentence))
        self._sentence = sentence

    def worded(self, field: str) -> str:
        """Return the sentence with each field named in the form `field`, which contains `{}`."""
        return _FIELD.sub(lambda match: field.format(match[1].replace("_", "-")), self._sentence)


class InvalidRequest(AdminError):
    """A field has an invalid value."""


class NotFound(AdminError):
    """The account or instrument does not exist."""


class AlreadyExists(AdminError):
    """The number is in use."""


class Refused(AdminError):
    """The engine refused the command, or the token."""


class EngineAway(AdminError):
    """The engine does not answer; it may have executed the command."""
