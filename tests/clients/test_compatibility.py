"""docs/compatibility.md says what every public method of the clients gets here."""

import os
from collections.abc import Callable

import pytest
from openvenue.security.keys import NewKey

from tests.api.orders import limit_order, market_order
from tests.clients.calls import PAIR, STOCK, Client, outcomes
from tests.clients.ccxt_alpaca import CCXT
from tests.clients.data import CORPORATE_ACTIONS, NEWS, OPTIONS, PAIRS, SCREENER, STOCKS
from tests.clients.page import PAGE, rendered
from tests.clients.trading import TRADING
from tests.support.venue import Venue
from tests.support.waiting import wait_for

# Clients of streams belong here too, once the venue has streams.
CLIENTS = (TRADING, STOCKS, PAIRS, SCREENER, OPTIONS, NEWS, CORPORATE_ACTIONS, CCXT)

LOTS = {STOCK: (1, 10_000), PAIR: (2, 10_000_000)}
"""The instrument and what the market maker has of it, in lots."""

LATEST_TRADES = (
    f"/v2/stocks/trades/latest?symbols={STOCK}",
    f"/v1beta3/crypto/us/latest/trades?symbols={PAIR}",
)


@pytest.fixture(scope="module")
def venue(venue_with: Callable[..., Venue]) -> Venue:
    """A venue with a book of both assets, so that each client can trade on it."""
    venue = venue_with()
    maker = venue.open_account(cash=100_000_000)
    with venue.client(maker) as client:
        for symbol, bid, ask in ((STOCK, "99", "101"), (PAIR, "49990", "50010")):
            venue.give(maker.account_id, *LOTS[symbol])
            for side, price in (("buy", bid), ("sell", ask)):
                order = limit_order(symbol=symbol, side=side, qty="1000", limit_price=price)
                assert client.post("/v2/orders", json=order).status_code == 200
    return venue


def trader(venue: Venue) -> NewKey:
    """Return a key to an account that has bought both assets, as the history shows."""
    key = venue.open_account()
    with venue.client(key) as client:
        for symbol, qty in ((STOCK, "10"), (PAIR, "2")):
            answer = client.post("/v2/orders", json=market_order(symbol=symbol, qty=qty))
            assert answer.json()["status"] == "filled", answer.text
        venue.wait_until_projected(client)
        for path in LATEST_TRADES:
            wait_for(lambda path=path: client.get(path).json()["trades"])
    return key


def test_the_page_says_what_every_call_gets(venue: Venue) -> None:
    text = rendered({client: [*outcomes(client, venue, trader(venue))] for client in CLIENTS})
    if "OPENVENUE_WRITE_COMPATIBILITY" in os.environ:
        PAGE.write_text(text)
    assert PAGE.read_text() == text, "run scripts/compatibility, and read what it changed"


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_every_public_method_is_called(client: Client) -> None:
    assert {call.method for call in client.calls} == client.methods
