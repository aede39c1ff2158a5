"""A market that every client can trade on: a share and a pair, each with a bid and an offer."""

from datetime import UTC, datetime, timedelta

import httpx
from openvenue.security.keys import NewKey

from tests.api.orders import limit_order, market_order
from tests.support.venue import Venue
from tests.support.waiting import wait_for

STOCK, PAIR = "AAPL", "BTC/USD"
OPTION = "AAPL270115C00250000"
"""A contract that the venue does not have."""
BIDS = {STOCK: 99, PAIR: 49_990}
OFFERS = {STOCK: 101, PAIR: 50_010}

_IN_LOTS = {STOCK: (1, 10_000), PAIR: (2, 10_000_000)}
"""The instrument and what the market maker has of it."""
_LATEST_TRADES = {
    STOCK: "/v2/stocks/trades/latest",
    PAIR: "/v1beta3/crypto/us/latest/trades",
}
_QUOTES = {STOCK: "/v2/stocks/quotes", PAIR: "/v1beta3/crypto/us/quotes"}


def make_market(venue: Venue) -> None:
    """Put a bid and an offer of 1000 in each book, which no test uses up."""
    maker = venue.open_account(cash=100_000_000)
    with venue.client(maker) as client:
        for symbol, position in _IN_LOTS.items():
            venue.give(maker.account_id, *position)
            for side, prices in (("buy", BIDS), ("sell", OFFERS)):
                order = limit_order(
                    symbol=symbol,
                    side=side,
                    qty="1000",
                    limit_price=str(prices[symbol]),
                    time_in_force="gtc",
                )
                answer = client.post("/v2/orders", json=order)
                assert answer.json()["status"] == "new", answer.text


def new_trader(venue: Venue) -> NewKey:
    """Return a key to an account that bought 10 shares and 2 coins: nobody traded later.

    Orders, activities and market data show it.
    """
    key = venue.open_account()
    with venue.client(key) as client:
        for symbol, qty in ((STOCK, "10"), (PAIR, "2")):
            answer = client.post("/v2/orders", json=market_order(symbol=symbol, qty=qty))
            assert answer.json()["status"] == "filled", answer.text
        venue.wait_until_projected(client)
        wait_for(lambda: _last_prices(client) == OFFERS)
        wait_for(lambda: _last_asks(client) == OFFERS)
    return key


def _last_prices(client: httpx.Client) -> dict[str, float]:
    prices: dict[str, float] = {}
    for symbol, path in _LATEST_TRADES.items():
        trades = client.get(path, params={"symbols": symbol}).json()["trades"]
        prices |= {each: trade["p"] for each, trade in trades.items()}
    return prices


def _last_asks(client: httpx.Client) -> dict[str, float]:
    asks: dict[str, float] = {}
    for symbol, path in _QUOTES.items():
        start = before_all_trades().isoformat()
        wanted = {"symbols": symbol, "sort": "desc", "limit": "1", "start": start}
        quotes = client.get(path, params=wanted).json()["quotes"]
        asks |= {each: page[0]["ap"] for each, page in quotes.items()}
    return asks


def before_all_trades() -> datetime:
    """Return a time before the market was made."""
    return datetime.now(UTC) - timedelta(days=2)
