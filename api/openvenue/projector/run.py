"""Follows the engine's journal stream into PostgreSQL without end, from the offset there.

After any failure, of engine, database or this process, it resumes from the offset in the database:
only that knows how far the projection is.
"""

import asyncio
import time
from collections.abc import AsyncIterator

import asyncpg
import grpc

from openvenue.db.connection import DATABASE_AWAY
from openvenue.engine.client import open_channel
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.engine.v1 import engine_pb2_grpc as rpc
from openvenue.journal.acknowledge import acknowledging
from openvenue.journal.reader import JournalReader
from openvenue.projector import metrics
from openvenue.projector.fold import Batch, Sizes, UnknownInstrument
from openvenue.projector.progress import Progress
from openvenue.projector.settings import ProjectorSettings
from openvenue.projector.store import OffsetMoved, Store
from openvenue.reasons import reason_of
from openvenue.settings import Settings
from openvenue.telemetry import get_logger
from openvenue.vocabulary import UnknownEnumerator

_log = get_logger(__name__)

_BACKOFF_FIRST_S = 0.1
_STANDBY_POLL_S = 1.0
_REST_PER_TRANSACTION = 3.0  # so that transactions take a quarter of the time while rests last

_NOT_MIGRATED = (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError)
_STATUS_TIMEOUT_S = 10.0
_OTHER_JOURNAL = (
    "it is another journal; connect the engine and the database that belong together, or make the "
    "rows anew with openvenue projector rebuild"
)


class ProjectionFault(Exception):
    """Journal and database contradict each other; says how, and what to do."""


async def follow(
    settings: Settings,
    own: ProjectorSettings,
    progress: Progress,
    stop: asyncio.Event,
    until_sequence: int | None = None,
) -> None:
    """Project until `stop` is set or `until_sequence` is in the database, retrying with backoff.

    Raises ProjectionFault if retrying would not help.
    """

    def failed(cause: str, error: str) -> None:
        progress.failed(cause, error)
        _log.warning("projection interrupted", cause=cause, error=error, retry_in_s=backoff_s)

    backoff_s = _BACKOFF_FIRST_S
    stopping = asyncio.ensure_future(stop.wait())
    try:
        while not stop.is_set():
            started = time.monotonic()
            session = asyncio.ensure_future(_session(settings, own, progress, until_sequence))
            try:
                await asyncio.wait((session, stopping), return_when=asyncio.FIRST_COMPLETED)
            finally:
                session.cancel()
            try:
                await session
                return
            except asyncio.CancelledError:
                return
            except grpc.aio.AioRpcError as error:
                if error.code() == grpc.StatusCode.OUT_OF_RANGE:
                    raise ProjectionFault(str(error.details())) from error
                failed("engine", f"{error.code().name}: {error.details()}")
            except UnknownEnumerator as error:
                raise ProjectionFault(
                    f"{error}: the engine is of a later version; start that version's projector, "
                    "which goes on from here"
                ) from error
            except (UnknownInstrument, ValueError) as error:
                # Before DATABASE_AWAY: asyncpg's own DataError is in both.
                raise _fault(error) from error
            except OffsetMoved as error:
                failed("offset", str(error))
            except DATABASE_AWAY as error:
                failed("connection", f"{type(error).__name__}: {reason_of(error)}")
            except _NOT_MIGRATED as error:
                failed("schema", f"the database is not migrated ({error})")
            except asyncpg.PostgresError as error:
                raise _fault(error) from error
            if time.monotonic() - started > own.backoff_max_s:
                backoff_s = _BACKOFF_FIRST_S
            await asyncio.wait((stopping,), timeout=backoff_s)
            backoff_s = min(backoff_s * 2, own.backoff_max_s)
    finally:
        stopping.cancel()


async def _session(
    settings: Settings, own: ProjectorSettings, progress: Progress, until_sequence: int | None
) -> None:
    """Use one connection to each side until one of them fails."""
    store = await Store.connect(settings.database_url.get_secret_value(), settings.shard_id)
    try:
        await _become_active(store, settings.shard_id, progress)
        await project(store, settings, own, progress, until_sequence)
    finally:
        await store.close()


