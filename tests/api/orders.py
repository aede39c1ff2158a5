"""Bodies of orders for the tests, plain by default, with replaceable fields; and their clients."""

from typing import Any

import httpx
from openvenue.http.app import Application
from openvenue.http.worker import Worker
from openvenue.security.keys import NewKey

from tests.support.venue import Bearer, key_headers

# Settings of a venue whose engine soon forgets orders that ended, and their ids.
FORGETFUL = {
    "OPENVENUE_ENGINE_MAX_ORDERS": "8",
    "OPENVENUE_ENGINE_MAX_OPEN_ORDERS": "4",
    "OPENVENUE_ENGINE_MAX_CLIENT_IDS": "8",
    "OPENVENUE_ENGINE_MAX_ACCOUNTS": "2",
}


def limit_order(**changes: Any) -> dict[str, Any]:
    """Return a day order to buy 10 AAPL at 10; None drops a field."""
    body = {
        "symbol": "AAPL",
        "qty": "10",
        "side": "buy",
        "type": "limit",
        "time_in_force": "day",
        "limit_price": "10",
        **changes,
    }
    return {name: value for name, value in body.items() if value is not None}


def market_order(**changes: Any) -> dict[str, Any]:
    """Return a market order to buy 10 AAPL."""
    return limit_order(**{"type": "market", "limit_price": None, **changes})


def client_of(application: Application, key: NewKey | Bearer) -> httpx.AsyncClient:
    """Return a client of an application in this process."""
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(application),
        base_url="http://venue",
        headers=key_headers(key),
        timeout=15,
    )


def worker_of(application: Application) -> Worker:
    """Return what the application has while it is up."""
    assert application.worker is not None
    return application.worker
