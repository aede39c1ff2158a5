"""The channels: who subscribes to what, and the messages that a client can still be sent again.

Every message gets its place in the journal here. It depends only on the journal, so a process that
starts again gives each message the number that it had before.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from operator import attrgetter
from typing import Protocol

from openvenue.stream.messages import SEQ_PER_ENTRY, Channel, Document, Message

ALL = "*"
"""Name that stands for all names of a group and kind."""


class Subscriber(Protocol):
    """Takes messages as they come, and sends them when a batch of entries is through."""

    def take(self, message: Message) -> None: ...

    def flush(self) -> None: ...


@dataclass(slots=True)
class _State:
    of_all: Channel
    """The channel that stands for all names of this one's group and kind."""
    prev_seq: int = 0
    last: Message | None = None
    window: deque[Message] = field(default_factory=deque)
    subscribers: dict[Subscriber, None] = field(default_factory=dict)


class Channels:
    """All channels. The window holds the newest `messages_max` messages over all of them."""

    def __init__(self, sequence: int, messages_max: int) -> None:
        self.floor = sequence * SEQ_PER_ENTRY
        """The window holds all messages after this place."""
        self.position = self.floor
        """Place of the last message, or of the last entry if it made none."""
        self._messages_max = messages_max
        self._window: deque[Message] = deque()
        self._states: dict[Channel, _State] = {}
        self._fed: dict[Subscriber, None] = {}

    def begin_entry(self, sequence: int) -> None:
        """Give the messages that follow their places after this entry's number."""
        self.position = sequence * SEQ_PER_ENTRY

    def publish(self, channel: Channel, document: Document) -> None:
        """Give a document its place, keep it in the window and hand it to the subscribers."""
        state = self._state(channel)
        self.position += 1
        document.seq, document.prev_seq = self.position, state.prev_seq
        message = Message(channel, document)
        state.prev_seq, state.last = message.seq, message
        self._keep(message, state)
        self._hand_out(message, state)

    @property
    def unflushed(self) -> bool:
        """True if subscribers took messages that they have not sent."""
        return bool(self._fed)

    def flush(self) -> None:
        """Let the subscribers send what they took."""
        fed, self._fed = self._fed, {}
        for subscriber in fed:
            subscriber.flush()

    def subscribe(self, channel: Channel, subscriber: Subscriber) -> None:
        """Hand a channel's messages to a subscriber from now on."""
        self._state(channel).subscribers[subscriber] = None

    def unsubscribe(self, channel: Channel, subscriber: Subscriber) -> None:
        """Stop that; nothing if it was not subscribed."""
        state = self._states.get(channel)
        if state is None:
            return
        state.subscribers.pop(subscriber, None)
        if state.last is None and not state.subscribers:
            del self._states[channel]  # Nobody ever published on it.

    def has_subscribers(self, channel: Channel) -> bool:
        """True if somebody gets the channel's messages."""
        state = self._states.get(channel)
        if state is not None and state.subscribers:
            return True
        to_all = self._states.get(_of_all(channel))
        return to_all is not None and bool(to_all.subscribers)

    def last(self, channel: Channel) -> Message | None:
        """Return a channel's newest message, None if it had none since the start."""
        state = self._states.get(channel)
        return state.last if state is not None else None

    def after(self, channel: Channel, seq: int, count: int) -> Sequence[Message]:
        """Return up to `count` messages after a place, the oldest first.

        If the place is before `floor`, messages may be missing before the first one.
        """
        windows = [state.window for state in self._matching(channel)]
        if len(windows) == 1:
            return _after(windows[0], seq, count)
        found = [message for window in windows for message in _after(window, seq, count)]
        return sorted(found, key=attrgetter("seq"))[:count]

    def _matching(self, channel: Channel) -> Iterable[_State]:
        if channel.name != ALL:
            state = self._states.get(channel)
            return () if state is None else (state,)
        return [
            state
            for each, state in self._states.items()
            if (each.group, each.kind) == (channel.group, channel.kind)
        ]

    def _state(self, channel: Channel) -> _State:
        state = self._states.get(channel)
        if state is None:
            state = self._states[channel] = _State(_of_all(channel))
        return state

    def _keep(self, message: Message, state: _State) -> None:
        self._window.append(message)
        state.window.append(message)
        if len(self._window) > self._messages_max:
            oldest = self._window.popleft()
            self._states[oldest.channel].window.popleft()
            self.floor = oldest.seq

    def _hand_out(self, message: Message, state: _State) -> None:
        for subscriber in state.subscribers:
            subscriber.take(message)
            self._fed[subscriber] = None
        to_all = self._states.get(state.of_all)
        if to_all is not None:
            for subscriber in to_all.subscribers:
                if subscriber not in state.subscribers:
                    subscriber.take(message)
                    self._fed[subscriber] = None


def _of_all(channel: Channel) -> Channel:
    return Channel(channel.group, channel.kind, ALL)


def _after(window: deque[Message], seq: int, count: int) -> list[Message]:
    start = bisect_right(window, seq, key=attrgetter("seq"))
    return list(islice(window, start, start + count))
