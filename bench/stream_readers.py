"""Many clients of one stream, in a process of their own; it prints what they got.

    python -m bench.stream_readers URL KEYS SYMBOL CLIENTS PROBES

KEYS is the file of `bench.servers`. Clients count messages by their bytes, because a whole client
for each would cost more than the server. PROBES more decode each message and note how old it is.
Reads commands of a line each from stdin: `begin` forgets what was counted, `end` prints it as JSON,
and the end of input ends it.
"""

import asyncio
import base64
import json
import os
import struct
import sys
import time
from datetime import UTC, datetime
from functools import partial
from typing import Any

import uvloop
from websockets.asyncio.client import connect

CHANNELS = ("trades", "quotes")
_DATA = (b'"T":"t"', b'"T":"q"')
_CONNECTING_AT_ONCE = 50


class Counter(asyncio.Protocol):
    """A client that counts trades and quotes."""

    def __init__(self, path: str, host: str, messages: list[bytes]) -> None:
        self.count = 0
        self.subscribed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.closed = False
        self._request = (
            f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n"
        ).encode()
        self._messages = messages

    def connection_made(self, transport: Any) -> None:
        transport.write(self._request)
        for message in self._messages:
            transport.write(_masked(message))

    def data_received(self, data: bytes) -> None:
        if self.subscribed.done():
            # A message split between two reads is counted by neither, and there are few.
            self.count += data.count(_DATA[0]) + data.count(_DATA[1])
        elif b'"T":"subscription"' in data:
            self.subscribed.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if not self.subscribed.done():
            self.subscribed.set_exception(ConnectionError("the stream closed a client"))


def _same(counter: Counter) -> Counter:
    return counter


def _masked(payload: bytes) -> bytes:
    """Return a text frame with a mask of zeros, which leaves the payload as it is."""
    assert len(payload) < 1 << 16
    return b"\x81\xfe" + struct.pack(">H", len(payload)) + bytes(4) + payload


class Probe:
    """A client that decodes."""

    def __init__(self) -> None:
        self.ages_ms: list[float] = []

    async def run(self, url: str, messages: list[bytes], ready: asyncio.Event) -> None:
        async with connect(url, max_size=None) as connection:
            for message in messages:
                await connection.send(message.decode())
            async for text in connection:
                now = datetime.now(UTC)
                for message in json.loads(text):
                    if message["T"] in ("t", "q"):
                        age = now - datetime.fromisoformat(message["t"])
                        self.ages_ms.append(age.total_seconds() * 1000)
                    elif message["T"] == "subscription":
                        ready.set()


async def main() -> None:
    url, keys, symbol, clients, probes = sys.argv[1:]
    with open(keys) as file:  # noqa: ASYNC230
        key_id, secret = file.readline().split()
    messages = [
        json.dumps({"action": "auth", "key": key_id, "secret": secret}).encode(),
        json.dumps({"action": "subscribe", **{name: [symbol] for name in CHANNELS}}).encode(),
    ]
    address = url.removeprefix("ws://")
    host, _, path = address.partition("/")
    name, _, port = host.partition(":")
    loop = asyncio.get_running_loop()
    counters: list[Counter] = []
    for start in range(0, int(clients), _CONNECTING_AT_ONCE):
        made = [
            Counter(f"/{path}", host, messages)
            for _ in range(min(_CONNECTING_AT_ONCE, int(clients) - start))
        ]
        for counter in made:
            await loop.create_connection(partial(_same, counter), name, int(port))
        await asyncio.gather(*(counter.subscribed for counter in made))
        counters += made
    observers = [Probe() for _ in range(int(probes))]
    readies = [asyncio.Event() for _ in observers]
    tasks = [
        asyncio.ensure_future(probe.run(url, messages, ready))
        for probe, ready in zip(observers, readies, strict=True)
    ]
    await asyncio.gather(*(ready.wait() for ready in readies))
    say({"clients": len(counters) + len(observers)})
    began = time.monotonic()
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    while command := (await commands.readline()).strip():
        if command == b"begin":
            for counter in counters:
                counter.count = 0
            for probe in observers:
                probe.ages_ms.clear()
            began = time.monotonic()
        else:
            ages = sorted(age for probe in observers for age in probe.ages_ms)
            say(
                {
                    "seconds": time.monotonic() - began,
                    "deliveries": sum(counter.count for counter in counters)
                    + sum(len(probe.ages_ms) for probe in observers),
                    "closed": sum(counter.closed for counter in counters)
                    + sum(task.done() for task in tasks),
                    "p50_ms": quantile(ages, 0.5),
                    "p99_ms": quantile(ages, 0.99),
                }
            )
    for task in tasks:
        task.cancel()


def quantile(ordered: list[float], share: float) -> float | None:
    return ordered[int(share * (len(ordered) - 1))] if ordered else None


def say(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
