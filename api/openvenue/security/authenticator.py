"""Who a request acts for: API keys from the database, cached so that no order waits for them, and
bearer tokens of an issuer.

The cache answers for known keys. A task reads all of them again twice per TTL, and at once when
PostgreSQL announces a change. So a revoked key is refused within the TTL while the database
answers. If the database is down or hangs, trading continues: known keys stay valid for a longer
but bounded time. Only unknown keys wait for the database, for a bounded time and in bounded
number. They are cached apart from valid ones, so that a flood of them evicts none.

A token brings its account and scopes (`openvenue.security.tokens`). What the account's owner has
configured is kept here as that of a key, under the account's name.
"""

import asyncio
import hmac
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from openvenue import metrics
from openvenue.db.channels import API_KEYS_CHANNEL
from openvenue.db.listener import Listener, NoAnswer, Subscription
from openvenue.security.key_reader import KeyReader
from openvenue.security.keys import hash_secret
from openvenue.security.open_accounts import OpenAccounts
from openvenue.security.principal import (
    InvalidToken,
    MalformedCredentials,
    Principal,
    UncheckedCredentials,
    UnknownAccount,
    UnknownCredentials,
    account_key_id,
    account_of_key_id,
)
from openvenue.settings import Settings
from openvenue.telemetry import get_logger, log_refusal

if TYPE_CHECKING:
    from openvenue.security.tokens import Token, Tokens

KEY_ID_HEADER = b"apca-api-key-id"
SECRET_HEADER = b"apca-api-secret-key"
AUTHORIZATION_HEADER = b"authorization"
_BEARER = b"bearer "

_KEY_ID_BYTES_MAX = 64
_SECRET_BYTES_MAX = 256
_NO_SECRET = bytes(32)

_REFRESHES_PER_TTL = 2
_RETRY_S = 0.5
# Bounds how long a new key waits behind a refresh of many.
_KEYS_PER_READ_MAX = 1000

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Entry:
    principal: Principal | None
    """None: the key is not valid."""
    secret_hash: bytes
    checked_at: float


def has_expired(principal: Principal) -> bool:
    """True from the time on at which its key or token ends by itself."""
    return principal.expires_at_s is not None and time.time() >= principal.expires_at_s


