"""Accounts that trade through the ingress without a pause, and remember every answer.

`OrderFlow` sends many orders by plain HTTP. It sends unanswered ones again, under the same
client_order_id, as a careful bot does. It does not resend some requests that the venue reports as
not executed, so that the audit can check that. `AlpacaBot` and `CcxtBot` are the libraries that
people use, unchanged. `Replay` is `openvenue replay`, which knows the order that each one must meet
and the book that must result.
"""

import asyncio
import json
import random
import secrets
import signal
import subprocess
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import ccxt
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderSide, TimeInForce
from alpaca.trading.models import Order
from alpaca.trading.requests import LimitOrderRequest

REQUEST_TIMEOUT_S = 20
# If no answer settles a request for this long, the flow itself has failed.
RETRY_DEADLINE_S = 180
GIVEN_UP_SHARE = 0.2
READS_AT_ONCE = 6


@dataclass(frozen=True)
class Key:
    """An account's key, as printed by `openvenue keys create --json`."""

    account_id: int
    key_id: str
    secret: str

    @property
    def headers(self) -> dict[str, str]:
        """Headers that authorize a request."""
        return {"APCA-API-KEY-ID": self.key_id, "APCA-API-SECRET-KEY": self.secret}


@dataclass(frozen=True)
class Answer:
    """Result of one request. `status` None: the connection broke, or nothing came in time."""

    at: float
    request: str
    status: int | None
    body: Any = None
    retry_after: str | None = None
    seconds: float = 0.0

    @property
    def failed(self) -> bool:
        """True if it is the venue's fault: a broken connection, a 5xx, or a refusal of a valid
        request, as all are except a cancel that comes after a fill."""
        if self.status == 429 or (self.status == 422 and self.request.startswith("DELETE")):
            return False
        return self.refused

    @property
    def refused(self) -> bool:
        """True if it is no success, whoever is at fault."""
        return self.status is None or self.status >= 400

    @property
    def honest(self) -> bool:
        """True if it says itself that the fate is open, and when to come back."""
        return self.status == 503 and self.retry_after is not None

    def __str__(self) -> str:
        return f"{self.at:.2f} {self.request}: {self.status or 'no answer'} {self.body}"


