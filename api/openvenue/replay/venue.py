"""A client of the venue's public REST API that never doubles an order.

If a request's fate is open (429, 503, an ingress's 502 and 504, a broken connection), the client
sends the same request again under the same client_order_id, after the pause that the venue asks
for, until a deadline.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

import aiohttp
import msgspec

from openvenue.replay.operation import Side

Report = TypeVar("Report")

_RETRY_DEADLINE_S = 60.0
_RETRY_PAUSE_S = 0.2
_REQUEST_TIMEOUT_S = 30.0
_FATE_OPEN = frozenset((429, 502, 503, 504))

# How long a request is sent again before the user is told.
_NOTICE_AFTER_S = 2.0


class VenueUnavailable(Exception):
    """The venue did not take a request within the deadline, or the answer is no venue's."""


class Refused(Exception):
    """The venue understood the request and refused it; `status` is the HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Credentials:
    """One account's key."""

    key_id: str
    secret: str
    account: str = ""


class OrderReport(msgspec.Struct, frozen=True):
    """The venue's report on an order; decimal strings."""

    id: str
    qty: str
    filled_qty: str
    filled_avg_price: str | None
    status: str


class BookReport(msgspec.Struct, frozen=True):
    """The venue's report on a book, best level first."""

    class Level(msgspec.Struct, frozen=True):
        price: str
        qty: str

    bids: list[Level]
    asks: list[Level]


class Asset(msgspec.Struct, frozen=True):
    """The venue's report on an instrument."""

    symbol: str
    status: str


class _ErrorBody(msgspec.Struct):
    message: str = ""


_order = msgspec.json.Decoder(OrderReport)
_orders = msgspec.json.Decoder(list[OrderReport])
_book = msgspec.json.Decoder(BookReport)
_asset = msgspec.json.Decoder(Asset)