class Authenticator:
    """Finds the principal of a request by its headers; `run` has to run beside the requests."""

    def __init__(
        self, settings: Settings, listener: Listener, accounts: OpenAccounts | None = None
    ) -> None:
        """`accounts` are needed if there is an issuer of tokens."""
        listener.subscribe(Subscription(API_KEYS_CHANNEL, self.forget, self.expire_all))
        self._listener = listener
        self._shard_id = settings.shard_id
        self._reader = KeyReader(
            listener, settings.shard_id, timeout_s=settings.auth_lookup_timeout_s
        )
        self._ttl_s = settings.auth_cache_ttl_s
        self._stale_max_s = settings.auth_cache_stale_max_s
        self._entries_max = settings.auth_cache_entries_max
        self._lookup_timeout_s = settings.auth_lookup_timeout_s
        self._lookups_max = settings.auth_lookups_max
        self._accounts = accounts
        self._tokens = _tokens(settings)
        self._known: dict[bytes, _Entry] = {}
        self._unknown: dict[bytes, _Entry] = {}
        self._lookups: dict[bytes, asyncio.Future[_Entry | None]] = {}
        self._waiting = 0
        self._changed: set[bytes] = set()
        self._loop = asyncio.get_running_loop()
        self._refresh_at = float("-inf")
        self._refreshed_at = self._loop.time()
        self._asked = asyncio.Event()
        self._failing = False
        self._hits = metrics.PendingCounter(metrics.AUTH_LOOKUPS.labels("hit"))
        self._stale_hits = metrics.PendingCounter(metrics.AUTH_LOOKUPS.labels("stale"))
        self._misses = metrics.AUTH_LOOKUPS.labels("miss")

    async def principal_of(self, headers: Iterable[tuple[bytes, bytes]]) -> Principal:
        """Return the principal of a request with these (lower-case) ASGI headers.

        Raises NotAuthenticated.
        """
        key_id = secret = b""
        token: bytes | None = None
        repeated = False
        for name, value in headers:
            if name == KEY_ID_HEADER:
                repeated = repeated or bool(key_id)
                key_id = value
            elif name == SECRET_HEADER:
                repeated = repeated or bool(secret)
                secret = value
            elif name == AUTHORIZATION_HEADER and self._takes(value):
                repeated = repeated or token is not None
                token = value[len(_BEARER) :].strip()
        if repeated:
            # A proxy that checked the other value would have let another key's request through.
            raise MalformedCredentials(
                "APCA-API-KEY-ID, APCA-API-SECRET-KEY or Authorization is given twice"
            )
        if token is not None:
            if key_id or secret:
                raise MalformedCredentials("a request has a key or a bearer token, not both")
            return await self._principal_of_token(token)
        well_formed = len(key_id) <= _KEY_ID_BYTES_MAX and key_id.isalnum()
        if not well_formed or not 0 < len(secret) <= _SECRET_BYTES_MAX:
            raise self._unknown_credentials()
        entry = await self._entry(key_id)
        # Compared also for unknown keys, so that the time taken does not tell which ones exist.
        matches = hmac.compare_digest(hash_secret(secret), entry.secret_hash)
        if not matches or entry.principal is None or has_expired(entry.principal):
            raise self._unknown_credentials()
        return entry.principal

    def has_credentials(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        """True if a request with these (lower-case) ASGI headers wants to be somebody's."""
        return any(
            name in (KEY_ID_HEADER, SECRET_HEADER)
            or (name == AUTHORIZATION_HEADER and self._takes(value))
            for name, value in headers
        )

    async def in_force(self, principal: Principal) -> Principal | None:
        """Return a principal, whose key or token was checked before, as it is now.

        None if the key was revoked, or either has ended since. Raises UncheckedCredentials if the
        database has to say so and does not answer.
        """
        now: Principal | None = principal
        if principal.signed_by is None:
            now = (await self._entry(principal.key_id.encode())).principal
        return None if now is None or self.has_ended(now) else now

    def has_ended(self, principal: Principal) -> bool:
        """True if its key or token has ended by itself, or the token's issuer withdrew its key."""
        if has_expired(principal):
            return True
        signed_by = principal.signed_by
        if signed_by is None or self._tokens is None:
            return False
        return not self._tokens.may_be_of(signed_by)

    def problem(self) -> str | None:
        """Return why keys cannot be checked, None if they can.

        A database that is down is no problem while known keys stay valid without it.
        """
        answered_at = self._listener.answered_at
        if answered_at is not None and self._loop.time() - answered_at <= self._stale_max_s:
            return None
        return f"they cannot be checked: {self._listener.failure}"

    def export_metrics(self) -> None:
        """Export what was counted in memory."""
        self._hits.export()
        self._stale_hits.export()
        metrics.AUTH_CACHE_AGE_SECONDS.set(self._loop.time() - self._refreshed_at)
        if self._tokens is not None:
            self._tokens.export_metrics()

    def forget(self, key_id: str) -> None:
        """Ask the database again for this key: it was changed, or its account's configuration.

        `account_key_id` stands for the account itself.
        """
        encoded = key_id.encode()
        self._known.pop(encoded, None)
        self._unknown.pop(encoded, None)
        self._changed.add(encoded)

    def expire_all(self) -> None:
        """Read every key again now, because changes may have been missed."""
        self._unknown.clear()
        self._refresh_at = float("-inf")
        self._asked.set()

    async def run(self) -> None:
        """Read keys until cancelled: new ones at once, known ones when due; and the issuer's."""
        if self._tokens is None:
            await self._run()
            return
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._run())
            tasks.create_task(self._tokens.run())

    async def _run(self) -> None:
        while True:
            await self._work_is_due()
            await self._read_due_keys()
            if self._failing:
                await asyncio.sleep(_RETRY_S)

    def _takes(self, authorization: bytes) -> bool:
        """True if a header's value is for us; without an issuer it is somebody else's."""
        return self._tokens is not None and authorization[: len(_BEARER)].lower() == _BEARER

    def _unknown_credentials(self) -> UnknownCredentials:
        metrics.AUTH_REFUSALS.inc()
        return UnknownCredentials(takes_tokens=self._tokens is not None)

    async def _principal_of_token(self, encoded: bytes) -> Principal:
        assert self._tokens is not None
        assert self._accounts is not None
        try:
            token = await self._tokens.check(encoded, time.time())
        except InvalidToken:
            metrics.AUTH_REFUSALS.inc()
            raise
        if not await self._accounts.has(token.account_id):
            metrics.TOKEN_REFUSALS.labels("account").inc()
            raise UnknownAccount(
                f"the token is for account {token.account_id}, which this venue does not have"
            )
        entry = await self._entry(account_key_id(token.account_id).encode())
        assert entry.principal is not None
        return _principal_with(token, entry.principal)

    async def _entry(self, key_id: bytes) -> _Entry:
        entry = self._cached(key_id)
        if entry is None:
            self._misses.inc()
            entry = await self._look_up(key_id)
        return entry

    def _cached(self, key_id: bytes) -> _Entry | None:
        now = self._loop.time()
        entry = self._known.get(key_id)
        if entry is not None:
            age_s = now - entry.checked_at
            if age_s <= self._ttl_s:
                self._hits.pending += 1
                return entry
            if age_s <= self._stale_max_s:
                self._stale_hits.pending += 1
                return entry
            return None
        entry = self._unknown.get(key_id)
        if entry is not None and now - entry.checked_at <= self._ttl_s:
            self._hits.pending += 1
            return entry
        return None

    async def _look_up(self, key_id: bytes) -> _Entry:
        """Wait for the database, with one query for all requests with the same key."""
        if self._waiting >= self._lookups_max:
            metrics.AUTH_LOOKUPS.labels("refused").inc()
            log_refusal("key not looked up", "refused", waiting=self._waiting)
            raise UncheckedCredentials("too many keys are waiting to be checked")
        lookup = self._lookups.get(key_id)
        if lookup is None:
            lookup = self._lookups[key_id] = self._loop.create_future()
            self._asked.set()
        self._waiting += 1
        try:
            async with asyncio.timeout(self._lookup_timeout_s):
                entry = await asyncio.shield(lookup)
        except TimeoutError:
            entry = None
        finally:
            self._waiting -= 1
        if entry is None:
            metrics.AUTH_LOOKUPS.labels("failed").inc()
            log_refusal("key not looked up", "failed", waiting=self._waiting)
            raise UncheckedCredentials("the key cannot be checked at the moment")
        return entry

    async def _work_is_due(self) -> None:
        if not self._lookups:
            try:
                async with asyncio.timeout_at(max(self._refresh_at, self._loop.time())):
                    await self._asked.wait()
            except TimeoutError:
                pass
        self._asked.clear()

    async def _read_due_keys(self) -> None:
        """Read the keys that requests wait for, and all known ones if due."""
        started_at = self._loop.time()
        refreshing = started_at >= self._refresh_at
        if refreshing:
            self._refresh_at = started_at + self._ttl_s / _REFRESHES_PER_TTL
        due = list(self._known) if refreshing else []
        start = 0
        try:
            while self._lookups or start < len(due):
                # Each read includes the keys that requests have asked for meanwhile.
                asked = list(self._lookups)[:_KEYS_PER_READ_MAX]
                refreshed = due[start : start + _KEYS_PER_READ_MAX]
                await self._read(list(dict.fromkeys([*asked, *refreshed])))
                start += _KEYS_PER_READ_MAX
                if start >= len(due):
                    break  # A flood of unknown keys must not delay the next refresh.
        except NoAnswer as error:
            metrics.AUTH_READ_FAILURES.inc()
            if not self._failing:
                _log.warning(
                    "keys not checked: known ones are served as they were", reason=str(error)
                )
            self._failing = True
            self._refresh_at = float("-inf") if refreshing else self._refresh_at
            self._settle(list(self._lookups), None)
            return
        if self._failing:
            _log.warning("keys are checked again")
        self._failing = False
        if refreshing:
            self._refreshed_at = self._loop.time()

    async def _read(self, key_ids: list[bytes]) -> None:
        self._changed.clear()
        entries = await self._read_keys([name for name in key_ids if b":" not in name])
        entries |= await self._read_accounts([name for name in key_ids if b":" in name])
        for key_id, entry in entries.items():
            # A key that changed during the read may be outdated.
            if key_id not in self._changed:
                self._remember(key_id, entry)
            self._settle([key_id], entry)

    async def _read_keys(self, key_ids: list[bytes]) -> dict[bytes, _Entry]:
        if not key_ids:
            return {}
        rows = await self._reader.read([key_id.decode() for key_id in key_ids])
        checked_at = self._loop.time()
        entries = {}
        for key_id in key_ids:
            name = key_id.decode()
            if (row := rows.get(name)) is None:
                entries[key_id] = _Entry(None, _NO_SECRET, checked_at)
                continue
            limits = row.limits
            principal = Principal(
                row.account_id,
                name,
                self._shard_id,
                row.scopes,
                row.restrictions,
                expires_at_s=None if limits.expires_at is None else limits.expires_at.timestamp(),
                networks=None if limits.networks is None else tuple(limits.networks),
                requests_per_minute=limits.requests_per_minute,
            )
            entries[key_id] = _Entry(principal, row.secret_hash, checked_at)
        return entries

    async def _read_accounts(self, names: list[bytes]) -> dict[bytes, _Entry]:
        """Return the entries of accounts, whose principals have no scope: tokens bring theirs."""
        if not names:
            return {}
        account_ids = [account_of_key_id(name.decode()) for name in names]
        restrictions = await self._reader.read_restrictions(account_ids)
        checked_at = self._loop.time()
        return {
            name: _Entry(
                Principal(
                    account_id,
                    name.decode(),
                    self._shard_id,
                    frozenset(),
                    restrictions.get(account_id),
                ),
                _NO_SECRET,
                checked_at,
            )
            for name, account_id in zip(names, account_ids, strict=True)
        }

    def _settle(self, key_ids: list[bytes], entry: _Entry | None) -> None:
        """Wake the requests that wait for these keys; None: the database did not answer."""
        for key_id in key_ids:
            lookup = self._lookups.pop(key_id, None)
            if lookup is not None and not lookup.done():
                lookup.set_result(entry)

    def _remember(self, key_id: bytes, entry: _Entry) -> None:
        entries = self._unknown if entry.principal is None else self._known
        if entry.principal is None:
            self._known.pop(key_id, None)
        if key_id not in entries and len(entries) >= self._entries_max:
            del entries[next(iter(entries))]
        entries[key_id] = entry


def _tokens(settings: Settings) -> "Tokens | None":
    """Return what checks tokens; None if no issuer is configured."""
    if settings.oidc.issuer is None:
        return None
    # Only here: most venues have no issuer, and these libraries take megabytes and a moment.
    from openvenue.security.issuer import IssuerKeys
    from openvenue.security.tokens import Tokens

    keys = IssuerKeys(settings.oidc, waiting_max=settings.auth_lookups_max)
    return Tokens(settings.oidc, keys, entries_max=settings.auth_cache_entries_max)


def _principal_with(token: "Token", account: Principal) -> Principal:
    """Return the principal of a token for an account as it is configured now."""
    if token.principal is None or token.account is not account:
        token.account = account
        token.principal = msgspec.structs.replace(
            account,
            scopes=token.scopes,
            expires_at_s=token.ends_at_s,
            signed_by=token.signed_by,
        )
    return token.principal
