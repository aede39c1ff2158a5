"""Fixtures of the API tests."""

from collections.abc import Callable, Iterator

import httpx
import pytest
from openvenue.keys import NewKey
from running_venue import Venue


@pytest.fixture
def account(new_account: Callable[..., NewKey]) -> NewKey:
    """A key to a fresh account with ten million in cash."""
    return new_account()


@pytest.fixture
def client(venue: Venue, account: NewKey) -> Iterator[httpx.Client]:
    """An HTTP client of that account."""
    with venue.client(account) as client:
        yield client
