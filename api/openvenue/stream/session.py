"""One WebSocket: what it may get, what it has not been sent yet, and when it is too slow.

The bytes of a message are shared by all sessions, and go straight to the socket's buffer. What is
unsent there is the session's queue. Above one mark, quotes and books wait until the client has
read, and it then gets the newest state instead of all between. Above another mark, or if it does
not read at all, the session is closed with a code: a client that misses something knows it.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.protocol import State

from openvenue.security.client_address import Address, Network, client_address
from openvenue.security.principal import Principal
from openvenue.stream import metrics
from openvenue.stream.admission import Admission, Refusal
from openvenue.stream.channels import Channels
from openvenue.stream.feed import Feed
from openvenue.stream.messages import Channel, Message
from openvenue.stream.settings import StreamSettings
from openvenue.vocabulary import Scope

_CONFLATED = ("quotes", "orderbooks")
_REPLAYED_AT_ONCE = 500
_READS_WITHIN_S = 30.0
_UNSENT_POLL_S = 0.01


class Session(ABC):
    """What both protocols share; `run` serves the connection to its end."""

    needed_scope: Scope
    """Of the key that a client authenticates with."""

    def __init__(
        self,
        connection: ServerConnection,
        feed: Feed,
        admission: Admission,
        settings: StreamSettings,
        trusted_proxies: Sequence[Network] = (),
    ) -> None:
        self.principal: Principal | None = None
        self.client = _client_of(connection, trusted_proxies)
        self._connection = connection
        self._feed = feed
        self._admission = admission
        self._settings = settings
        self._resume_after: int | None = None
        self._pending: list[Message] = []
        self._behind: dict[Channel, None] = {}
        self._unread_since: float | None = None
        self._subscribed: set[Channel] = set()
        self._closing: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Serve until the connection ends."""
        try:
            await self.greet()
            try:
                async with asyncio.timeout(self._settings.authentication_timeout_s):
                    while self.principal is None and self._open:
                        await self.handle(await self._connection.recv())
            except TimeoutError:
                metrics.CLOSED.labels("silent").inc()
                await self.refuse(Refusal.TIMEOUT)
            while self._open:
                await self.handle(await self._connection.recv())
        except ConnectionClosed:
            pass
        finally:
            for channel in self._subscribed:
                self._channels.unsubscribe(channel, self)
            if self.principal is not None:
                self._admission.left(self.principal)

    @abstractmethod
    async def greet(self) -> None:
        """Say what a client expects before it speaks."""

    @abstractmethod
    async def handle(self, message: str | bytes) -> None:
        """Carry out one message of the client."""

    @abstractmethod
    async def refuse(self, refusal: Refusal) -> None:
        """Say why, and close."""

    @abstractmethod
    def frames(self, messages: Sequence[Message]) -> bytes:
        """Return messages as WebSocket frames."""

    @abstractmethod
    def gap(self, channel: Channel, after: int, to: int) -> bytes:
        """Return the frame that says that messages between two places may be missing."""

    def take(self, message: Message) -> None:
        """Take a message of a subscription; `flush` follows."""
        if self._resume_after is None or message.seq > self._resume_after:
            self._pending.append(message)

    def flush(self) -> None:
        """Send what was taken, or conflate it, or close."""
        messages, self._pending = self._pending, []
        if not self._open:
            return
        unsent = self._unsent
        if unsent > self._settings.unsent_bytes_max:
            # Only now: one entry may make more than that, and nobody is slow for it.
            self._too_slow()
            return
        if unsent > self._settings.conflate_bytes:
            messages = self._hold_back(messages)
        elif self._behind:
            messages = [message for message in messages if message.channel not in self._behind]
            messages += self._newest(self._behind)
            self._behind.clear()
        self._send(messages)

    def catch_up(self) -> None:
        """Send the newest state if the client reads again; close if it has not for too long."""
        now = asyncio.get_running_loop().time()
        if not self._open:
            return
        if self._unsent <= self._settings.conflate_bytes:
            self._unread_since = None
            if self._behind:
                self.flush()
        elif self._unread_since is None:
            self._unread_since = now
        elif now - self._unread_since > _READS_WITHIN_S:
            self._too_slow()

    async def close(self, code: int, reason: str) -> None:
        """Close, once."""
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._connection.close(code, reason))
        await asyncio.shield(self._closing)

    def write(self, opcode: Opcode, payload: bytes) -> None:
        """Send one frame after all that was sent before."""
        if self._open:
            self._connection.transport.write(frame(opcode, payload))

    async def authenticate(self, key_id: str, secret: str, resume: int | None) -> Refusal | None:
        """Take a client's key or token; return why not, if not."""
        admitted = await self._admission.admit(key_id, secret, self.client, self.needed_scope)
        if not isinstance(admitted, Principal):
            return admitted
        self.principal = admitted
        self._resume_after = resume
        return None

    async def subscribe(self, channel: Channel) -> None:
        """Send what the client missed on a channel, if it resumes; then what comes."""
        if channel in self._subscribed:
            return
        if channel.kind == "orderbooks":
            # A whole book is all that was missed.
            self._send(self._newest([channel]))
        elif self._resume_after is not None:
            await self._replay(channel, self._resume_after)
        self._subscribed.add(channel)
        self._channels.subscribe(channel, self)

    def unsubscribe(self, channel: Channel) -> None:
        """Send no more of a channel."""
        self._subscribed.discard(channel)
        self._channels.unsubscribe(channel, self)

    @property
    def closing(self) -> bool:
        """True if the venue has begun to close it."""
        return self._closing is not None

    @property
    def _channels(self) -> Channels:
        return self._feed.channels

    @property
    def _open(self) -> bool:
        return self._connection.state is State.OPEN and self._closing is None

    @property
    def _unsent(self) -> int:
        return self._connection.transport.get_write_buffer_size()

    async def _replay(self, channel: Channel, after: int) -> None:
        while self._open:
            if after < self._channels.floor:
                self._connection.transport.write(self.gap(channel, after, self._channels.floor))
                after = self._channels.floor
            messages = self._channels.after(channel, after, _REPLAYED_AT_ONCE)
            if not messages:
                return  # Without a pause: the caller subscribes before the next message.
            after = messages[-1].seq
            self._send(messages)
            await self._has_read()

    async def _has_read(self) -> None:
        """Wait until the client has read most of what it was sent."""
        try:
            async with asyncio.timeout(_READS_WITHIN_S):
                while self._open and self._unsent > self._settings.conflate_bytes:  # noqa: ASYNC110
                    await asyncio.sleep(_UNSENT_POLL_S)
            self._unread_since = None
        except TimeoutError:
            self._too_slow()

    def _send(self, messages: Sequence[Message]) -> None:
        if messages and self._open:
            metrics.MESSAGES.inc(len(messages))
            self._connection.transport.write(self.frames(messages))

    def _hold_back(self, messages: list[Message]) -> list[Message]:
        """Return those that must be sent in any case."""
        kept = []
        for message in messages:
            if message.channel.kind not in _CONFLATED:
                kept.append(message)
                continue
            self._behind[message.channel] = None
            metrics.CONFLATED.inc()
        return kept

    def _newest(self, channels: Iterable[Channel]) -> list[Message]:
        """Return the newest state of quotes and books."""
        newest: list[Message] = []
        for channel in channels:
            if channel.kind == "orderbooks":
                newest += self._feed.books(channel)
            elif (last := self._channels.last(channel)) is not None:
                newest.append(last)
        return newest

    def _too_slow(self) -> None:
        metrics.CLOSED.labels("slow").inc()
        self._pending.clear()
        self._closing = asyncio.ensure_future(self._leave_slow())

    @abstractmethod
    async def _leave_slow(self) -> None:
        """Say that the client is too slow, and close the connection."""


def _client_of(connection: ServerConnection, trusted_proxies: Sequence[Network]) -> Address | None:
    peer = str((connection.remote_address or ("",))[0])
    request = connection.request
    headers = request.headers.raw_items() if request is not None else ()
    encoded = ((name.lower().encode(), value.encode("latin-1")) for name, value in headers)
    return client_address(peer, encoded, trusted_proxies)


def frame(opcode: Opcode, payload: bytes) -> bytes:
    """Return a frame as a server sends it."""
    return Frame(opcode, payload).serialize(mask=False)