@dataclass
class Ledger:
    """All answers to one account, by client_order_id."""

    key: Key
    taken: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Orders answered with a 2xx, as first reported."""
    refused: set[str] = field(default_factory=set)
    """Orders whose last answer says that they do not exist: 4xx, or not executed."""
    unsettled: set[str] = field(default_factory=set)
    """Orders under way or of unknown fate."""
    answers: list[Answer] = field(default_factory=list)


class OrderFlow:
    """The flow of several accounts, in its own thread. Use as a context manager.

    Successive flows may continue the same ledgers.
    """

    def __init__(
        self, url: str, ledgers: Iterable[Ledger], symbol: str, *, connections: int = 4
    ) -> None:
        self.ledgers = list(ledgers)
        self.began_at = time.time()
        self._name = secrets.token_hex(4)
        self._url = url
        self._symbol = symbol
        self._connections = connections
        self._random = random.Random(self._name)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._failure: BaseException | None = None

    def __enter__(self) -> "OrderFlow":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End it after settling requests under way. Raises the error that ended it, if any."""
        self._stop.set()
        self._thread.join(RETRY_DEADLINE_S + REQUEST_TIMEOUT_S)
        if self._failure is not None:
            raise self._failure

    @property
    def answers(self) -> list[Answer]:
        """Return all answers of this flow so far, in order of arrival."""
        found = [answer for ledger in self.ledgers for answer in list(ledger.answers)]
        return sorted(
            (answer for answer in found if answer.at >= self.began_at),
            key=lambda answer: answer.at,
        )

    @property
    def failures(self) -> list[Answer]:
        """Return broken connections, 5xx, and refusals of valid requests."""
        return [answer for answer in self.answers if answer.failed]

    def longest_outage_s(self) -> float:
        """Return the longest time in which no order was taken."""
        at = [a.at for a in self.answers if a.request.startswith("POST") and not a.refused]
        return max((later - earlier for earlier, later in pairwise(at)), default=0.0)

    def wait_for_orders(self, count: int, timeout_s: float = 60) -> None:
        """Wait until this many more orders are taken: the venue trades."""
        target = self.taken + count
        deadline = time.monotonic() + timeout_s
        while self.taken < target:
            if self._failure is not None:
                raise self._failure
            assert time.monotonic() < deadline, "\n".join(map(str, self.answers[-5:]))
            time.sleep(0.05)

    @property
    def taken(self) -> int:
        """Return the orders answered with a 2xx."""
        return sum(len(ledger.taken) for ledger in self.ledgers)

    def summary(self) -> Counter[str]:
        """Return answers by status."""
        return Counter(str(answer.status or "broken") for answer in self.answers)

    async def _run(self) -> None:
        try:
            connector = aiohttp.TCPConnector(limit=0)
            timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
            async with (
                aiohttp.ClientSession(connector=connector, timeout=timeout) as http,
                asyncio.TaskGroup() as tasks,
            ):
                for ledger in self.ledgers:
                    tasks.create_task(self._read(http, ledger))
                    for lane in range(self._connections):
                        tasks.create_task(self._trade(http, ledger, lane))
        except BaseException as failure:
            self._failure = failure

    async def _trade(self, http: aiohttp.ClientSession, ledger: Ledger, lane: int) -> None:
        number = 0
        while not self._stop.is_set():
            number += 1
            client_order_id = f"{self._name}-{lane}-{number}"
            await self._enter(http, ledger, client_order_id)
            order = ledger.taken.get(client_order_id)
            if order is not None and self._random.random() < 0.5:
                await self._request(http, ledger, "DELETE", f"/v2/orders/{order['id']}")
            await asyncio.sleep(self._random.uniform(0.0, 0.05))

    async def _read(self, http: aiohttp.ClientSession, ledger: Ledger) -> None:
        """Read the history repeatedly, many at once, which takes database connections."""
        while not self._stop.is_set():
            await asyncio.gather(
                *(
                    self._request(http, ledger, "GET", "/v2/orders?status=all&limit=50")
                    for _ in range(READS_AT_ONCE)
                )
            )
            await asyncio.sleep(0.2)

    async def _enter(self, http: aiohttp.ClientSession, ledger: Ledger, order_id: str) -> None:
        terms = {
            "symbol": self._symbol,
            "qty": str(self._random.randint(1, 9)),
            "side": self._random.choice(["buy", "sell"]),
            "type": "limit",
            "time_in_force": self._random.choice(["gtc", "gtc", "ioc"]),
            "limit_price": f"{100 + self._random.randint(-5, 5) / 100:.2f}",
            "client_order_id": order_id,
        }
        ledger.unsettled.add(order_id)
        deadline = time.monotonic() + RETRY_DEADLINE_S
        certainly_not_there = True
        while True:
            answer = await self._request(http, ledger, "POST", "/v2/orders", terms)
            if answer.status is not None and answer.status < 300:
                ledger.taken[order_id] = answer.body
                break
            not_carried_out = _says_not_carried_out(answer)
            certainly_not_there = certainly_not_there and not_carried_out
            refused = answer.status is not None and answer.status < 500 and answer.status != 429
            gives_up = certainly_not_there and self._random.random() < GIVEN_UP_SHARE
            if refused or gives_up:
                ledger.refused.add(order_id)
                break
            assert time.monotonic() < deadline, f"not settled: {answer}"
            await asyncio.sleep(float(answer.retry_after or 0.2))
        ledger.unsettled.discard(order_id)

    async def _request(
        self,
        http: aiohttp.ClientSession,
        ledger: Ledger,
        method: str,
        path: str,
        body: dict[str, str] | None = None,
    ) -> Answer:
        what = f"{method} {path} {body['client_order_id'] if body else ''}".rstrip()
        began = time.monotonic()
        status, content, retry_after = None, None, None
        try:
            async with http.request(
                method, self._url + path, json=body, headers=ledger.key.headers
            ) as response:
                status = response.status
                retry_after = response.headers.get("Retry-After")
                if "json" in response.headers.get("Content-Type", ""):
                    content = await response.json(content_type=None)
                else:
                    content = await response.text()
        except (aiohttp.ClientError, TimeoutError) as error:
            status, content = None, repr(error)
        if method == "GET" and status == 200:
            content = None  # Large, and no longer needed.
        answer = Answer(time.time(), what, status, content, retry_after, time.monotonic() - began)
        ledger.answers.append(answer)
        return answer


