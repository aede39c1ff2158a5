"""Commands whose senders may send them again: each is executed at most once for its key.

The engine's commands have no id, so the key is in the database. Its row is committed before the
command is sent, and the outcome is written after it. In between a process can end, or the engine
may not answer: then nobody can tell for certain from the journal whether an entry there is this
command or an equal one, and a repetition gets OutcomeUnknown instead of a second execution.
"""

import hashlib
import math
import re
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import msgspec
from sqlalchemy import Row, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from openvenue.admin.client import COMMAND_TIMEOUT_S, Admin
from openvenue.admin.database import AdminDatabase
from openvenue.admin.errors import (
    AdminError,
    DatabaseAway,
    EngineAway,
    Interrupted,
    InvalidRequest,
    KeyInUse,
    KeyUsed,
    NotAdmitted,
    OutcomeUnknown,
    Refused,
    TryLater,
)
from openvenue.db.tables import idempotency_keys as keys
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.telemetry import get_logger

KEY_CHARACTERS_MAX = 255
KEPT = timedelta(days=30)

# A command is sent this soon after its key was reserved, or not at all.
_SENT_WITHIN_S = 10.0
# After which the process that reserved a key no longer waits for its command.
_UNDER_WAY_S = 60.0
assert _SENT_WITHIN_S + COMMAND_TIMEOUT_S < _UNDER_WAY_S
_PRUNED_MAX = 100
KEY_PATTERN = rf"[!#-\[\]-~]{{1,{KEY_CHARACTERS_MAX}}}"
_KEY = re.compile(KEY_PATTERN)

_DURABLY = text("SET LOCAL synchronous_commit = on")

_log = get_logger(__name__)

Show = Callable[[], Awaitable[msgspec.Struct]]


class Once:
    """Executes the command of an idempotency key at most once."""

    def __init__(self, database: AdminDatabase, key: str) -> None:
        """Raise InvalidRequest if it cannot be a key."""
        if not _KEY.fullmatch(key):
            raise InvalidRequest(
                f"{{idempotency_key}} takes 1 to {KEY_CHARACTERS_MAX} visible ASCII characters "
                "without quotes and backslashes"
            )
        self._database = database
        self._shard_id = database.shard_id
        self._is_row = keys.c.shard_id == self._shard_id, keys.c.idempotency_key == key
        self._key = key

    async def execute(self, admin: Admin, command: pb.AdminRequest, show: Show) -> bytes:
        """Execute the command and return what `show` shows then, as JSON; if it was executed
        before, what was shown then.

        Raises AdminError: what the engine refused is refused again in the same words; KeyUsed if
        the key was another command's.
        """
        command.shard_id = self._shard_id
        fingerprint = hashlib.sha256(command.SerializeToString(deterministic=True)).digest()
        row = await self._find()
        if row is None:
            row = await self._reserve(admin, fingerprint)
        if row is not None:
            return await self._again(row, fingerprint, show)
        try:
            response = await admin.apply(command)
        except (TryLater, NotAdmitted, InvalidRequest):
            await self._write(delete(keys).where(*self._is_row))  # The engine did not take it.
            raise
        except Refused as refused:
            if refused.reason != pb.REASON_NONE:
                await self._update(refusal=str(refused), refusal_reason=refused.reason)
            raise
        except EngineAway as error:
            raise Interrupted(
                "the engine's administration does not answer; the outcome is unknown: send this "
                "again with the same idempotency key, and it is not done twice"
            ) from error
        return await self._shown(response.sequence, show)

    async def _find(self) -> Row[Any] | None:
        age = func.extract("epoch", func.now() - keys.c.reserved_at).label("age_s")
        try:
            async with self._database.transaction() as connection:
                found = await connection.execute(select(keys, age).where(*self._is_row))
                return found.first()
        except DatabaseAway as error:
            raise _not_begun(error) from error

    async def _reserve(self, admin: Admin, fingerprint: bytes) -> Row[Any] | None:
        """Reserve the key for a command; return the row of one that was faster."""
        try:
            status = await admin.status()
        except EngineAway as error:
            raise TryLater("the engine's administration does not answer; nothing happened") from (
                error
            )
        if status.read_only:
            raise TryLater("the engine takes no commands, its disk is nearly full")
        began_at = time.monotonic()
        row = insert(keys).values(
            shard_id=self._shard_id,
            idempotency_key=self._key,
            fingerprint=fingerprint,
            after_sequence=status.durable_sequence,
        )
        old = select(keys.c.shard_id, keys.c.idempotency_key)
        old = old.where(keys.c.reserved_at < func.now() - KEPT)
        old = old.order_by(keys.c.reserved_at).limit(_PRUNED_MAX).with_for_update(skip_locked=True)
        oldest = old.subquery()
        try:
            async with self._database.transaction() as connection:
                await connection.execute(_DURABLY)
                await connection.execute(
                    delete(keys).where(
                        keys.c.shard_id == oldest.c.shard_id,
                        keys.c.idempotency_key == oldest.c.idempotency_key,
                    )
                )
                made = row.on_conflict_do_nothing().returning(keys.c.shard_id)
                is_ours = (await connection.execute(made)).first() is not None
        except DatabaseAway as error:
            raise _not_begun(error) from error
        if not is_ours:
            found = await self._find()
            if found is None:
                raise TryLater("another request with this idempotency key just failed")
            return found
        if time.monotonic() - began_at > _SENT_WITHIN_S:
            await self._write(delete(keys).where(*self._is_row))
            raise TryLater("the database took too long; nothing happened")
        return None

    async def _again(self, row: Row[Any], fingerprint: bytes, show: Show) -> bytes:
        """Answer for a key that has a row."""
        if row.fingerprint != fingerprint:
            raise KeyUsed("the idempotency key was used for another command: take a new one")
        if row.refusal is not None:
            raise Refused(row.refusal, row.refusal_reason)
        if row.document is not None:
            return bytes(row.document)
        if row.sequence is not None:
            return await self._shown(row.sequence, show)
        left_s = math.ceil(_UNDER_WAY_S - float(row.age_s))
        if left_s > 0:
            raise KeyInUse(
                "the first request with this idempotency key may still be under way",
                retry_after_s=left_s,
            )
        raise OutcomeUnknown(
            "the first request with this idempotency key was cut off, and its outcome is unknown: "
            f"look in the audit trail for its command after entry {row.after_sequence}, and if it "
            "is not there, send it with a new key",
            after_sequence=row.after_sequence,
        )

    async def _shown(self, sequence: int, show: Show) -> bytes:
        """Return what an executed command is answered with, and keep it."""
        try:
            document = msgspec.json.encode(await show())
        except AdminError as error:
            await self._update(sequence=sequence)
            raise Interrupted(
                "the command took effect, and then the engine did not answer what it led to: send "
                "this again with the same idempotency key to read it"
            ) from error
        await self._update(sequence=sequence, document=document)
        return document

    async def _update(self, **values: object) -> None:
        await self._write(update(keys).where(*self._is_row).values(**values))

    async def _write(self, statement: Any) -> None:
        """Note an outcome. If that fails, this request's answer is still true, and a repetition
        says that it knows none.
        """
        try:
            async with self._database.transaction() as connection:
                await connection.execute(_DURABLY)
                await connection.execute(statement)
        except DatabaseAway as error:
            _log.error("the outcome of an idempotency key is not kept", reason=str(error))


def _not_begun(error: DatabaseAway) -> TryLater:
    return TryLater(f"an idempotency key takes the database; nothing happened: {error}")
