"""Fixtures of the API tests."""

import asyncio
import ctypes
import multiprocessing
from collections.abc import AsyncIterator, Callable, Iterator

import httpx
import pytest
from openvenue.http.app import Application
from openvenue.security.keys import NewKey
from openvenue.serving.supervisor_link import SupervisorLink
from openvenue.serving.tuning import initial_tuning

from tests.api.orders import worker_of
from tests.support.venue import Venue


@pytest.fixture
def account(new_account: Callable[..., NewKey]) -> NewKey:
    """Return a key to a new account with ten million in cash."""
    return new_account()


@pytest.fixture
def client(venue: Venue, account: NewKey) -> Iterator[httpx.Client]:
    """Yield an HTTP client of that account."""
    with venue.client(account) as client:
        yield client


@pytest.fixture
async def application(venue: Venue) -> AsyncIterator[Application]:
    """Yield the application in this process, on the shared venue's engine and database."""
    _supervisor, worker = multiprocessing.Pipe()
    made = Application(
        venue.settings,
        follow_supervisor=lambda: SupervisorLink(
            worker, initial_tuning(venue.settings), ctypes.c_bool()
        ),
        patience_s=0,
    )
    async with made.running():
        async with asyncio.timeout(20):
            while worker_of(made).problems():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        yield made
