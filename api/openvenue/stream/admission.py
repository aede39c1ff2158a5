"""Decides who may have a connection: keys, numbers of connections, and patience with failures."""

import asyncio
from collections import Counter
from enum import Enum

from openvenue.security.authenticator import (
    AUTHORIZATION_HEADER,
    KEY_ID_HEADER,
    SECRET_HEADER,
    Authenticator,
)
from openvenue.security.client_address import Address, is_within
from openvenue.security.principal import NotAuthenticated, Principal, UncheckedCredentials, may
from openvenue.stream import metrics
from openvenue.stream.settings import StreamSettings
from openvenue.vocabulary import Scope

_DELAY_FIRST_S = 0.1
_FAILURES_FORGOTTEN_S = 60.0
_ADDRESSES_MAX = 10_000
TOKENS_KEY_ID = "oauth"
"""Stands for a key's id where the secret is a bearer token, as in Alpaca's streams."""


class Refusal(Enum):
    """Why a connection is refused or closed; the protocols have words for it."""

    CREDENTIALS = "credentials"
    UNCHECKED = "unchecked"
    KEY_CONNECTIONS = "key_connections"
    TIMEOUT = "timeout"
    REVOKED = "revoked"
    ADDRESS = "address"


def may_come_from(principal: Principal, client: Address | None) -> bool:
    """True if a principal may be used from this address."""
    networks = principal.networks
    return networks is None or (client is not None and is_within(client, networks))


class Admission:
    """Admits connections by their keys.

    An address that fails again and again waits longer for each refusal, because clients connect
    again at once. Nobody waits for admission.
    """

    def __init__(self, authenticator: Authenticator, settings: StreamSettings) -> None:
        self._authenticator = authenticator
        self._settings = settings
        self._connections: Counter[str] = Counter()
        self._failures: dict[str, tuple[int, float]] = {}

    async def admit(
        self, key_id: str, secret: str, client: Address | None, needed: Scope
    ) -> Principal | Refusal:
        """Return the principal of a key or token, or why there is none.

        `left` must follow a principal.
        """
        address = str(client)
        headers: tuple[tuple[bytes, bytes], ...]
        if key_id == TOKENS_KEY_ID:
            headers = ((AUTHORIZATION_HEADER, b"Bearer " + secret.encode()),)
        else:
            headers = ((KEY_ID_HEADER, key_id.encode()), (SECRET_HEADER, secret.encode()))
        try:
            principal = await self._authenticator.principal_of(headers)
        except UncheckedCredentials:
            return self._refused(Refusal.UNCHECKED)
        except NotAuthenticated:
            await self._delay(address)
            return self._refused(Refusal.CREDENTIALS)
        self._failures.pop(address, None)
        if not may(principal, needed):
            return self._refused(Refusal.CREDENTIALS)
        if not may_come_from(principal, client):
            return self._refused(Refusal.ADDRESS)
        if self._connections[principal.key_id] >= self._settings.connections_per_key_max:
            await self._delay(address)
            return self._refused(Refusal.KEY_CONNECTIONS)
        self._connections[principal.key_id] += 1
        return principal

    def left(self, principal: Principal) -> None:
        """Count a connection of `admit` as gone."""
        self._connections[principal.key_id] -= 1
        if not self._connections[principal.key_id]:
            del self._connections[principal.key_id]

    def _refused(self, refusal: Refusal) -> Refusal:
        metrics.REFUSALS.labels(refusal.value).inc()
        return refusal

    async def _delay(self, address: str) -> None:
        now = asyncio.get_running_loop().time()
        failures, failed_at = self._failures.pop(address, (0, now))
        if now - failed_at > _FAILURES_FORGOTTEN_S:
            failures = 0
        if len(self._failures) >= _ADDRESSES_MAX:
            del self._failures[next(iter(self._failures))]
        self._failures[address] = (failures + 1, now)
        delay_s = _DELAY_FIRST_S * 2 ** min(failures, 16)
        await asyncio.sleep(min(delay_s, self._settings.refusal_delay_max_s))
