"""Administrators who may only read: their tokens are known here, and not to the engine.

So whoever has one can do nothing with it at the engine itself. The process reads for them with a
token of its own.
"""

import hmac
from pathlib import Path

from openvenue.admin.client import may_be_token
from openvenue.telemetry import get_logger

# As the engine has it for its own.
_TOKEN_CHARACTERS_MIN = 16

_log = get_logger(__name__)


class Readers:
    """The tokens in a directory's files, as in a mounted Secret; None: there are none."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory

    def include(self, token: str) -> bool:
        """True if a file holds the token. Files are read at each call, so they may change."""
        if self._directory is None:
            return False
        asked, found = token.encode(), False
        try:
            files = sorted(self._directory.iterdir())
        except OSError as error:
            _log.error("tokens of readers cannot be read", reason=str(error))
            return False
        for file in files:
            # A Secret's links begin with a dot.
            if file.name.startswith(".") or not file.is_file():
                continue
            held = _held(file)
            if held is None:
                _log.warning("token of a reader is not used", file=file.name)
            elif hmac.compare_digest(held.encode(), asked):
                found = True  # Keep looping: leaving early would reveal its place.
        return found


def _held(file: Path) -> str | None:
    """Return the file's token, None if it cannot be one."""
    try:
        token = file.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return None
    is_good = may_be_token(token) and len(token) >= _TOKEN_CHARACTERS_MIN
    return token if is_good else None
