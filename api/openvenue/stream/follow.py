"""Follows the engine's journal into a fold of it, such as the feed, without end.

The state is in memory. When the engine was away, the next entry is the one after the last. Only if
the journal no longer has that, the feed is made anew, and everybody has to connect again.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar

import asyncpg
import grpc
from sqlalchemy.exc import SQLAlchemyError

from openvenue.db.connection import DATABASE_AWAY
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.journal.reader import JournalReader
from openvenue.reasons import reason_of
from openvenue.settings import Settings
from openvenue.stream import metrics
from openvenue.stream.channels import Channels
from openvenue.telemetry import get_logger

_log = get_logger(__name__)

_BACKOFF_FIRST_S = 0.1
# An open stream says nothing until there is an entry.
_FIRST_ENTRY_S = 1.0
# The event loop serves sockets between two turns, also while there is much to catch up with.
_ENTRIES_PER_TURN = 256
_REST_MAX_S = 0.02
_REST_PER_FLUSH = 3.0  # so that sending takes a quarter of the time while rests last

_AWAY = (grpc.aio.AioRpcError, SQLAlchemyError, asyncpg.PostgresError, *DATABASE_AWAY)


class Fold(Protocol):
    """What the journal's entries make, on channels."""

    sequence: int
    """Of the last entry that was applied."""
    channels: Channels

    def apply(self, entry: pb.JournalEntry) -> None: ...


AnyFold = TypeVar("AnyFold", bound=Fold)


class Follower(Generic[AnyFold]):
    """Keeps a fold up to date while `run` runs.

    `load` makes one that later entries can be applied to, and tells which entry is durable then.
    """

    def __init__(
        self,
        settings: Settings,
        load: Callable[[], Awaitable[tuple[AnyFold, int]]],
        on_new_feed: Callable[[AnyFold], None],
        backoff_max_s: float,
    ) -> None:
        self._settings = settings
        self._load = load
        self._on_new_feed = on_new_feed
        self._backoff_max_s = backoff_max_s
        self._feed: AnyFold | None = None
        self._serving = False
        self.problem: str | None = "it is starting"
        """Why messages do not come now; None if they do."""

    async def run(self) -> None:
        """Follow until cancelled, retrying with backoff.

        Raises what a retry would not help: StreamFault, UnknownEnumerator, ValueError.
        """
        backoff_s = _BACKOFF_FIRST_S
        while True:
            started = time.monotonic()
            try:
                await self._follow()
            except _AWAY as error:
                self._failed(error)
            if time.monotonic() - started > self._backoff_max_s:
                backoff_s = _BACKOFF_FIRST_S
            await asyncio.sleep(backoff_s)
            backoff_s = min(backoff_s * 2, self._backoff_max_s)

    async def _follow(self) -> None:
        if self._feed is None:
            self._feed, durable_sequence = await self._load()
            self._serving = False
            _log.info("feed loaded", sequence=self._feed.sequence)
        else:
            durable_sequence = self._feed.sequence
        rests = _Rests()
        async with JournalReader(self._settings, self._feed.sequence + 1) as reader:
            while True:
                # Served once it has what a process before it can have sent.
                if not self._serving and self._feed.sequence >= durable_sequence:
                    self._serving = True
                    self._on_new_feed(self._feed)
                wait_s = rests.left_s if self._feed.channels.unflushed else None
                if wait_s is None and self.problem is not None:
                    wait_s = _FIRST_ENTRY_S
                message = await reader.read(wait_s)
                if self._serving:
                    self.problem = None
                if message is None:
                    rests.flush(self._feed)
                    continue
                for start in range(0, len(message.entries), _ENTRIES_PER_TURN):
                    for entry in message.entries[start : start + _ENTRIES_PER_TURN]:
                        self._feed.apply(entry)
                    if not rests.left_s or start + _ENTRIES_PER_TURN < len(message.entries):
                        rests.flush(self._feed)
                    await asyncio.sleep(0)
                metrics.SEQUENCE.set(self._feed.sequence)
                metrics.LAG_SEQUENCES.set(max(0, message.durable_sequence - self._feed.sequence))

    def _failed(self, error: Exception) -> None:
        cause, reason = "database", reason_of(error)
        if isinstance(error, grpc.aio.AioRpcError):
            cause, reason = "engine", f"{error.code().name}: {error.details()}"
            if error.code() == grpc.StatusCode.OUT_OF_RANGE:
                self._feed = None
        elif isinstance(error, ConnectionError) and self._feed is not None:
            cause = "engine"
        self.problem = f"{cause}: {reason}"
        metrics.FAILURES.labels(cause).inc()
        _log.warning("stream interrupted", cause=cause, reason=reason)


class _Rests:
    """Times between two flushes.

    To send a message costs a system call for each subscriber, and to send some at once no more. So
    a lone message is sent at once, and the rest after a flush grows with its duration: with many
    subscribers flushes become fewer and larger.
    """

    def __init__(self) -> None:
        self._until = 0.0

    @property
    def left_s(self) -> float:
        """How long the rest still lasts, 0 if it is over."""
        return max(0.0, self._until - time.monotonic())

    def flush(self, feed: Fold) -> None:
        started = time.monotonic()
        feed.channels.flush()
        ended = time.monotonic()
        self._until = ended + min(_REST_MAX_S, _REST_PER_FLUSH * (ended - started))
