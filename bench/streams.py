"""Measures streams: many subscribers of one busy book, and order entry beside them."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from bench.load import BenchError, load
from bench.servers import ROOT, Server, venue

SUBSCRIBERS = 1000
PROBES = 4
SYMBOL = "AAPL"
BUSY_PAIRS_PER_S = (8, 16, 33, 50, 66, 100)
"""Each pair of orders makes a trade and two quotes, for each subscriber."""
BESIDE_PAIRS_PER_S = 16
_ANSWER_TIMEOUT_S = 120
_ORDER_CONNECTIONS = 64
_LIMITS = {
    "OPENVENUE_STREAM_CONNECTIONS_PER_KEY_MAX": str(SUBSCRIBERS + PROBES),
    "OPENVENUE_STREAM_CONNECTIONS_MAX": str(SUBSCRIBERS + PROBES + 16),
}


class Readers:
    """The process of the clients."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.clients = self._answer()["clients"]

    def begin(self) -> None:
        """Forget what was counted."""
        self._say("begin")

    def end(self) -> dict[str, Any]:
        """Return what was counted since."""
        self._say("end")
        return self._answer()

    def _say(self, command: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise BenchError("the clients of the stream have ended")
        return dict(json.loads(line))


@contextmanager
def _readers(server: Server) -> Iterator[Readers]:
    assert server.keys is not None
    command = [sys.executable, "-m", "bench.stream_readers", f"{server.stream_url}/v2/iex"]
    command += [str(server.keys), SYMBOL, str(SUBSCRIBERS), str(PROBES)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Readers(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(_ANSWER_TIMEOUT_S)


class Flow:
    """Pairs of orders of two accounts that trade with each other, at a steady rate."""

    def __init__(self, server: Server) -> None:
        assert server.keys is not None
        self._url = f"{server.url}/v2/orders"
        self._keys = [line.split() for line in server.keys.read_text().splitlines()[:2]]

    async def run(self, pairs_per_s: float, seconds: float) -> float:
        """Return the pairs a second that were entered. Raises BenchError if one is refused."""
        async with aiohttp.ClientSession() as session:
            began = time.monotonic()
            count = 0
            while (due := count / pairs_per_s) < seconds:
                await asyncio.sleep(max(0.0, began + due - time.monotonic()))
                maker, taker = self._keys if count % 2 else reversed(self._keys)
                await self._order(session, maker, "buy")
                await self._order(session, taker, "sell")
                count += 1
                if time.monotonic() - began > seconds:
                    break
        return count / (time.monotonic() - began)

    async def _order(self, session: aiohttp.ClientSession, key: list[str], side: str) -> None:
        headers = {"APCA-API-KEY-ID": key[0], "APCA-API-SECRET-KEY": key[1]}
        body = {
            "symbol": SYMBOL, "qty": "1", "side": side, "type": "limit",
            "time_in_force": "gtc", "limit_price": "585.00",
        }  # fmt: skip
        async with session.post(self._url, json=body, headers=headers) as answer:
            if answer.status != 200:
                raise BenchError(f"an order was refused: {answer.status} {await answer.text()}")


class Usage:
    """Processor time and memory of the stream's process."""

    def __init__(self) -> None:
        self._process = next(
            child
            for child in psutil.Process().children(recursive=True)
            if "openvenue.stream" in child.cmdline()
        )

    def cpu_s(self) -> float:
        times = self._process.cpu_times()
        return float(times.user + times.system)

    def memory_bytes(self) -> int:
        return int(self._process.memory_info().rss)


def deliveries(scratch: Path, seconds: int) -> list[dict[str, Any]]:
    """Return a row for each rate: what was offered, delivered, how old, and at what cost."""
    rows = []
    with venue(scratch / "streams", 1, **_LIMITS) as server, _readers(server) as readers:
        usage, flow = Usage(), Flow(server)
        asyncio.run(flow.run(BUSY_PAIRS_PER_S[0], 1))
        for pairs_per_s in BUSY_PAIRS_PER_S:
            before = usage.cpu_s()
            readers.begin()
            entered = asyncio.run(flow.run(pairs_per_s, seconds))
            seen = readers.end()
            rows.append(
                {
                    "pairs_per_s": entered,
                    "offered_per_s": entered * 3 * readers.clients,
                    "delivered_per_s": seen["deliveries"] / seen["seconds"],
                    "p50_ms": seen["p50_ms"],
                    "p99_ms": seen["p99_ms"],
                    "cpu_share": (usage.cpu_s() - before) / seen["seconds"],
                    "memory_bytes": usage.memory_bytes(),
                    "closed": seen["closed"],
                }
            )
    return rows


def order_entry_beside(scratch: Path, seconds: int) -> dict[str, float]:
    """Return orders a second without subscribers, and beside many of another, busy book."""
    rates = {}
    with venue(scratch / "beside", 1, **_LIMITS) as server:
        rates["alone"] = _orders_per_s(server, seconds)
        with _readers(server) as readers:
            readers.begin()
            rates["beside"] = asyncio.run(_both(server, seconds))
            seen = readers.end()
            rates["delivered_per_s"] = seen["deliveries"] / seen["seconds"]
    return rates


async def _both(server: Server, seconds: int) -> float:
    flow = asyncio.ensure_future(Flow(server).run(BESIDE_PAIRS_PER_S, seconds + 1))
    rate = await asyncio.to_thread(_orders_per_s, server, seconds)
    await flow
    return rate


def _orders_per_s(server: Server, seconds: int) -> float:
    url = f"{server.url}/v2/orders"
    return load(url, "order_flow.lua", _ORDER_CONNECTIONS, seconds, str(server.keys)).per_second