class Bot(threading.Thread, ABC):
    """A library's client that enters, reads and cancels one order after the other."""

    def __init__(self, key: Key) -> None:
        super().__init__(daemon=True)
        self.key = key
        self.taken: set[str] = set()
        self.refused: set[str] = set()
        """Orders that the venue reported as not taken."""
        self.failures: list[Answer] = []
        self._name = secrets.token_hex(4)
        self._stopping = threading.Event()

    def __enter__(self) -> "Bot":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self.join(60)

    def run(self) -> None:
        """Trade until told to stop; note failures and do not resend."""
        number = 0
        while not self._stopping.wait(0.1):
            number += 1
            name = f"{type(self).__name__}-{self._name}-{number}"
            try:
                self.trade(name)
            except (APIError, OSError, ccxt.BaseError) as error:
                status = self.status_of(error)
                self.failures.append(Answer(time.time(), name, status, str(error)))
                if name not in self.taken and status is not None and status < 500:
                    self.refused.add(name)

    @abstractmethod
    def status_of(self, error: Exception) -> int | None:
        """Return the HTTP status of a library's error; None if there was no answer."""

    @abstractmethod
    def trade(self, client_order_id: str) -> None:
        """Enter an order, read it and cancel it."""


class AlpacaBot(Bot):
    """alpaca-py."""

    def __init__(self, url: str, key: Key, symbol: str) -> None:
        super().__init__(key)
        self._client = TradingClient(key.key_id, key.secret, url_override=url)
        self._symbol = symbol

    def status_of(self, error: Exception) -> int | None:
        return error.status_code if isinstance(error, APIError) else None

    def trade(self, client_order_id: str) -> None:
        order = self._client.submit_order(
            LimitOrderRequest(
                symbol=self._symbol,
                qty=1,
                side=OrderSide.BUY,
                time_in_force=TimeInForce.GTC,
                limit_price=1.0,
                client_order_id=client_order_id,
            )
        )
        assert isinstance(order, Order)
        self.taken.add(client_order_id)
        read = self._client.get_order_by_id(order.id)
        assert isinstance(read, Order)
        assert read.client_order_id == client_order_id
        self._client.cancel_order_by_id(order.id)


class CcxtBot(Bot):
    """ccxt's alpaca."""

    def __init__(self, url: str, key: Key, symbol: str) -> None:
        super().__init__(key)
        self._exchange = ccxt.alpaca({"apiKey": key.key_id, "secret": key.secret})
        self._exchange.urls["api"]["trader"] = url
        self._symbol = symbol

    def status_of(self, error: Exception) -> int | None:
        # ccxt keeps no status. It raises its NetworkError if it believes the exchange down.
        if isinstance(error, ccxt.ExchangeNotAvailable):
            return 503
        return None if isinstance(error, (OSError, ccxt.NetworkError)) else 400

    def trade(self, client_order_id: str) -> None:
        params = {"clientOrderId": client_order_id}
        order = self._exchange.create_order(self._symbol, "limit", "buy", 0.1, 1.0, params)
        self.taken.add(client_order_id)
        self._exchange.cancel_order(order["id"], self._symbol)


class Replay:
    """`openvenue replay` of a generated day, until it is stopped. Use as a context manager.

    It needs its own symbol.
    """

    def __init__(self, url: str, keys: Sequence[Key], symbol: str, scratch: Path) -> None:
        self.account_ids = {key.account_id for key in keys}
        self.result: dict[str, Any] = {}
        """Its report, as printed by `--json`."""
        self._keys_file = scratch / "replay-keys.json"
        self._keys_file.write_text(
            json.dumps({"keys": [{"key_id": key.key_id, "secret": key.secret} for key in keys]})
        )
        # One request at a time: it should meet every fault, not load the node.
        options = f"--url {url} --keys {self._keys_file} --symbol {symbol} --window 1 --json"
        self._command = ["openvenue", "replay", "--synthetic", "--orders=10000000"]
        self._command += options.split()

    def __enter__(self) -> "Replay":
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGINT)
        said, complaints = self._process.communicate(timeout=60)
        self.result = json.loads(said or "{}")
        self._keys_file.unlink()
        assert self.result.get("interrupted"), f"the replay ended by itself: {complaints}"


def _says_not_carried_out(answer: Answer) -> bool:
    """True if the venue itself says that nothing happened: its problem document has no id."""
    return (
        answer.status in (429, 503)
        and isinstance(answer.body, dict)
        and "code" in answer.body
        and "client_order_id" not in answer.body
    )
