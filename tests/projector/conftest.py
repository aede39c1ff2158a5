"""An engine and a database for projections."""

import asyncio
from collections.abc import Callable, Iterator

import pytest

from tests.projector.flow import ACCOUNTS, Flow
from tests.support.ports import free_port
from tests.support.venue import Venue


@pytest.fixture
async def engine(new_venue: Callable[..., Venue]) -> Venue:
    """Yield a database and an engine with three accounts that can trade; nothing else runs."""
    venue = new_venue()
    await asyncio.to_thread(venue.start_engine)
    await asyncio.to_thread(venue.define_instruments)
    for account_id in ACCOUNTS:
        await asyncio.to_thread(venue.open_account, account_id, may_sell_short=True)
    return venue


@pytest.fixture
def flow(engine: Venue) -> Iterator[Flow]:
    with Flow(engine, seed=7) as running:
        yield running


@pytest.fixture
def port() -> str:
    """Return a free port, for a projector's probes."""
    return str(free_port())
