"""Reads an account's order updates through the ingress, whatever happens, and resumes."""

import asyncio
import json
import threading
from typing import Any

from openvenue.ids import IdSpace, Kind
from openvenue.stream.messages import SEQ_PER_ENTRY
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidMessage, WebSocketException

from tests.cluster.order_flow import Key

_AWAY = (OSError, TimeoutError, EOFError, WebSocketException, InvalidHandshake, InvalidMessage)
_AGAIN_S = 0.2
_OPEN_TIMEOUT_S = 10
_ANSWER_TIMEOUT_S = 120
_ORDER_IDS = IdSpace(0, Kind.ORDER)


class StreamReader:
    """Reads in its own thread until it is stopped. Use as a context manager."""

    def __init__(self, url: str, key: Key) -> None:
        self.key = key
        self.received: list[tuple[str, int]] = []
        """Events and orders of all updates, in their order."""
        self.began_after = 0
        """The journal's entry after which it began."""
        self.connections = 0
        self.problems: list[str] = []
        """What must not happen: gaps, updates out of order."""
        self._url = url.replace("http", "ws", 1) + "/stream"
        self._sequence: int | None = None
        self._last_failure = self._last_answer = ""
        self._stop = threading.Event()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def __enter__(self) -> "StreamReader":
        self._thread.start()
        assert self._listening.wait(_ANSWER_TIMEOUT_S), f"the stream does not answer: {self.state}"
        return self

    @property
    def state(self) -> str:
        """What it does, and what it last heard and met, for messages of failures."""
        runs = "reads" if self._thread.is_alive() else "has ended"
        return f"it {runs}, heard {self._last_answer}, met {self._last_failure}"

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)

    async def _run(self) -> None:
        while not self._stop.is_set():
            try:
                async with connect(
                    self._url, open_timeout=_OPEN_TIMEOUT_S, close_timeout=1
                ) as connection:
                    await self._read(connection)
            except _AWAY as error:
                self._last_failure = repr(error)
            await asyncio.sleep(_AGAIN_S)

    async def _read(self, connection: ClientConnection) -> None:
        data = {
            "key_id": self.key.key_id,
            "secret_key": self.key.secret,
            "resume": self._sequence,
        }
        await connection.send(json.dumps({"action": "authenticate", "data": data}))
        listen = {"action": "listen", "data": {"streams": ["trade_updates"]}}
        await connection.send(json.dumps(listen))
        while not self._stop.is_set():
            try:
                async with asyncio.timeout(1):
                    message = json.loads(await connection.recv())
            except TimeoutError:
                continue
            self._take(message["stream"], message["data"])

    def _take(self, stream: str, data: dict[str, Any]) -> None:
        self._last_answer = f"{stream} {data}"
        if stream == "trade_updates":
            if data["prev_seq"] > self._sequence or data["seq"] <= self._sequence:
                self.problems.append(f"{data['prev_seq']}, {data['seq']} after {self._sequence}")
            self._sequence = data["seq"]
            order_id = _ORDER_IDS.parse(data["order"]["id"])
            assert order_id is not None
            self.received.append((data["event"], order_id))
        elif stream == "listening":
            self.connections += 1
            if self._sequence is None:
                self._sequence = data["seq"]
                self.began_after = data["seq"] // SEQ_PER_ENTRY
            self._listening.set()
        elif stream == "gap":
            self.problems.append(f"a gap: {data}")