async def project(
    store: Store,
    settings: Settings,
    own: ProjectorSettings,
    progress: Progress,
    until_sequence: int | None,
) -> None:
    """Project with a store that holds the lock, until `until_sequence` or for ever.

    Raises the errors of engine or database when they are down, ProjectionFault if the engine's
    journal is not the one that the rows came from.
    """
    sequence = await store.sequence()
    durable_sequence = await _check_journal(store, settings, sequence)
    progress.projecting(sequence, durable_sequence)
    _log.info("projecting", shard_id=settings.shard_id, from_sequence=sequence + 1)
    try:
        if until_sequence is not None and sequence >= until_sequence:
            return
        sizes = await store.sizes()
        async with (
            acknowledging(settings, own.reader, own.acknowledge_interval_s, lambda: sequence),
            JournalReader(settings, sequence + 1) as reader,
        ):
            async for batch in _batches(reader, own, progress, sizes):
                with metrics.TRANSACTION_SECONDS.time():
                    await store.apply(batch)
                progress.applied(batch)
                sequence = batch.last_sequence
                if until_sequence is not None and batch.last_sequence >= until_sequence:
                    return
    finally:
        progress.stopped()


async def _check_journal(store: Store, settings: Settings, sequence: int) -> int:
    """Return how far the engine's journal is, after checking that the rows came from it."""
    async with open_channel(settings) as channel:
        status = await rpc.AdminStub(channel).GetStatus(
            pb.GetStatusRequest(), timeout=_STATUS_TIMEOUT_S
        )
    if status.shard_id != settings.shard_id:
        raise ProjectionFault(
            f"the engine serves shard {status.shard_id}, not {settings.shard_id}; compare "
            "OPENVENUE_SHARD_ID with the engine's --shard-id"
        )
    if status.durable_sequence < sequence:
        raise ProjectionFault(
            f"the database is at sequence {sequence}, the engine's journal ends at "
            f"{status.durable_sequence}: {_OTHER_JOURNAL}"
        )
    if sequence:
        async with JournalReader(settings, sequence) as reader:
            batch = await reader.read(_STATUS_TIMEOUT_S)
        if batch is None:
            raise TimeoutError("the engine sent no journal entry")
        projected_ns = await store.entry_ns()
        # An offset from an older version has no time to compare.
        if projected_ns is not None and batch.entries[0].timestamp_ns != projected_ns:
            raise ProjectionFault(
                f"entry {sequence} of the engine's journal is not the one that was projected: "
                f"{_OTHER_JOURNAL}"
            )
    return int(status.durable_sequence)


async def _become_active(store: Store, shard_id: int, progress: Progress) -> None:
    """Wait for the lock that makes this the shard's only projector."""
    waiting = False
    while not await store.lock():
        if not waiting:
            _log.warning("another projector is at work, standing by", shard_id=shard_id)
            progress.standing_by()
            waiting = True
        await asyncio.sleep(_STANDBY_POLL_S)


async def _batches(
    reader: JournalReader, own: ProjectorSettings, progress: Progress, sizes: dict[int, Sizes]
) -> AsyncIterator[Batch]:
    """Fold messages until a batch is full, or until it is time for the next transaction.

    A transaction costs far more than a row in it. So a lone entry is written at once, and the rest
    between transactions grows with their duration: under load they become fewer and larger, which
    costs PostgreSQL and this process less per entry.
    """
    rest_until = 0.0
    while True:
        message = await reader.read(None)
        batch = Batch(sizes)
        while message is not None:
            batch.add(message.entries)
            progress.received(message.durable_sequence)
            if batch.entries >= own.batch_entries_max:
                break
            message = await reader.read(max(0.0, rest_until - time.monotonic()))
        if batch.entries:
            started = time.monotonic()
            yield batch
            ended = time.monotonic()
            rest_s = min(own.rest_max_ms / 1000, _REST_PER_TRANSACTION * (ended - started))
            rest_until = ended + rest_s


def _fault(error: Exception) -> ProjectionFault:
    return ProjectionFault(
        f"{type(error).__name__}: {reason_of(error)}; openvenue projector rebuild makes the rows "
        "anew from the journal"
    )
