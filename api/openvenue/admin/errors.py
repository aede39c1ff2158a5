"""Why something cannot be administrated: a sentence that says what to do next."""

import re

_FIELD = re.compile(r"\{(\w+)\}")


class AdminError(Exception):
    """Nothing was changed, unless it is EngineAway. `{field}` in the sentence names a field."""

    def __init__(self, sentence: str) -> None:
        super().__init__(_FIELD.sub(r"\1", sentence))
        self._sentence = sentence

    def worded(self, field: str) -> str:
        """Return the sentence with each field's name as in `field`, which has `{}` for it."""
        return _FIELD.sub(lambda match: field.format(match[1].replace("_", "-")), self._sentence)


class InvalidRequest(AdminError):
    """A field cannot be what it is asked to be."""


class NotFound(AdminError):
    """There is no such account or instrument."""


class AlreadyExists(AdminError):
    """There is one with this number."""


class Refused(AdminError):
    """The engine refused the command, or the token."""


class EngineAway(AdminError):
    """The engine does not answer; what it was told may have happened."""
