"""API keys of a venue's accounts: made, listed, changed, rotated, revoked and claimed.

`openvenue.security.keys` has the parts that know neither engine nor words. Keys are in the database
alone, so the caller decides who may do this: `Admin.check_token` asks the engine.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any

from openvenue.admin.client import Admin
from openvenue.admin.database import AdminDatabase
from openvenue.admin.errors import InvalidRequest, NotFound
from openvenue.security import keys as store
from openvenue.security.client_address import Network
from openvenue.security.keys import (
    DATA_ONLY,
    READ_AND_TRADE,
    READ_ONLY,
    KeyInfo,
    KeyLimits,
    NewKey,
)
from openvenue.vocabulary import Scope

LABEL_CHARACTERS_MAX = 128
_RATE_MAX = 1_000_000_000
_NETWORKS_MAX = 100
_DAYS_MAX = 36_500
_DURATION = re.compile(r"(\d{1,10})([smhd])", re.ASCII)
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_RATES = {"default": None, "unlimited": 0}
_SCOPES = tuple(map(set, (READ_AND_TRADE, READ_ONLY, DATA_ONLY)))
_KEY_ID = re.compile(r"[!-~]{1,64}")

ANYWHERE = "anywhere"


@dataclass(frozen=True, slots=True)
class WantedLimits:
    """Limits that the caller names, in words; None: not named."""

    expires_in: str | None = None
    """90s, 15m, 1h, 30d, or never."""
    allow_from: Sequence[str] | None = None
    """Networks or addresses, or `anywhere`."""
    rate_limit: str | None = None
    """Requests a minute; `default` or `unlimited`."""

    def __bool__(self) -> bool:
        return bool(self.expires_in is not None or self.allow_from or self.rate_limit is not None)

    def check(self) -> None:
        """Raise InvalidRequest if one cannot be."""
        self.applied_to(KeyLimits())

    def applied_to(self, limits: KeyLimits) -> KeyLimits:
        """Return limits with those that are named. Raises InvalidRequest."""
        changes: dict[str, Any] = {}
        if self.expires_in is not None:
            changes["expires_at"] = _expiry(self.expires_in)
        if self.allow_from:
            changes["networks"] = _networks(self.allow_from)
        if self.rate_limit is not None:
            changes["requests_per_minute"] = _rate(self.rate_limit)
        return replace(limits, **changes)


def check_label(label: str) -> None:
    """Raise InvalidRequest if it cannot be a key's label."""
    if len(label) > LABEL_CHARACTERS_MAX:
        raise InvalidRequest(f"{{label}} must have at most {LABEL_CHARACTERS_MAX} characters")
    if "\0" in label:
        raise InvalidRequest("{label} must not have a zero byte")


def overlap_of(text: str) -> timedelta:
    """Return how long a rotated key still works. Raises InvalidRequest."""
    return _duration("overlap", text)


