"""The drop copy: the updates of all accounts' orders, each once, in the journal's order.

It is the fold that the streams send to each account, over all accounts. So an update has the same
`seq` here as in its account's stream, and a process that starts again gives it the same. `prev_seq`
is that of the update before it in the drop copy. The process follows the journal once somebody
wants a copy, and not before.

A client that reads slowly gets what it missed from the window of newest updates, and a `gap` if it
missed more than that.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Literal

import msgspec

from openvenue.admin_server import metrics
from openvenue.admin_server.settings import AdminSettings
from openvenue.documents.views import Views
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.http import problems
from openvenue.ids import IdSpace, Kind
from openvenue.settings import Settings
from openvenue.stream.channels import Channels
from openvenue.stream.feed import TRADE_UPDATES, note_instrument
from openvenue.stream.follow import Follower
from openvenue.stream.messages import Channel, LateDocument, Message, to_json
from openvenue.stream.start import Beginning, StreamFault, beginning
from openvenue.stream.updates import OrderUpdates, Update, UpdateData
from openvenue.telemetry import get_logger
from openvenue.vocabulary import UnknownEnumerator

_CHANNEL = Channel("drop_copy", TRADE_UPDATES, "")
_LOADED_WITHIN_S = 30.0
_AT_ONCE = 500
# Updates that one client may leave unread before it gets them from the window instead.
_WAITING_MAX = 5_000
# After which a silent stream shows that it is there, and a token is checked again.
_HEARTBEAT_S = 5.0

_log = get_logger(__name__)

EndReason = Literal["token", "restart", "stopping", "fault"]


class DropCopyDocument(msgspec.Struct, gc=False):
    """An order update as its account's stream has it, and the account's number."""

    account_id: int
    data: UpdateData
    stream: Literal["drop_copy"] = "drop_copy"


class _AccountUpdate(LateDocument):
    __slots__ = ("_update", "prev_seq", "seq")

    def __init__(self, update: Update) -> None:
        self._update = update
        self.seq = self.prev_seq = 0

    def make(self) -> DropCopyDocument:
        """Return the document."""
        data = self._update.make().data
        data.seq, data.prev_seq = self.seq, self.prev_seq
        return DropCopyDocument(self._update.order.account_id, data)


class OrderFeed:
    """Folds entries into order updates on one channel."""

    def __init__(self, shard_id: int, start: Beginning, messages_max: int) -> None:
        self.sequence = start.sequence
        self.channels = Channels(start.sequence, messages_max)
        self._ids = IdSpace(shard_id, Kind.INSTRUMENT)
        self._instruments = start.instruments
        views = Views(shard_id, start.trading_day)
        self._updates = OrderUpdates(views, start.instruments, start.open_orders)

    def apply(self, entry: pb.JournalEntry) -> None:
        """Fold the entry that follows. Raises ValueError if it does not follow."""
        if entry.sequence != self.sequence + 1:
            raise ValueError(f"journal entry {entry.sequence} follows {self.sequence}")
        self.sequence = entry.sequence
        self.channels.begin_entry(entry.sequence)
        note_instrument(self._instruments, entry, self._ids)
        for update in self._updates.apply(entry):
            # Updates are the first messages of an entry in the streams, too: their `seq` agree.
            self.channels.publish(_CHANNEL, _AccountUpdate(update))


class _Reader:
    """What one client has not been sent yet."""

    def __init__(self) -> None:
        self.behind = False
        """True if it has missed something since `reset`."""
        self.check_at = time.monotonic() + _HEARTBEAT_S
        """When its token is checked again."""
        self._messages: list[Message] = []
        self._woken = asyncio.Event()

    def take(self, message: Message) -> None:
        """Keep a message, or note that the client is too far behind for that."""
        if len(self._messages) < _WAITING_MAX and not self.behind:
            self._messages.append(message)
        else:
            self.behind = True

    def flush(self) -> None:
        """Wake the client's task."""
        self._woken.set()

    def reset(self) -> None:
        """Forget what waits: the window has it."""
        self.behind = False
        self._messages = []

    def taken(self, after: int) -> list[Message]:
        """Return what came since the last call, after a place."""
        messages, self._messages = self._messages, []
        self._woken.clear()
        return [message for message in messages if message.seq > after]

    async def wait(self, timeout_s: float) -> bool:
        """Wait until something may be there; False if nothing came in time."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._woken.wait()
        except TimeoutError:
            return False
        return True


class DropCopies:
    """The open drop copies; `run` follows the journal for them."""

    def __init__(self, settings: Settings, own: AdminSettings) -> None:
        self._settings = settings
        self._own = own
        self._feed: OrderFeed | None = None
        self._wanted = asyncio.Event()
        self._loaded = asyncio.Event()
        self._stopping = False
        self._fault: str | None = None
        self._readers: dict[_Reader, None] = {}
        self._follower = Follower(settings, self._load, self._use, own.backoff_max_s)

    async def run(self) -> None:
        """Follow the journal once somebody wants a copy, until cancelled.

        After a fault that a retry would not help there are no more copies: administrators may be
        needed to repair it, and so the rest goes on.
        """
        await self._wanted.wait()
        try:
            await self._follower.run()
        except (StreamFault, UnknownEnumerator, ValueError) as error:
            _log.error("no drop copies: trying again would not help", reason=str(error))
            self._fault = str(error)
            self._wake()
        await asyncio.Future()

    def stop(self) -> None:
        """End all copies, and admit no more."""
        self._stopping = True
        self._wake()

    async def follow(
        self, after: int | None, still_admitted: Callable[[], Awaitable[bool]]
    ) -> AsyncIterator[bytes]:
        """Return a client's events, from after a `seq` on or from now on.

        They end when `still_admitted` is false. Raises Problem: 429, 503.
        """
        self._wanted.set()
        try:
            async with asyncio.timeout(_LOADED_WITHIN_S):
                await self._loaded.wait()
        except TimeoutError:
            raise problems.unavailable(
                f"the drop copy is starting ({self._follower.problem})"
            ) from None
        if self._fault is not None:
            raise problems.unavailable(f"there is no drop copy: {self._fault}")
        if self._stopping or self._feed is None:
            raise problems.unavailable("the administration is stopping")
        if len(self._readers) >= self._own.drop_copies_max:
            raise problems.too_many(f"{len(self._readers)} drop copies are open")
        return self._events(self._feed, after, still_admitted)

    async def _events(
        self, feed: OrderFeed, after: int | None, still_admitted: Callable[[], Awaitable[bool]]
    ) -> AsyncIterator[bytes]:
        channels = feed.channels
        sent = channels.position if after is None else after
        reader = _Reader()
        self._readers[reader] = None
        metrics.DROP_COPIES.inc()
        try:
            # With an id, so that also a client that got no update resumes from here.
            yield _event("listening", {"seq": channels.position}, sent)
            while True:
                while (missed := _missed(channels, sent)) is not None:
                    events, sent = missed
                    yield events
                # Without a pause since the window had nothing more.
                reader.reset()
                channels.subscribe(_CHANNEL, reader)
                while not reader.behind:
                    if (reason := await self._end_of(reader, feed, still_admitted)) is not None:
                        yield _event("end", {"reason": reason})
                        return
                    if messages := reader.taken(sent):
                        sent = messages[-1].seq
                        yield _updates(messages)
                    elif not await reader.wait(_HEARTBEAT_S):
                        yield b": \n\n"
                channels.unsubscribe(_CHANNEL, reader)
        finally:
            channels.unsubscribe(_CHANNEL, reader)
            del self._readers[reader]
            metrics.DROP_COPIES.dec()

    async def _end_of(
        self, reader: _Reader, feed: OrderFeed, still_admitted: Callable[[], Awaitable[bool]]
    ) -> EndReason | None:
        """Return why a copy has to end now; None if it goes on."""
        if self._stopping:
            return "stopping"
        if self._fault is not None:
            return "fault"
        if self._feed is not feed:
            return "restart"
        now = time.monotonic()
        if now >= reader.check_at:
            reader.check_at = now + _HEARTBEAT_S
            if not await still_admitted():
                return "token"
        return None

    async def _load(self) -> tuple[OrderFeed, int]:
        own = self._own
        async with beginning(self._settings, own.window_entries, "openvenue-admin") as start:
            feed = OrderFeed(self._settings.shard_id, start, own.window_messages_max)
        return feed, start.durable_sequence

    def _use(self, feed: OrderFeed) -> None:
        self._feed = feed
        self._loaded.set()
        self._wake()

    def _wake(self) -> None:
        self._loaded.set()
        for reader in self._readers:
            reader.flush()


def _missed(channels: Channels, sent: int) -> tuple[bytes, int] | None:
    """Return events after a place, and the place that they lead to; None if there are no more."""
    if sent < channels.floor:
        gap: dict[str, object] = {"from": sent, "to": channels.floor}
        return _event("gap", gap, channels.floor), channels.floor
    messages = channels.after(_CHANNEL, sent, _AT_ONCE)
    return (_updates(messages), messages[-1].seq) if messages else None


def _updates(messages: Sequence[Message]) -> bytes:
    return b"".join(
        b"id: %d\nevent: order_update\ndata: %s\n\n" % (message.seq, message.json)
        for message in messages
    )


def _event(name: str, data: dict[str, object], seq: int | None = None) -> bytes:
    event_id = b"" if seq is None else b"id: %d\n" % seq
    return b"%sevent: %s\ndata: %s\n\n" % (event_id, name.encode(), to_json(data))
