"""Who is asking: API keys from the database, cached so that an order costs no query.

A cached key is used for the TTL at most, and less where PostgreSQL announces that it changed. A
database that is away does not stop trading: keys that were good stay good until it can be asked
again, for nothing can be revoked meanwhile. Unknown keys are remembered apart from good ones, so
that a flood of them cannot push the good ones out.
"""

import asyncio
import functools
import hmac
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from openvenue import metrics
from openvenue.db.database import Database
from openvenue.db.tables import api_keys
from openvenue.http import problems
from openvenue.keys import hash_secret
from openvenue.telemetry import get_logger

KEY_ID_HEADER = b"apca-api-key-id"
SECRET_HEADER = b"apca-api-secret-key"

_KEY_ID_BYTES_MAX = 64
_SECRET_BYTES_MAX = 256
_REVOKED = 0
_SECRET_OF_NO_KEY = bytes(32)

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Entry:
    account_id: int
    secret_hash: bytes
    good_until: float


class Authenticator:
    """Tells the account of a request from its headers."""

    def __init__(self, database: Database, *, ttl_s: float, entries_max: int) -> None:
        self._database = database
        self._ttl_s = ttl_s
        self._entries_max = entries_max
        self._known: dict[bytes, _Entry] = {}
        self._unknown: dict[bytes, _Entry] = {}
        self._lookups: dict[bytes, asyncio.Task[_Entry]] = {}
        self._loop = asyncio.get_running_loop()
        self._hits = metrics.PendingCounter(metrics.AUTH_LOOKUPS.labels("hit"))
        self._misses = metrics.AUTH_LOOKUPS.labels("miss")

    async def account_of(self, headers: Iterable[tuple[bytes, bytes]]) -> int:
        """Return the engine's account id for a request with these (lower-case) ASGI headers.

        Raises Problem: 401, or 503 where the database would have to be asked and does not answer.
        """
        key_id = secret = b""
        for name, value in headers:
            if name == KEY_ID_HEADER:
                key_id = value
            elif name == SECRET_HEADER:
                secret = value
        if not 0 < len(key_id) <= _KEY_ID_BYTES_MAX or not 0 < len(secret) <= _SECRET_BYTES_MAX:
            metrics.AUTH_REFUSALS.inc()
            raise problems.unauthorized()
        entry = self._known.get(key_id) or self._unknown.get(key_id)
        if entry is not None and entry.good_until > self._loop.time():
            self._hits.pending += 1
        else:
            self._misses.inc()
            entry = await self._look_up_once(key_id)
        # Compared also for unknown keys, so that the time taken does not tell which ones exist.
        matches = hmac.compare_digest(hash_secret(secret), entry.secret_hash)
        if not matches or entry.account_id == _REVOKED:
            metrics.AUTH_REFUSALS.inc()
            raise problems.unauthorized()
        return entry.account_id

    def export_metrics(self) -> None:
        """Export what was counted in memory."""
        self._hits.export()

    def forget(self, key_id: str) -> None:
        """Ask the database again the next time: this key was changed."""
        encoded = key_id.encode()
        self._known.pop(encoded, None)
        self._unknown.pop(encoded, None)
        self._lookups.pop(encoded, None)

    def expire_all(self) -> None:
        """Ask the database again for every key: changes may have been missed."""
        self._unknown.clear()
        self._lookups.clear()
        # Kept, as the answer for as long as the database is away.
        self._known = {
            key_id: _Entry(entry.account_id, entry.secret_hash, float("-inf"))
            for key_id, entry in self._known.items()
        }

    async def _look_up_once(self, key_id: bytes) -> _Entry:
        """Ask the database, once for all requests that wait for the same key."""
        lookup = self._lookups.get(key_id)
        if lookup is None:
            lookup = self._lookups[key_id] = self._loop.create_task(self._look_up(key_id))
            lookup.add_done_callback(functools.partial(self._remember_lookup, key_id))
        return await asyncio.shield(lookup)

    async def _look_up(self, key_id: bytes) -> _Entry:
        good_until = self._loop.time() + self._ttl_s
        query = select(api_keys.c.account_id, api_keys.c.secret_hash, api_keys.c.revoked_at).where(
            api_keys.c.key_id == key_id.decode("latin-1")
        )
        try:
            async with self._database.connect() as connection:
                row = (await connection.execute(query)).first()
        except (SQLAlchemyError, OSError) as error:
            last = self._known.get(key_id)
            _log.warning("key not checked: no answer from the database", known=last is not None)
            if last is None:
                raise problems.unavailable("the key cannot be checked at the moment") from error
            return _Entry(last.account_id, last.secret_hash, good_until)
        if row is None or row.revoked_at is not None:
            return _Entry(_REVOKED, _SECRET_OF_NO_KEY, good_until)
        return _Entry(row.account_id, row.secret_hash, good_until)

    def _remember_lookup(self, key_id: bytes, lookup: asyncio.Task[_Entry]) -> None:
        # Of a key that changed meanwhile the lookup was dropped: what it read may be outdated.
        if self._lookups.get(key_id) is lookup:
            del self._lookups[key_id]
            if lookup.exception() is None:
                self._remember(key_id, lookup.result())

    def _remember(self, key_id: bytes, entry: _Entry) -> None:
        self._known.pop(key_id, None)
        entries = self._known if entry.account_id != _REVOKED else self._unknown
        if len(entries) >= self._entries_max:
            del entries[next(iter(entries))]
        entries[key_id] = entry
