"""Admits administrators: the engine alone knows their tokens.

A request's token goes on to the engine with each of its commands, which the engine checks, and
journals under the token's name. Keys are in the database alone, so the engine is asked first for
every request, and its yes is kept for a moment.

Tokens of readers are not the engine's, see `readers`: for them the process asks with its own.
"""

import hashlib
import time
from collections.abc import Iterable
from dataclasses import dataclass

import grpc

from openvenue.admin.client import Admin, may_be_token, read_token
from openvenue.admin.errors import NotAdmitted
from openvenue.admin_server import metrics
from openvenue.admin_server.readers import Readers
from openvenue.admin_server.settings import AdminSettings
from openvenue.http import problems
from openvenue.settings import Settings
from openvenue.telemetry import get_logger

_KEPT_S = 2.0
_KEPT_MAX = 64
_HEADER = b"authorization"
_SCHEME = b"bearer "

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Administrator:
    """The sender of a request.

    `admin` calls the engine with their rights; `fingerprint` names their token in the log.
    """

    admin: Admin
    fingerprint: str
    may_change: bool = True

    def require_change(self, what: str) -> None:
        """Raise Problem 403 if their token may only read."""
        if not self.may_change:
            raise problems.not_allowed(
                f"this token may only read: {what} takes a token of the engine"
            )


class Tokens:
    """Admits requests by their `Authorization: Bearer TOKEN`."""

    def __init__(self, channel: grpc.aio.Channel, settings: Settings, own: AdminSettings) -> None:
        self._channel = channel
        self._settings = settings
        self._readers = Readers(own.readers)
        self._checks_max = own.token_checks_max
        self._checks = 0
        # Digests of tokens, so that no copy of one outlives its request.
        self._good_until: dict[bytes, float] = {}

    async def admit(self, headers: Iterable[tuple[bytes, bytes]]) -> Administrator:
        """Return who sends this request, with the engine's administration as they may use it.

        Raises NotAdmitted, AdminError if the engine is away, Problem 429, 400 or 503.
        """
        token = _token_of(headers)
        digest = _digest(token)
        if self._readers.include(token):
            return Administrator(await self._own(), digest.hex()[:8], may_change=False)
        return Administrator(await self._admin(token, digest), digest.hex()[:8])

    async def _own(self) -> Admin:
        """Return the engine's administration with the process's own token."""
        try:
            token = read_token(self._settings.engine_admin_token_file)
            return await self._admin(token, _digest(token))
        except NotAdmitted as error:
            _log.error("readers cannot be served", reason=str(error))
            raise problems.unavailable(
                "the engine does not accept the token of this process, with which it reads"
            ) from error

    async def _admin(self, token: str, digest: bytes) -> Admin:
        admin = Admin(
            self._channel, self._settings.engine_admin_target, token, self._settings.shard_id
        )
        if self._good_until.get(digest, 0.0) < time.monotonic():
            await self._check(admin, digest)
        return admin

    async def _check(self, admin: Admin, digest: bytes) -> None:
        if self._checks >= self._checks_max:
            raise problems.too_many("too many tokens are being checked")
        self._good_until.pop(digest, None)
        asked_at = time.monotonic()
        self._checks += 1
        try:
            await admin.check_token()
        except NotAdmitted:
            metrics.TOKENS_REFUSED.inc()
            raise
        finally:
            self._checks -= 1
        if len(self._good_until) >= _KEPT_MAX:
            del self._good_until[next(iter(self._good_until))]
        self._good_until[digest] = asked_at + _KEPT_S


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _token_of(headers: Iterable[tuple[bytes, bytes]]) -> str:
    given = [value for name, value in headers if name == _HEADER]
    if len(given) > 1:
        raise problems.bad_request("Authorization is given twice")
    value = given[0] if given else b""
    token = value[len(_SCHEME) :].decode("latin-1").strip()
    if value[: len(_SCHEME)].lower() != _SCHEME or not may_be_token(token):
        metrics.TOKENS_REFUSED.inc()
        raise NotAdmitted("the request shows no token")
    return token
