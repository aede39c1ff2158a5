"""Follows the engine's journal stream into the projections without end, each from its offset.

After any failure, of engine, database or this process, it resumes from the offset in the database:
only that knows how far a projection is.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import NamedTuple

import asyncpg
import grpc

from openvenue.db.connection import DATABASE_AWAY
from openvenue.engine.client import open_channel
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.engine.v1 import engine_pb2_grpc as rpc
from openvenue.journal.acknowledge import acknowledging
from openvenue.journal.reader import JournalReader
from openvenue.projector.ledger.write import Ledger
from openvenue.projector.market.write import Market
from openvenue.projector.progress import FAULT, Progress
from openvenue.projector.projection import (
    Batch,
    Projection,
    Sizes,
    Start,
    UnknownInstrument,
)
from openvenue.projector.quotes.write import Quotes
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

# A projection that waits for the vital one still projects a batch this often.
_WAIT_MAX_S = 5.0
_WAIT_POLL_S = 0.01

_NOT_MIGRATED = (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError)
_STATUS_TIMEOUT_S = 10.0
_INSTRUMENTS_PAGE = 1000
_OTHER_JOURNAL = (
    "it is another journal; connect the engine and the database that belong together, or make the "
    "rows anew with openvenue projector rebuild"
)


class ProjectionFault(Exception):
    """Journal and database contradict each other; says how, and what to do."""


class Followed(NamedTuple):
    """A projection, and what the process tells of it."""

    projection: Projection
    progress: Progress


def all_projections(own: ProjectorSettings, *, quotes: bool = True) -> tuple[Followed, ...]:
    """Return all projections, the ledger first; without `quotes`, those are off."""
    projections = (Ledger(), Market(own.trades_kept_days), Quotes(own.quotes_kept_days, on=quotes))
    return tuple(Followed(each, Progress(each.name)) for each in projections)


async def follow(
    followed: Sequence[Followed],
    settings: Settings,
    own: ProjectorSettings,
    stop: asyncio.Event,
    until_sequence: int | None = None,
) -> None:
    """Project until `stop` is set or `until_sequence` is in the database, retrying with backoff.

    Raises ProjectionFault if retrying would not help.
    """
    backoff_s = _BACKOFF_FIRST_S
    stopping = asyncio.ensure_future(stop.wait())
    try:
        while not stop.is_set():
            started = time.monotonic()
            session = asyncio.ensure_future(_session(followed, settings, own, until_sequence))
            try:
                await asyncio.wait((session, stopping), return_when=asyncio.FIRST_COMPLETED)
            finally:
                session.cancel()
            try:
                await session
                return
            except asyncio.CancelledError:
                return
            except Exception as error:
                cause, text = _passing(error)
            for each in followed:
                each.progress.failed(cause, text)
            _log.warning("projection interrupted", cause=cause, error=text, retry_in_s=backoff_s)
            if time.monotonic() - started > own.backoff_max_s:
                backoff_s = _BACKOFF_FIRST_S
            await asyncio.wait((stopping,), timeout=backoff_s)
            backoff_s = min(backoff_s * 2, own.backoff_max_s)
    finally:
        stopping.cancel()


def _passing(error: Exception) -> tuple[str, str]:
    """Return the cause, and the words, of a failure that passes.

    Raises ProjectionFault for one that does not, and an error that is of neither engine nor
    database as it is.
    """
    if isinstance(error, grpc.aio.AioRpcError):
        if error.code() == grpc.StatusCode.OUT_OF_RANGE:
            raise ProjectionFault(str(error.details())) from error
        return "engine", f"{error.code().name}: {error.details()}"
    if isinstance(error, UnknownEnumerator):
        raise ProjectionFault(
            f"{error}: the engine is of a later version; start that version's projector, which "
            "goes on from here"
        ) from error
    # Before DATABASE_AWAY: asyncpg's own DataError is in both.
    if isinstance(error, (UnknownInstrument, ValueError)):
        raise _fault(error) from error
    if isinstance(error, OffsetMoved):
        return "offset", str(error)
    if isinstance(error, DATABASE_AWAY):
        return "connection", f"{type(error).__name__}: {reason_of(error)}"
    if isinstance(error, _NOT_MIGRATED):
        return "schema", f"the database is not migrated ({error})"
    if isinstance(error, asyncpg.PostgresError):
        raise _fault(error) from error
    raise error


async def _session(
    followed: Sequence[Followed],
    settings: Settings,
    own: ProjectorSettings,
    until_sequence: int | None,
) -> None:
    """Use one connection to the database, and a stream for each projection, until one fails."""
    store = await Store.connect(settings.database_url.get_secret_value(), settings.shard_id)
    try:
        await _become_active(store, settings.shard_id, followed)
        first = next((each.progress for each in followed if each.projection.vital), None)
        async with asyncio.TaskGroup() as tasks:
            for each in followed:
                if each.projection.vital:
                    work = project(each, store, settings, own, until_sequence)
                else:
                    work = _project_despite_faults(
                        each, store, settings, own, until_sequence, first
                    )
                tasks.create_task(work)
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from errors
    finally:
        await store.close()


async def _project_despite_faults(
    followed: Followed,
    store: Store,
    settings: Settings,
    own: ProjectorSettings,
    until_sequence: int | None,
    first: Progress | None,
) -> None:
    """Project; after a fault, which a person has to mend, try again now and then."""
    while True:
        try:
            return await project(followed, store, settings, own, until_sequence, first)
        except Exception as error:
            try:
                _passing(error)
            except ProjectionFault as fault:
                followed.progress.failed(FAULT, str(fault))
                name = followed.projection.name
                _log.error("projection at fault", projection=name, reason=str(fault))
            else:
                raise
        await asyncio.sleep(own.backoff_max_s)


async def project(
    followed: Followed,
    store: Store,
    settings: Settings,
    own: ProjectorSettings,
    until_sequence: int | None,
    first: Progress | None = None,
) -> None:
    """Project with a store that holds the lock, until `until_sequence` or for ever.

    `first` is a projection that goes first while it is far behind.
    Raises the errors of engine or database when they are down, ProjectionFault if the engine's
    journal is not the one that the rows came from.
    """
    projection, progress = followed
    if not projection.is_on:
        await _pass_over(followed, store, settings, own, once=until_sequence is not None)
        return
    sequence = await store.sequence(projection)
    durable_sequence = await _check_journal(projection, store, settings, sequence)
    if sequence == 0 and not projection.vital:
        sequence = await _beginning(projection, store, settings, durable_sequence)
    progress.projecting(sequence, durable_sequence)
    _log.info(
        "projecting",
        projection=projection.name,
        shard_id=settings.shard_id,
        from_sequence=sequence + 1,
    )
    try:
        if until_sequence is not None and sequence >= until_sequence:
            return
        start = Start(sequence, await _sizes(settings), settings, store)
        new_batch = await projection.begin(start)
        reader_name = projection.reader_name(own.reader)
        async with (
            acknowledging(settings, reader_name, own.acknowledge_interval_s, lambda: sequence),
            JournalReader(settings, sequence + 1) as reader,
        ):
            async for batch in _batches(reader, own, progress, new_batch):
                with progress.transaction():
                    await store.apply(projection, batch)
                progress.applied(batch)
                sequence = batch.last_sequence
                if until_sequence is not None and sequence >= until_sequence:
                    return
                if first is not None:
                    await let_go_first(first, own.batch_entries_max)
    finally:
        progress.stopped()


async def _pass_over(
    followed: Followed, store: Store, settings: Settings, own: ProjectorSettings, *, once: bool
) -> None:
    """Keep the offset of a projection that is off beside the ledger's, for ever or once.

    So it can begin there when it is turned on, and keeps no part of the journal from the archive.
    """
    projection, progress = followed
    sequence = await store.pass_over(projection)
    _log.info("projection is off", projection=projection.name)
    try:
        async with acknowledging(
            settings,
            projection.reader_name(own.reader),
            own.acknowledge_interval_s,
            lambda: sequence,
        ):
            while True:
                progress.projecting(sequence, sequence)
                if once:
                    return
                await asyncio.sleep(own.acknowledge_interval_s)
                sequence = await store.pass_over(projection)
    finally:
        progress.stopped()


async def let_go_first(first: Progress, entries: int) -> None:
    """Wait while another projection is further behind than a number of entries, but not for ever.

    They share a processor, and clients wait for the ledger.
    """
    deadline = time.monotonic() + _WAIT_MAX_S
    while first.entries_behind > entries and time.monotonic() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(_WAIT_POLL_S)


async def _check_journal(
    projection: Projection, store: Store, settings: Settings, sequence: int
) -> int:
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
        projected_ns = await store.entry_ns(projection)
        # An offset from an older version has no time to compare.
        if projected_ns is not None and batch.entries[0].timestamp_ns != projected_ns:
            raise ProjectionFault(
                f"entry {sequence} of the engine's journal is not the one that was projected: "
                f"{_OTHER_JOURNAL}"
            )
    return int(status.durable_sequence)


async def _beginning(
    projection: Projection, store: Store, settings: Settings, durable_sequence: int
) -> int:
    """Return the sequence number after which an empty projection begins: 0 if the engine has the
    journal's first entry, else the journal's end."""
    async with JournalReader(settings, 1) as reader:
        try:
            await reader.read(_STATUS_TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            if error.code() != grpc.StatusCode.OUT_OF_RANGE:
                raise
        else:
            return 0
    async with JournalReader(settings, durable_sequence) as reader:
        batch = await reader.read(_STATUS_TIMEOUT_S)
    if batch is None:
        raise TimeoutError("the engine sent no journal entry")
    _log.warning(
        "the journal's first entries are archived: the projection begins at its end",
        projection=projection.name,
        advice="openvenue journal restore, then openvenue projector rebuild",
    )
    await store.begin_after(projection, durable_sequence, batch.entries[0].timestamp_ns)
    return durable_sequence


async def _sizes(settings: Settings) -> dict[int, Sizes]:
    """Return the sizes of the engine's instruments, which never change once they are defined."""
    sizes: dict[int, Sizes] = {}
    async with open_channel(settings) as channel:
        stub = rpc.AdminStub(channel)
        more = True
        while more:
            page = await stub.ListInstruments(
                pb.ListInstrumentsRequest(
                    after_instrument_id=max(sizes, default=0), limit=_INSTRUMENTS_PAGE
                ),
                timeout=_STATUS_TIMEOUT_S,
            )
            for info in page.instruments:
                terms = info.terms
                sizes[terms.instrument_id] = Sizes(terms.tick_size_nanos, terms.lot_size_nanos)
            more = page.more
    return sizes


async def _become_active(store: Store, shard_id: int, followed: Sequence[Followed]) -> None:
    """Wait for the lock that makes this the shard's only projector."""
    waiting = False
    while not await store.lock():
        if not waiting:
            _log.warning("another projector is at work, standing by", shard_id=shard_id)
            for each in followed:
                each.progress.standing_by()
            waiting = True
        await asyncio.sleep(_STANDBY_POLL_S)


async def _batches(
    reader: JournalReader,
    own: ProjectorSettings,
    progress: Progress,
    new_batch: Callable[[], Batch],
) -> AsyncIterator[Batch]:
    """Fold messages until a batch is full, or until it is time for the next transaction.

    A transaction costs far more than a row in it. So a lone entry is written at once, and the rest
    between transactions grows with their duration: under load they become fewer and larger, which
    costs PostgreSQL and this process less per entry.
    """
    rest_until = 0.0
    while True:
        message = await reader.read(None)
        batch = new_batch()
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
