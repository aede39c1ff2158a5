"""Reads API keys with the configurations of their accounts, and those of accounts that tokens name,
over the connection that listens for changes of both.

It does not use the pool, so that slow queries cannot keep keys from being checked, nor a flood of
unknown keys take the queries' connections.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from openvenue.db.listener import Listener
from openvenue.security.keys import NO_LIMITS, KeyLimits, hash_of_stored
from openvenue.security.principal import Restrictions
from openvenue.vocabulary import SCOPES, Scope

_KEYS_IN_FORCE = """
SELECT key_id, account_id, secret_hash, scopes, expires_at, allowed_networks, requests_per_minute,
    suspend_trade, no_shorting, fractional_trading, trading_blocked
FROM api_keys LEFT JOIN account_configurations USING (shard_id, account_id)
WHERE key_id = ANY($1::text[]) AND shard_id = $2 AND revoked_at IS NULL
    AND (expires_at IS NULL OR expires_at > now())
"""

_CONFIGURATIONS = """
SELECT account_id, suspend_trade, no_shorting, fractional_trading, trading_blocked
FROM account_configurations
WHERE account_id = ANY($1::bigint[]) AND shard_id = $2
"""


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A valid key."""

    account_id: int
    secret_hash: bytes
    """As `hash_secret` returns it."""
    scopes: frozenset[Scope]
    """Without those of later versions."""
    restrictions: Restrictions | None = None
    limits: KeyLimits = NO_LIMITS


class KeyReader:
    """Reads the valid keys of one shard."""

    def __init__(self, listener: Listener, shard_id: int, *, timeout_s: float) -> None:
        self._listener = listener
        self._shard_id = shard_id
        self._timeout_s = timeout_s

    async def read(self, key_ids: Sequence[str]) -> dict[str, KeyRow]:
        """Return the valid ones of `key_ids`, by id.

        Raises openvenue.db.listener.NoAnswer if the database does not answer in time.
        """
        rows = await self._listener.fetch(
            _KEYS_IN_FORCE, key_ids, self._shard_id, timeout_s=self._timeout_s
        )
        found = {}
        for key_id, account_id, stored, scopes, expires_at, networks, rate, *configuration in rows:
            limits = KeyLimits(expires_at, networks, rate)
            secret_hash = hash_of_stored(stored, scopes, secured=limits.secured)
            if secret_hash is not None:
                known = frozenset(scope for scope in SCOPES if scope in scopes)
                found[key_id] = KeyRow(
                    account_id, secret_hash, known, _restrictions(*configuration), limits
                )
        return found

    async def read_restrictions(self, account_ids: Sequence[int]) -> dict[int, Restrictions | None]:
        """Return what the configurations of accounts forbid, by account; None: nothing.

        An account without a configuration is not among them. Raises NoAnswer as `read` does.
        """
        rows = await self._listener.fetch(
            _CONFIGURATIONS, account_ids, self._shard_id, timeout_s=self._timeout_s
        )
        return {account_id: _restrictions(*configuration) for account_id, *configuration in rows}


def _restrictions(
    suspend_trade: bool | None,
    no_shorting: bool | None,
    fractional_trading: bool | None,
    trading_blocked: bool | None,
) -> Restrictions | None:
    """Return what a configuration forbids; each is null if the account has none."""
    whole_quantities = fractional_trading is False
    if not (suspend_trade or no_shorting or whole_quantities or trading_blocked):
        return None
    return Restrictions(
        bool(suspend_trade), bool(no_shorting), whole_quantities, bool(trading_blocked)
    )
