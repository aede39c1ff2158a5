"""docs/compatibility.md says what every public method of the clients gets here."""

import os
from collections.abc import Callable

import pytest

from tests.clients.calls import Client, outcomes
from tests.clients.ccxt_alpaca import CCXT
from tests.clients.data import CORPORATE_ACTIONS, NEWS, OPTIONS, PAIRS, SCREENER, STOCKS
from tests.clients.market import make_market, new_trader
from tests.clients.page import PAGE, rendered
from tests.clients.streams import PAIR_STREAM, STOCK_STREAM, TRADING_STREAM, WATCHES
from tests.clients.trading import TRADING
from tests.support.venue import Venue

REST = (TRADING, STOCKS, PAIRS, SCREENER, OPTIONS, NEWS, CORPORATE_ACTIONS, CCXT)
# After the others, whose market their trades would change.
CLIENTS = (*REST, TRADING_STREAM, STOCK_STREAM, PAIR_STREAM, WATCHES)


@pytest.fixture(scope="module")
def venue(venue_with: Callable[..., Venue]) -> Venue:
    """A venue of these tests: they trade against its market."""
    venue = venue_with()
    venue.start_stream()
    make_market(venue)
    return venue


def test_the_page_says_what_every_call_gets(venue: Venue) -> None:
    text = rendered({client: [*outcomes(client, venue, new_trader(venue))] for client in CLIENTS})
    if "OPENVENUE_WRITE_COMPATIBILITY" in os.environ:
        PAGE.write_text(text)
    assert PAGE.read_text() == text, "run scripts/compatibility, and read what it changed"


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_every_public_method_is_called(client: Client) -> None:
    assert {call.method for call in client.calls} == client.methods
