"""A venue with its administration over HTTP."""

from collections.abc import Callable, Iterator

import httpx
import pytest
from openvenue.security.keys import NewKey

from tests.support import http
from tests.support.admin_access import TOKEN
from tests.support.venue import Venue


@pytest.fixture
def administered(venue_with: Callable[..., Venue]) -> Venue:
    """Return a venue with its administration, which a module's tests share."""
    venue = venue_with()
    if "administration" not in venue.processes:
        venue.start_administration()
    return venue


@pytest.fixture
def admin(administered: Venue) -> Iterator[httpx.Client]:
    """Yield a client with an administrator's token."""
    with client(administered) as made:
        yield made


@pytest.fixture
def trader(administered: Venue) -> Iterator[Callable[[], NewKey]]:
    """Yield a function that opens an account; its orders are canceled at the test's end."""
    keys: list[NewKey] = []

    def open_account() -> NewKey:
        keys.append(administered.open_account(may_sell_short=True))
        return keys[-1]

    yield open_account
    for key in keys:
        with administered.client(key) as made:
            made.delete("/v2/orders")


@pytest.fixture
def alice(trader: Callable[[], NewKey]) -> NewKey:
    return trader()


@pytest.fixture
def bob(trader: Callable[[], NewKey]) -> NewKey:
    return trader()


def client(venue: Venue, token: str = TOKEN) -> httpx.Client:
    """Return a client of a venue's administration with a token."""
    headers = {"Authorization": f"Bearer {token}"}
    return http.Client(base_url=venue.admin_url, headers=headers, timeout=30)
