"""A venue whose market process a test starts, kills and measures."""

import json
import sys
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path

import httpx
import pytest
from openvenue.admin.client import connect_admin
from openvenue.market.funding import fund

from tests.support import http, metrics
from tests.support.ports import free_port
from tests.support.venue import ChildProcess, Venue, run_apart
from tests.support.waiting import wait_for

PRICES = {"AAPL": Decimal(585), "BTC/USD": Decimal(60_000)}
SETTINGS = {"ROUND_S": "0.5", "ORDERS_PER_SECOND_MAX": "100", "SEED": "1"}


class Market:
    """The accounts of the residents on a venue, and their process."""

    def __init__(self, venue: Venue, more: Sequence[str] = ()) -> None:
        self.venue = venue
        self.port = free_port()
        self.accounts = run_apart(_fund(venue, more))
        self.keys = {
            name: run_apart(venue._create_key(number)) for number, name in self.accounts.items()
        }
        rows = [
            {"account": name, "key_id": key.key_id, "secret": key.secret}
            for name, key in self.keys.items()
        ]
        self.keys_document = json.dumps({"keys": rows})
        self.keys_file.write_text(self.keys_document)

    @property
    def keys_file(self) -> Path:
        return self.venue.directory / "market.json"

    def start(self, **settings: str) -> ChildProcess:
        """Start the process; the venue ends it with its own."""
        own = {
            **SETTINGS,
            "API_URL": self.venue.url,
            "KEYS_FILE": str(self.keys_file),
            "PRICES": json.dumps({symbol: str(price) for symbol, price in PRICES.items()}),
            "HTTP_PORT": str(self.port),
            **settings,
        }
        environment = {f"OPENVENUE_MARKET_{name}": value for name, value in own.items()}
        command = [sys.executable, "-m", "openvenue.market"]
        self.venue._spawn("market", command, environment)
        return self.venue.processes["market"]

    def wait_until_ready(self) -> None:
        wait_for(self.is_ready)

    def is_ready(self) -> bool:
        try:
            return http.get(f"http://127.0.0.1:{self.port}/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def metric(self, name: str, **labels: str) -> float:
        exposition = http.get(f"http://127.0.0.1:{self.port}/metrics").text
        return metrics.total(exposition, f"openvenue_market_{name}", **labels)

    def open_orders(self) -> list[dict[str, str]]:
        """Return the open orders of all residents, by the venue."""
        found: list[dict[str, str]] = []
        for key in self.keys.values():
            with self.venue.client(key) as client:
                found += client.get("/v2/orders", params={"limit": 500}).json()
        return found


async def _fund(venue: Venue, more: Sequence[str]) -> dict[int, str]:
    async with connect_admin(venue.settings) as admin:
        await fund(admin, PRICES, more)
        return await fund(admin, PRICES, more)  # Repeating it changes nothing.


@pytest.fixture
def market(new_venue: Callable[..., Venue]) -> Market:
    """Return a market, not started, on a venue of the test's own."""
    return Market(new_venue().start())


@pytest.fixture(scope="module")
def refused_market(venue_with: Callable[..., Venue]) -> Market:
    """Return a market, for tests in which no process of it stays."""
    return Market(venue_with())
