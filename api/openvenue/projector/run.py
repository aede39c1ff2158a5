"""Follows the engine's journal stream into PostgreSQL, from the offset there, without end.

Whatever fails — engine, database, this process — it resumes from the offset in the database, which
is the only place that knows how far the projection is.
"""

import asyncio
import time
from collections.abc import AsyncIterator

import asyncpg
import grpc

from openvenue.engine.client import open_channel
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.engine.v1 import engine_pb2_grpc as rpc
from openvenue.projector import metrics
from openvenue.projector.fold import Batch, Sizes
from openvenue.projector.settings import ProjectorSettings
from openvenue.projector.store import OffsetMoved, Store
from openvenue.settings import Settings
from openvenue.telemetry import get_logger

_log = get_logger(__name__)

_BACKOFF_FIRST_S = 0.1
_STANDBY_POLL_S = 1.0
_REST_PER_TRANSACTION = 3.0  # so that transactions take a quarter of the time while rests last

# What being away looks like; anything else is a bug and ends the process.
_DATABASE_AWAY = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)


class JournalReader:
    """Journal batches from the engine, at most one message read ahead (the rest waits in gRPC's own
    flow control). Use as an async context manager."""

    def __init__(self, settings: Settings, from_sequence: int) -> None:
        self._channel = open_channel(settings)
        self._call = rpc.MarketDataStub(self._channel).StreamJournal(
            pb.StreamJournalRequest(shard_id=settings.shard_id, from_sequence=from_sequence)
        )
        self._next: asyncio.Future[object] | None = None

    async def __aenter__(self) -> "JournalReader":
        return self

    async def __aexit__(self, *_: object) -> None:
        self._call.cancel()
        if self._next is not None:
            self._next.cancel()
            await asyncio.gather(self._next, return_exceptions=True)
        await self._channel.close()

    async def read(self, timeout_s: float | None) -> pb.JournalBatch | None:
        """The next message; None if none came in time. A message is never lost by a timeout.

        Raises grpc.aio.AioRpcError when the engine is away, ConnectionError when it ends
        the stream.
        """
        if self._next is None:
            self._next = asyncio.ensure_future(self._call.read())
        await asyncio.wait((self._next,), timeout=timeout_s)
        if not self._next.done():
            return None
        message, self._next = self._next.result(), None
        if not isinstance(message, pb.JournalBatch):
            raise ConnectionError("the engine ended the journal stream")
        return message


async def follow(
    settings: Settings,
    own: ProjectorSettings,
    stop: asyncio.Event,
    until_sequence: int | None = None,
) -> None:
    """Projects until `stop` is set or `until_sequence` is in the database, retrying with backoff.

    Raises UnknownInstrument or ValueError where the journal contradicts itself or the database:
    retrying would not help.
    """
    backoff_s = _BACKOFF_FIRST_S
    stopping = asyncio.ensure_future(stop.wait())
    try:
        while not stop.is_set():
            started = time.monotonic()
            session = asyncio.ensure_future(_session(settings, own, until_sequence))
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
                _failed("engine", f"{error.code().name}: {error.details()}", backoff_s)
            except OffsetMoved as error:
                _failed("offset", str(error), backoff_s)
            except _DATABASE_AWAY as error:
                _failed("connection", f"{type(error).__name__}: {error}", backoff_s)
            if time.monotonic() - started > own.backoff_max_s:
                backoff_s = _BACKOFF_FIRST_S
            await asyncio.wait((stopping,), timeout=backoff_s)
            backoff_s = min(backoff_s * 2, own.backoff_max_s)
    finally:
        stopping.cancel()


async def _session(settings: Settings, own: ProjectorSettings, until_sequence: int | None) -> None:
    """One connection to each side, used until one of them fails."""
    store = await Store.connect(settings.database_url.get_secret_value(), settings.shard_id)
    try:
        await _become_active(store, settings.shard_id)
        await project(store, settings, own, until_sequence)
    finally:
        await store.close()


async def project(
    store: Store, settings: Settings, own: ProjectorSettings, until_sequence: int | None
) -> None:
    """Projects with a store that holds the lock, until `until_sequence` or for ever.

    Raises what engine or database raise when they are away.
    """
    sequence = await store.sequence()
    metrics.SEQUENCE.set(sequence)
    metrics.ACTIVE.set(1)
    _log.info("projecting", shard_id=settings.shard_id, from_sequence=sequence + 1)
    try:
        if until_sequence is not None and sequence >= until_sequence:
            return
        sizes = await store.sizes()
        async with JournalReader(settings, sequence + 1) as reader:
            async for batch in _batches(reader, own, sizes):
                await _apply(store, batch)
                if until_sequence is not None and batch.last_sequence >= until_sequence:
                    return
    finally:
        metrics.ACTIVE.set(0)


async def _become_active(store: Store, shard_id: int) -> None:
    """Waits for the lock that makes this the shard's only projector."""
    waiting = False
    while not await store.lock():
        if not waiting:
            _log.warning("another projector is at work, standing by", shard_id=shard_id)
            waiting = True
        await asyncio.sleep(_STANDBY_POLL_S)


async def _batches(
    reader: JournalReader, own: ProjectorSettings, sizes: dict[int, Sizes]
) -> AsyncIterator[Batch]:
    """Folds messages until a batch is full, or until it is time for the next transaction.

    A transaction costs far more than a row in it. So a lone entry is written at once, and the rest
    between transactions grows with the time that they take: under load they become fewer and
    larger, and what PostgreSQL and this process need for an entry falls.
    """
    rest_until = 0.0
    while True:
        message = await reader.read(None)
        batch = Batch(sizes)
        while message is not None:
            batch.add(message.entries)
            metrics.LAG_SEQUENCES.set(max(0, message.durable_sequence - batch.last_sequence))
            if batch.entries >= own.batch_entries_max:
                break
            message = await reader.read(max(0.0, rest_until - time.monotonic()))
        if batch.entries:
            started = time.monotonic()
            yield batch
            ended = time.monotonic()
            rest_s = min(own.rest_max_ms / 1000, _REST_PER_TRANSACTION * (ended - started))
            rest_until = ended + rest_s


async def _apply(store: Store, batch: Batch) -> None:
    with metrics.TRANSACTION_SECONDS.time():
        await store.apply(batch)
    metrics.SEQUENCE.set(batch.last_sequence)
    metrics.LAG_SECONDS.set(max(0.0, time.time() - batch.last_timestamp_ns / 1e9))
    metrics.BATCH_ENTRIES.observe(batch.entries)
    metrics.ENTRIES.inc(batch.entries)
    metrics.ROWS.inc(batch.rows)


def _failed(cause: str, error: str, backoff_s: float) -> None:
    metrics.FAILURES.labels(cause).inc()
    _log.warning("projection interrupted", cause=cause, error=error, retry_in_s=backoff_s)