class Keys:
    """The keys of one venue. Calls raise AdminError."""

    def __init__(self, database: AdminDatabase) -> None:
        self._database = database
        self._shard_id = database.shard_id

    async def create(
        self,
        admin: Admin,
        account_id: int,
        label: str = "",
        scopes: Collection[Scope] = READ_AND_TRADE,
        wanted: WantedLimits | None = None,
    ) -> NewKey:
        """Make a key for an existing account."""
        check_label(label)
        _check_scopes(scopes)
        limits = (wanted or WantedLimits()).applied_to(KeyLimits())
        await self._check_account(admin, account_id)
        async with self._database.transaction() as connection:
            return await store.create_key(
                connection, self._shard_id, account_id, label, scopes, limits
            )

    async def listed(
        self,
        account_id: int | None = None,
        *,
        after: str | None = None,
        limit: int | None = None,
    ) -> list[KeyInfo]:
        """Return this shard's keys and those of none, oldest first; also revoked ones.

        `after` and `limit` are those of `list_keys`.
        """
        async with self._database.transaction() as connection:
            return await store.list_keys(
                connection, self._shard_id, account_id, after=after, limit=limit
            )

    async def change(self, key_id: str, wanted: WantedLimits) -> KeyLimits:
        """Change the limits that are named; return all."""
        wanted.check()
        _check_key_id(key_id)
        async with self._database.transaction() as connection:
            limits = await store.change_limits(
                connection, self._shard_id, key_id, wanted.applied_to
            )
        if limits is None:
            raise _not_in_force(key_id)
        return limits

    async def rotate(self, key_id: str, overlap: timedelta, expires_in: str | None) -> NewKey:
        """Make a key like this one, which ends by itself after the overlap."""
        expires_at = _expiry(expires_in)
        _check_key_id(key_id)
        async with self._database.transaction() as connection:
            keys = await store.list_keys(connection, self._shard_id)
            ending = [k for k in keys if k.key_id == key_id and k.limits.expires_at is not None]
            if ending and expires_in is None:
                ends_at = ending[0].limits.expires_at
                assert ends_at is not None
                raise InvalidRequest(
                    f"{key_id} ends at {ends_at.astimezone(UTC).isoformat(timespec='seconds')}: "
                    "say with {expires_in} when the new key does, or `never`"
                )
            made = await store.rotate_key(connection, self._shard_id, key_id, overlap, expires_at)
        if made is None:
            raise _not_in_force(key_id)
        return made

    async def revoke(self, key_id: str) -> bool:
        """Revoke a key for good. Returns False if it was revoked before."""
        _check_key_id(key_id)
        async with self._database.transaction() as connection:
            if await store.revoke_key(connection, self._shard_id, key_id):
                return True
            keys = await store.list_keys(connection, self._shard_id)
        if not any(each.key_id == key_id for each in keys):
            raise _not_in_force(key_id)
        return False

    async def claim(self, key_id: str) -> None:
        """Take a key without a shard for this one."""
        _check_key_id(key_id)
        async with self._database.transaction() as connection:
            claimed = await store.claim_key(connection, self._shard_id, key_id)
        if not claimed:
            raise NotFound(f"there is no key {key_id} without a shard; see `openvenue keys list`")

    async def _check_account(self, admin: Admin, account_id: int) -> None:
        """Raise AdminError if a key to the account would be useless."""
        served = (await admin.status()).shard_id
        if served != self._shard_id:
            raise InvalidRequest(
                f"the engine serves shard {served}, and keys of shard {self._shard_id} would be of "
                f"no use there: set OPENVENUE_SHARD_ID={served}"
            )
        await admin.account(account_id)


def _check_scopes(scopes: Collection[Scope]) -> None:
    if set(scopes) not in _SCOPES:
        raise InvalidRequest("{scopes} must be read and trade, read alone, or data alone")


def _check_key_id(key_id: str) -> None:
    if not _KEY_ID.fullmatch(key_id):
        raise _not_in_force(key_id)


def _not_in_force(key_id: str) -> NotFound:
    return NotFound(f"there is no key {key_id} in force; see `openvenue keys list`")


def _networks(listed: Sequence[str]) -> list[Network] | None:
    if ANYWHERE in listed:
        return None
    if len(listed) > _NETWORKS_MAX:
        raise InvalidRequest(f"{{allow_from}} takes at most {_NETWORKS_MAX} networks")
    try:
        return [ip_network(each) for each in listed]
    except ValueError as error:
        raise InvalidRequest(
            f"{{allow_from}} takes networks as 10.1.0.0/16, addresses, or {ANYWHERE}: {error}"
        ) from error


def _rate(text: str) -> int | None:
    if text in _RATES:
        return _RATES[text]
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= _RATE_MAX:
        raise InvalidRequest(
            f"{{rate_limit}} takes requests a minute up to {_RATE_MAX}, default or unlimited"
        )
    return int(text)


def _expiry(expires_in: str | None) -> datetime | None:
    if expires_in in (None, "never"):
        return None
    return datetime.now(UTC) + _duration("expires_in", expires_in)


def _duration(field: str, text: str) -> timedelta:
    match = _DURATION.fullmatch(text)
    if match is not None:
        found = timedelta(seconds=int(match[1]) * _UNITS_S[match[2]])
        if found <= timedelta(days=_DAYS_MAX):
            return found
    raise InvalidRequest(f"{{{field}}} takes a time as 90s, 15m, 1h or 7d, up to {_DAYS_MAX} days")
