"""Alpaca's market data streams: `/v2/{feed}` of shares, `/v1beta3/crypto/{loc}` of pairs.

    {"action": "auth", "key": …, "secret": …, "resume": seq}
    {"action": "auth", "key": "oauth", "secret": token, "resume": seq}
    {"action": "subscribe", "trades": ["AAPL"], "quotes": ["*"]}
    {"action": "unsubscribe", "trades": ["AAPL"]}

The server speaks first, and always in arrays: JSON in text frames, or MessagePack in binary frames
if the handshake says `Content-Type: application/msgpack`. `resume` is optional: what came after
that place on a channel comes first when the client subscribes to it.
"""

from collections.abc import Sequence
from functools import lru_cache

import msgspec
from msgspec import Struct
from websockets.asyncio.server import ServerConnection
from websockets.frames import CloseCode, Opcode

from openvenue.security.client_address import Network
from openvenue.stream.admission import Admission, Refusal
from openvenue.stream.feed import Feed
from openvenue.stream.messages import Channel, Message, to_json, to_msgpack
from openvenue.stream.session import Session, frame
from openvenue.stream.settings import StreamSettings
from openvenue.vocabulary import AssetClass

_SYMBOL_LENGTH_MAX = 64

# Bookkeeping that no venue of this kind has: subscribed to with success, and silent.
_SHARES_ONLY = ("statuses", "lulds")
_WITH_TRADES = ("corrections", "cancelErrors")

_ERRORS = {
    Refusal.CREDENTIALS: (402, "auth failed"),
    Refusal.UNCHECKED: (500, "internal error: the key cannot be checked at the moment"),
    Refusal.KEY_CONNECTIONS: (406, "connection limit exceeded"),
    Refusal.TIMEOUT: (404, "auth timeout"),
    Refusal.REVOKED: (402, "auth failed: the key or token was revoked or has expired"),
    Refusal.ADDRESS: (402, "auth failed: the key may not be used from this address"),
}
_INVALID_SYNTAX = (400, "invalid syntax")
_NOT_AUTHENTICATED = (401, "not authenticated")
_ALREADY_AUTHENTICATED = (403, "already authenticated")
_SYMBOL_LIMIT = (405, "symbol limit exceeded")
_SHARED_FRAMES = 64
_SLOW_CLIENT = (407, "slow client")
_INVALID_ACTION = (410, "invalid subscribe action for this feed")


class _Command(Struct, rename={
    "updated_bars": "updatedBars", "daily_bars": "dailyBars", "cancel_errors": "cancelErrors",
}):  # fmt: skip
    action: str
    key: str = ""
    secret: str = ""
    resume: int | None = None
    trades: list[str] = []
    quotes: list[str] = []
    bars: list[str] = []
    updated_bars: list[str] = []
    daily_bars: list[str] = []
    orderbooks: list[str] = []
    statuses: list[str] = []
    lulds: list[str] = []
    corrections: list[str] = []
    cancel_errors: list[str] = []

    def symbols(self) -> dict[str, list[str]]:
        """Return the symbols of each kind of market data, without empty ones."""
        kinds = {
            "trades": self.trades,
            "quotes": self.quotes,
            "bars": self.bars,
            "updatedBars": self.updated_bars,
            "dailyBars": self.daily_bars,
            "orderbooks": self.orderbooks,
            "statuses": self.statuses,
            "lulds": self.lulds,
        }
        return {kind: symbols for kind, symbols in kinds.items() if symbols}


_from_json = msgspec.json.Decoder(_Command).decode
_from_msgpack = msgspec.msgpack.Decoder(_Command).decode