class Venue:
    """Requests of several accounts over kept connections. Use as an async context manager.

    `latencies_s` collects the time of every order entry, retries included; `retries` counts them.
    `on_wait` is called once, with a sentence, when the venue has taken nothing for a while.
    """

    def __init__(
        self,
        url: str,
        accounts: list[Credentials],
        connections_max: int,
        on_wait: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.accounts = accounts
        self.latencies_s: list[float] = []
        self.retries = 0
        self._url = url.rstrip("/")
        self._headers = [
            {
                "APCA-API-KEY-ID": account.key_id,
                "APCA-API-SECRET-KEY": account.secret,
                "Content-Type": "application/json",
                "Prefer": "wait",  # the outcome of an order, not the order as accepted
            }
            for account in accounts
        ]
        self._connections_max = connections_max
        self._on_wait = on_wait
        self._waits = False
        self._http: aiohttp.ClientSession

    async def __aenter__(self) -> "Venue":
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._connections_max, keepalive_timeout=60),
            timeout=aiohttp.ClientTimeout(total=_REQUEST_TIMEOUT_S),
            auto_decompress=False,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()

    async def place(
        self,
        account: int,
        client_order_id: str,
        symbol: str,
        side: Side,
        qty: str,
        limit_price: str | None,
        time_in_force: str,
    ) -> OrderReport:
        """Enter an order; a market order if `limit_price` is None. Raises Refused."""
        order = {
            "symbol": symbol,
            "side": side,
            "type": "market" if limit_price is None else "limit",
            "time_in_force": time_in_force,
            "qty": qty,
            "client_order_id": client_order_id,
        }
        if limit_price is not None:
            order["limit_price"] = limit_price
        started = time.perf_counter()
        body = await self.request("POST", "/v2/orders", account, order)
        self.latencies_s.append(time.perf_counter() - started)
        return self._read(_order, body)

    async def replace(
        self, account: int, order_id: str, client_order_id: str, qty: str
    ) -> OrderReport:
        """Change an order's total quantity; the report is of the order that replaces it."""
        change = {"qty": qty, "client_order_id": client_order_id}
        body = await self.request("PATCH", f"/v2/orders/{order_id}", account, change)
        return self._read(_order, body)

    async def cancel(self, account: int, order_id: str) -> None:
        """Cancel an order for certain. Raises Refused if it ended in another way."""
        try:
            await self.request("DELETE", f"/v2/orders/{order_id}", account)
        except Refused:
            # A cancel whose answer was lost is sent again, and finds the order canceled.
            if (await self.order(account, order_id)).status != "canceled":
                raise

    async def order(self, account: int, order_id: str) -> OrderReport:
        return self._read(_order, await self.request("GET", f"/v2/orders/{order_id}", account))

    async def open_orders(self, account: int, symbol: str, limit: int) -> list[OrderReport]:
        """Return the newest `limit` (at most 500) open orders of an account in one symbol."""
        path = f"/v2/orders?status=open&symbols={_quoted(symbol)}&limit={limit}"
        return self._read(_orders, await self.request("GET", path, account))

    async def book(self, symbol: str, depth: int) -> BookReport:
        """Return the best `depth` (at most 1,000) levels of each side."""
        path = f"/v1/book/{_quoted(symbol)}?depth={depth}"
        return self._read(_book, await self.request("GET", path, 0))

    async def asset(self, symbol: str) -> Asset:
        return self._read(_asset, await self.request("GET", f"/v2/assets/{_quoted(symbol)}", 0))

    def _read(self, decoder: msgspec.json.Decoder[Report], body: bytes) -> Report:
        try:
            return decoder.decode(body)
        except msgspec.MsgspecError as error:
            raise VenueUnavailable(
                f"{self._url} does not answer as a venue does ({error}): is it another server's?"
            ) from error

    async def request(
        self, method: str, path: str, account: int, body: dict[str, Any] | None = None
    ) -> bytes:
        """Return the body of a 2xx; `account` is a place in `accounts`.

        Repeats the request while its fate is open, so an order needs a client_order_id. Raises
        Refused, and VenueUnavailable after the deadline.
        """
        data = msgspec.json.encode(body) if body is not None else None
        started = time.monotonic()
        while True:
            pause_s = _RETRY_PAUSE_S
            try:
                async with self._http.request(
                    method, self._url + path, data=data, headers=self._headers[account]
                ) as response:
                    content = await response.read()
                    if response.status < 300:
                        self._waits = False
                        return content
                    if response.status not in _FATE_OPEN:
                        raise Refused(response.status, _message(content))
                    pause_s = float(response.headers.get("Retry-After", pause_s))
                    reason = f"{response.status}: {_message(content)}"
            except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
                raise VenueUnavailable(
                    f"{self._url} is no address of a venue: give one like http://127.0.0.1:8000"
                ) from error
            except (aiohttp.ClientError, TimeoutError) as error:
                reason = f"{type(error).__name__}: {error}"
            waited_s = time.monotonic() - started
            if waited_s + pause_s > _RETRY_DEADLINE_S:
                raise VenueUnavailable(
                    f"{method} {self._url}{path} was not taken for {_RETRY_DEADLINE_S:.0f} s "
                    f"({reason}); look at `openvenue status`"
                )
            self.retries += 1
            self._tell(reason, waited_s)
            await asyncio.sleep(pause_s)

    def _tell(self, reason: str, waited_s: float) -> None:
        if waited_s >= _NOTICE_AFTER_S and not self._waits:
            self._waits = True
            self._on_wait(
                f"waiting for {self._url}, up to {_RETRY_DEADLINE_S:.0f} s a request ({reason})"
            )


def _quoted(symbol: str) -> str:
    """Quote a symbol as one segment of a path, whatever it contains."""
    return quote(symbol, safe="")


def _message(content: bytes) -> str:
    try:
        return msgspec.json.decode(content, type=_ErrorBody).message
    except msgspec.DecodeError:
        return content[:200].decode(errors="replace")
