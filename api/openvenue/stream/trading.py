"""Alpaca's `/stream`: updates of an account's orders, as JSON in text frames.

    {"action": "authenticate", "data": {"key_id": …, "secret_key": …, "resume": seq}}
    {"action": "authenticate", "data": {"oauth_token": token, "resume": seq}}
    {"action": "auth", "key": …, "secret": …, "resume": seq}
    {"action": "listen", "data": {"streams": ["trade_updates"]}}

`listen` replaces the streams. `resume` is optional: the updates after that place come first.
"""

from collections.abc import Sequence

import msgspec
from msgspec import Struct
from websockets.frames import CloseCode, Opcode

from openvenue.stream.admission import TOKENS_KEY_ID, Refusal
from openvenue.stream.feed import TRADE_UPDATES, account_channel
from openvenue.stream.messages import Channel, Message, to_json
from openvenue.stream.session import Session, frame

_STREAMS_MAX = 16

_REASONS = {
    Refusal.CREDENTIALS: "access key verification failed",
    Refusal.UNCHECKED: "the key cannot be checked at the moment",
    Refusal.KEY_CONNECTIONS: "connection limit exceeded",
    Refusal.TIMEOUT: "auth timeout",
    Refusal.REVOKED: "the key or token was revoked or has expired",
    Refusal.ADDRESS: "the key may not be used from this address",
}


class _Data(Struct, frozen=True):
    key_id: str = ""
    secret_key: str = ""
    oauth_token: str = ""
    resume: int | None = None
    streams: list[str] = []


class _Command(Struct):
    action: str
    data: _Data = _Data()
    key: str = ""
    secret: str = ""
    resume: int | None = None


_decode = msgspec.json.Decoder(_Command).decode


class TradingSession(Session):
    """A connection to `/stream`."""

    needed_scope = "read"

    async def greet(self) -> None:
        """Say nothing: the client speaks first."""

    async def handle(self, message: str | bytes) -> None:
        try:
            command = _decode(message)
        except msgspec.MsgspecError:
            self._say("error", {"message": "a message must be JSON with an action and its data"})
            return
        if command.action in ("authenticate", "auth"):
            await self._authenticate(command)
        elif command.action == "listen":
            await self._listen(command.data.streams[:_STREAMS_MAX])
        else:
            self._say("error", {"message": "use the action authenticate or listen"})

    async def refuse(self, refusal: Refusal) -> None:
        self._refused(_REASONS[refusal])
        await self.close(_close_code(refusal), _REASONS[refusal])

    def frames(self, messages: Sequence[Message]) -> bytes:
        return b"".join(frame(Opcode.TEXT, message.json) for message in messages)

    def gap(self, channel: Channel, after: int, to: int) -> bytes:
        gap = {"stream": "gap", "data": {"stream": TRADE_UPDATES, "from": after, "to": to}}
        return frame(Opcode.TEXT, to_json(gap))

    async def _authenticate(self, command: _Command) -> None:
        if self.principal is not None:
            self._refused("already authenticated")
            return
        data = command.data
        key_id, secret = data.key_id or command.key, data.secret_key or command.secret
        if data.oauth_token:
            if key_id or secret:
                self._refused("give a key or a token, not both")
                return
            key_id, secret = TOKENS_KEY_ID, data.oauth_token
        refusal = await self.authenticate(
            key_id, secret, data.resume if data.resume is not None else command.resume
        )
        if refusal is not None:
            await self.refuse(refusal)
            return
        self._say("authorization", {"status": "authorized", "action": "authenticate"})

    async def _listen(self, streams: Sequence[str]) -> None:
        if self.principal is None:
            self._refused("authenticate first", action="listen")
            return
        channel = account_channel(self.principal.account_id)
        listens = TRADE_UPDATES in streams
        known = [TRADE_UPDATES] if listens else []
        self._say("listening", {"streams": known, "seq": self._channels.position})
        if listens:
            await self.subscribe(channel)
        else:
            self.unsubscribe(channel)

    def _refused(self, reason: str, action: str = "authenticate") -> None:
        self._say("authorization", {"status": "unauthorized", "action": action, "message": reason})

    def _say(self, stream: str, data: dict[str, object]) -> None:
        self.write(Opcode.TEXT, to_json({"stream": stream, "data": data}))

    async def _leave_slow(self) -> None:
        await self._connection.close(CloseCode.POLICY_VIOLATION, "slow client")


def _close_code(refusal: Refusal) -> CloseCode:
    if refusal is Refusal.UNCHECKED:
        return CloseCode.TRY_AGAIN_LATER
    return CloseCode.POLICY_VIOLATION