class DataSession(Session):
    """A connection to a market data stream."""

    needed_scope = "data"

    def __init__(
        self,
        connection: ServerConnection,
        feed: Feed,
        admission: Admission,
        settings: StreamSettings,
        trusted_proxies: Sequence[Network],
        asset_class: AssetClass,
    ) -> None:
        super().__init__(connection, feed, admission, settings, trusted_proxies)
        self._asset_class = asset_class
        request = connection.request
        content_type = request.headers.get("Content-Type", "") if request is not None else ""
        self._is_msgpack = content_type == "application/msgpack"

    async def greet(self) -> None:
        self._say({"T": "success", "msg": "connected"})

    async def handle(self, message: str | bytes) -> None:
        try:
            command = self._decode(message)
        except msgspec.MsgspecError:
            self._error(_INVALID_SYNTAX)
            return
        if command.action == "auth":
            await self._authenticate(command)
        elif self.principal is None:
            self._error(_NOT_AUTHENTICATED)
        elif command.action == "subscribe":
            await self._subscribe(command.symbols())
        elif command.action == "unsubscribe":
            self._unsubscribe(command.symbols())
        else:
            self._error(_INVALID_SYNTAX)

    async def refuse(self, refusal: Refusal) -> None:
        self._error(_ERRORS[refusal])
        code = CloseCode.POLICY_VIOLATION
        if refusal is Refusal.UNCHECKED:
            code = CloseCode.TRY_AGAIN_LATER
        await self.close(code, _ERRORS[refusal][1])

    def frames(self, messages: Sequence[Message]) -> bytes:
        return _msgpack_frame(tuple(messages)) if self._is_msgpack else _json_frame(tuple(messages))

    def gap(self, channel: Channel, after: int, to: int) -> bytes:
        gap: dict[str, object] = {
            "T": "gap",
            "channel": channel.kind,
            "S": channel.name,
            "from": after,
            "to": to,
        }
        return self._frame(gap)

    async def _authenticate(self, command: _Command) -> None:
        if self.principal is not None:
            self._error(_ALREADY_AUTHENTICATED)
            return
        refusal = await self.authenticate(command.key, command.secret, command.resume)
        if refusal is not None:
            await self.refuse(refusal)
            return
        self._say({"T": "success", "msg": "authenticated"})

    async def _subscribe(self, wanted: dict[str, list[str]]) -> None:
        if self._asset_class == "crypto" and any(kind in _SHARES_ONLY for kind in wanted):
            self._error(_INVALID_ACTION)
            return
        channels = dict.fromkeys(self._channels_of(wanted))
        if any(len(str(channel.name)) > _SYMBOL_LENGTH_MAX for channel in channels):
            self._error(_INVALID_SYNTAX)
            return
        if len(self._subscribed | channels.keys()) > self._settings.subscriptions_max:
            self._error(_SYMBOL_LIMIT)
            return
        self._confirm(self._subscribed | channels.keys())
        for channel in channels:
            await self.subscribe(channel)

    def _unsubscribe(self, unwanted: dict[str, list[str]]) -> None:
        for channel in self._channels_of(unwanted):
            self.unsubscribe(channel)
        self._confirm(self._subscribed)

    def _channels_of(self, symbols: dict[str, list[str]]) -> list[Channel]:
        return [
            Channel(self._asset_class, kind, symbol)
            for kind, listed in symbols.items()
            for symbol in listed
        ]

    def _confirm(self, channels: set[Channel]) -> None:
        """Say what the client subscribes to now, all of it."""
        kinds = ["trades", "quotes", "bars", "updatedBars", "dailyBars", "orderbooks"]
        if self._asset_class != "crypto":
            kinds += _SHARES_ONLY
        listed: dict[str, list[str]] = {kind: [] for kind in kinds}
        for channel in sorted(channels):
            listed[channel.kind].append(str(channel.name))
        if self._asset_class != "crypto":
            listed |= {kind: listed["trades"] for kind in _WITH_TRADES}
        self._say({"T": "subscription", **listed, "seq": self._channels.position})

    def _decode(self, message: str | bytes) -> _Command:
        if isinstance(message, bytes) and self._is_msgpack:
            return _from_msgpack(message)
        return _from_json(message)

    def _error(self, error: tuple[int, str]) -> None:
        self._say({"T": "error", "code": error[0], "msg": error[1]})

    def _say(self, answer: dict[str, object]) -> None:
        if self._open:
            self._connection.transport.write(self._frame(answer))

    def _frame(self, answer: dict[str, object]) -> bytes:
        if self._is_msgpack:
            return frame(Opcode.BINARY, to_msgpack([answer]))
        return frame(Opcode.TEXT, to_json([answer]))

    async def _leave_slow(self) -> None:
        error = {"T": "error", "code": _SLOW_CLIENT[0], "msg": _SLOW_CLIENT[1]}
        self._connection.transport.write(self._frame(error))
        await self._connection.close(CloseCode.POLICY_VIOLATION, _SLOW_CLIENT[1])


# Subscribers of the same channels share a frame.
@lru_cache(maxsize=_SHARED_FRAMES)
def _json_frame(messages: tuple[Message, ...]) -> bytes:
    return frame(Opcode.TEXT, b"[%b]" % b",".join([message.json for message in messages]))


@lru_cache(maxsize=_SHARED_FRAMES)
def _msgpack_frame(messages: tuple[Message, ...]) -> bytes:
    parts = [message.msgpack for message in messages]
    return frame(Opcode.BINARY, _array_header(len(parts)) + b"".join(parts))


def _array_header(length: int) -> bytes:
    """Return the head of a MessagePack array."""
    if length < 1 << 4:
        return bytes((0x90 | length,))
    if length < 1 << 16:
        return b"\xdc" + length.to_bytes(2)
    return b"\xdd" + length.to_bytes(4)
