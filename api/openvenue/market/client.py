"""The requests that residents make of the public REST API, over the client of the replay."""

import asyncio
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from openvenue.market.agents import Action, Cancel, OwnOrder, Place, Side
from openvenue.replay.venue import Credentials, Refused, Venue, VenueUnavailable
from openvenue.vocabulary import ASSET_CLASSES

ORDERS_PAGE = 500
# Of a request that is under way when the market is told to stop.
_ANSWER_TIMEOUT_S = 2.0

Report = TypeVar("Report")


class Asset(msgspec.Struct, frozen=True):
    """An instrument that can be traded."""

    asset_id: str = msgspec.field(name="id")
    asset_class: str = msgspec.field(name="class")
    symbol: str
    tradable: bool
    price_increment: Decimal
    min_trade_increment: Decimal

    @property
    def is_pair(self) -> bool:
        return self.asset_class == "crypto"

    def ticks(self, price: Decimal) -> int:
        return round(price / self.price_increment)

    def lots(self, qty: Decimal) -> int:
        return int(qty / self.min_trade_increment)

    def price(self, ticks: int) -> str:
        return f"{ticks * self.price_increment:f}"

    def qty(self, lots: int) -> str:
        return f"{lots * self.min_trade_increment:f}"


class Quote(msgspec.Struct, frozen=True):
    """Best bid and ask; 0: there is none."""

    bid: Decimal = msgspec.field(name="bp")
    ask: Decimal = msgspec.field(name="ap")


class Position(msgspec.Struct, frozen=True):
    asset_id: str
    qty: Decimal
    current_price: Decimal


class OpenOrder(msgspec.Struct, frozen=True):
    id: str
    symbol: str
    side: Side
    qty: Decimal
    filled_qty: Decimal
    limit_price: Decimal | None

    def own(self, asset: Asset) -> OwnOrder:
        price = asset.ticks(self.limit_price or Decimal(0))
        return OwnOrder(
            self.id, self.side, price, asset.lots(self.qty), asset.lots(self.filled_qty)
        )


class _OrderId(msgspec.Struct, frozen=True):
    id: str


class _Quotes(msgspec.Struct, frozen=True):
    quotes: dict[str, Quote]


class MarketClient:
    """Requests of several accounts, by their place in the list. Raises VenueUnavailable."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    async def assets(self) -> list[Asset]:
        """Return the instruments that can be traded now."""
        found: list[Asset] = []
        for asset_class in ASSET_CLASSES.values():
            path = f"/v2/assets?status=active&asset_class={asset_class}"
            found += await self._get(path, 0, list[Asset])
        return [asset for asset in found if asset.tradable]

    async def quotes(self, assets: list[Asset]) -> dict[str, Quote]:
        """Return best bids and asks by symbol, of at most 100 shares and 100 pairs."""
        quotes: dict[str, Quote] = {}
        for path, pairs in (
            ("/v2/stocks/quotes/latest", False),
            ("/v1beta3/crypto/us/latest/quotes", True),
        ):
            symbols = ",".join(each.symbol for each in assets if each.is_pair == pairs)
            if symbols:
                found = await self._get(f"{path}?symbols={symbols}", 0, _Quotes)
                quotes |= found.quotes
        return quotes

    async def positions(self, account: int) -> list[Position]:
        return await self._get("/v2/positions", account, list[Position])

    async def open_orders(self, account: int) -> list[OpenOrder]:
        """Return the account's newest 500 open orders."""
        path = f"/v2/orders?status=open&limit={ORDERS_PAGE}"
        return await self._get(path, account, list[OpenOrder])

    async def perform(
        self, account: int, asset: Asset, action: Action, client_order_id: str
    ) -> str:
        """Carry out an action and return the order's id, which a replacement changes.

        Raises Refused; with status 404 or 422 the order had ended. If it is cancelled while the
        request is under way, it waits for the answer: whoever then cancels all orders finds it.
        """
        request = asyncio.ensure_future(self._perform(account, asset, action, client_order_id))
        try:
            return await asyncio.shield(request)
        except asyncio.CancelledError:
            await asyncio.wait((request,), timeout=_ANSWER_TIMEOUT_S)
            request.cancel()
            raise

    async def _perform(
        self, account: int, asset: Asset, action: Action, client_order_id: str
    ) -> str:
        if isinstance(action, Cancel):
            await self._venue.request("DELETE", f"/v2/orders/{action.order_id}", account)
            return action.order_id
        terms: dict[str, Any] = {
            "qty": asset.qty(action.qty),
            "limit_price": asset.price(action.price),
            "client_order_id": client_order_id,
        }
        if not isinstance(action, Place):
            path = f"/v2/orders/{action.order_id}"
            return _id_of(await self._venue.request("PATCH", path, account, terms))
        terms |= {"symbol": asset.symbol, "side": action.side, "type": "limit"}
        terms["time_in_force"] = "ioc" if action.now else "gtc"
        return _id_of(await self._venue.request("POST", "/v2/orders", account, terms))

    async def cancel(self, account: int, order_id: str) -> None:
        """Cancel an order, if it is still open."""
        try:
            await self._venue.request("DELETE", f"/v2/orders/{order_id}", account)
        except Refused as refused:
            if refused.status not in (404, 422):
                raise

    async def cancel_all(self, account: int) -> None:
        await self._venue.request("DELETE", "/v2/orders", account)

    async def _get(self, path: str, account: int, kind: type[Report]) -> Report:
        return _read(path, await self._venue.request("GET", path, account), kind)


def _read(path: str, body: bytes, kind: type[Report]) -> Report:
    try:
        return msgspec.json.decode(body, type=kind, strict=False)
    except msgspec.MsgspecError as error:
        raise VenueUnavailable(f"{path} is not what a venue answers ({error})") from error


def _id_of(order: bytes) -> str:
    return _read("/v2/orders", order, _OrderId).id


def read_keys(content: bytes) -> dict[str, Credentials]:
    """Return keys by account name. Raises msgspec.MsgspecError."""
    keys = msgspec.json.decode(content, type=_KeysFile).keys
    return {key.account: Credentials(key.key_id, key.secret, key.account) for key in keys}


class _Key(msgspec.Struct):
    account: str
    key_id: str
    secret: str


class _KeysFile(msgspec.Struct):
    keys: list[_Key]
