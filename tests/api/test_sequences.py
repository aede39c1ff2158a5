"""Sequences of requests along the document's links: no answer contradicts the document."""

from random import Random
from typing import Any

import pytest
from openvenue.security.keys import NewKey
from schemathesis.checks import CheckFunction
from schemathesis.specs.openapi.checks import use_after_free

from tests.api.orders import limit_order
from tests.support.sequences import play
from tests.support.venue import Venue, key_headers


def order(random: Random) -> dict[str, Any]:
    """Return an order that the account can pay for; some of them trade with each other."""
    side = random.choice(("buy", "sell"))
    return limit_order(
        side=side,
        qty=str(random.randint(1, 5)),
        limit_price=price(random, side),
        time_in_force=random.choice(("day", "gtc", "gtc", "gtc", "ioc")),
    )


def price(random: Random, side: str) -> str:
    cents = random.randint(0, 10)
    return f"{(1000 - cents if side == 'buy' else 1000 + cents) / 100:.2f}"


def enter(case: Any, random: Random) -> None:
    linked = case.body.get("client_order_id") if isinstance(case.body, dict) else None
    case.body = order(random) | ({"client_order_id": linked} if linked else {})


def enter_many(case: Any, random: Random) -> None:
    case.body = {"orders": [order(random) for _ in range(random.randint(1, 3))]}


def replace(case: Any, random: Random) -> None:
    case.body = {"qty": str(random.randint(1, 9))}
    if random.random() < 0.5:
        case.body["limit_price"] = price(random, random.choice(("buy", "sell")))


def watch(case: Any, random: Random) -> None:
    case.body = {"name": f"list {random.randint(1, 20)}", "symbols": ["AAPL"]}


def watch_more(case: Any, random: Random) -> None:
    case.body = {"symbol": random.choice(("AAPL", "BTC/USD"))}


def watch_less(case: Any, _random: Random) -> None:
    case.path_parameters["symbol"] = "AAPL"


PLAUSIBLE = {
    "POST /v2/orders": enter,
    "POST /v2/orders:batch": enter_many,
    "PATCH /v2/orders/{order_id}": replace,
    "POST /v2/watchlists": watch,
    "PUT /v2/watchlists/{watchlist_id}": watch,
    "PUT /v2/watchlists:by_name": watch,
    "POST /v2/watchlists/{watchlist_id}": watch_more,
    "POST /v2/watchlists:by_name": watch_more,
    "DELETE /v2/watchlists/{watchlist_id}/{symbol}": watch_less,
}


def unchecked(label: str) -> list[CheckFunction]:
    # A canceled order can still be read, and to close a position is to enter an order.
    if "/v2/orders" in label or "/v2/positions" in label:
        return [use_after_free]
    return []


@pytest.fixture
def holder(venue: Venue, account: NewKey) -> NewKey:
    """Return a key to an account with cash and shares."""
    venue.give(account.account_id, 1, 1000)
    return account


@pytest.mark.parametrize(
    ("starts", "reached", "parts"),
    [
        (
            {"POST /v2/orders", "POST /v2/orders:batch"},
            {
                "POST /v2/orders",
                "GET /v2/orders/{order_id}",
                "GET /v2/orders:by_client_order_id",
                "PATCH /v2/orders/{order_id}",
                "DELETE /v2/orders/{order_id}",
            },
            3,
        ),
        (
            {"POST /v2/watchlists", "GET /v2/watchlists"},
            {
                "GET /v2/watchlists/{watchlist_id}",
                "PUT /v2/watchlists/{watchlist_id}",
                "POST /v2/watchlists/{watchlist_id}",
                "DELETE /v2/watchlists/{watchlist_id}",
                "GET /v2/watchlists:by_name",
            },
            2,
        ),
        (
            {"GET /v2/positions", "GET /v2/assets"},
            {
                "GET /v2/positions/{symbol_or_asset_id}",
                "DELETE /v2/positions/{symbol_or_asset_id}",
                "GET /v2/assets/{symbol_or_asset_id}",
            },
            2,
        ),
    ],
    ids=["orders", "watchlists", "positions"],
)
def test_no_sequence_of_requests_is_answered_against_the_document(
    venue: Venue, holder: NewKey, starts: set[str], reached: set[str], parts: int
) -> None:
    play(
        f"{venue.url}/openapi.json",
        key_headers(holder),
        PLAUSIBLE,
        starts=starts,
        reach=reached,
        unchecked=unchecked,
        # It deletes what later requests of the sequence name by its id.
        without={"DELETE /v2/watchlists:by_name"},
        parts=parts,
    )
