"""If the database dies under the projector, it loses nothing and gets nothing twice."""

import asyncio
import os
import random
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from openvenue.cli.local.postgres import EmbeddedPostgres
from openvenue.commands import CommandError
from openvenue.db import migrate

from tests.projector.flow import (
    ACCOUNTS,
    Flow,
    checksums,
    project_into,
    projected_sequence,
    wait_until_projected,
)
from tests.support.venue import Venue

KILLS = int(os.environ.get("OPENVENUE_KILLS", "2"))
BETWEEN_BATCHES_S = 0.05  # a longer pause would only lengthen the journal
RESTART_TIMEOUT_S = 30.0


class MortalPostgres:
    """A PostgreSQL of the test's own."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._server = EmbeddedPostgres(directory)
        self.url = self._server.start()

    def kill(self) -> None:
        """Kill -9 its postmaster; its other processes end when they notice."""
        os.kill(int((self._directory / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
        while self._server.running:
            time.sleep(0.01)

    def restart(self) -> None:
        """Start it again, as soon as the killed one's processes have gone."""
        deadline = time.monotonic() + RESTART_TIMEOUT_S
        while True:
            try:
                self._server.restart()
            except CommandError:
                assert time.monotonic() < deadline
            else:
                return

    def stop(self) -> None:
        self._server.stop()


@pytest.fixture
def postgres() -> Iterator[MortalPostgres]:
    # Not in pytest's directory: pytest closes that to other users, and PostgreSQL runs as one of
    # them if the tests run as root.
    with tempfile.TemporaryDirectory(prefix="openvenue-mortal-") as directory:
        server = MortalPostgres(Path(directory) / "postgres")
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture
def venue(postgres: MortalPostgres, tmp_path: Path) -> Iterator[Venue]:
    """Yield an engine with accounts that can trade and a projector, on the database that will
    die."""
    venue = Venue(tmp_path, postgres.url)
    migrate.upgrade(venue.settings)
    try:
        venue.start_engine()
        venue.define_instruments()
        for account_id in ACCOUNTS:
            venue.open_account(account_id, may_sell_short=True)
        venue.start_projector(projector_backoff_max_s="0.2")
        yield venue
    finally:
        venue.stop()


@pytest.mark.timeout(180 + 20 * KILLS)
async def test_a_database_killed_under_load_is_projected_into_as_if_nothing_had_happened(
    postgres: MortalPostgres, venue: Venue, new_migrated_database: Callable[[], str]
) -> None:
    moments = random.Random(5)
    done = threading.Event()
    with Flow(venue, seed=11) as flow:

        def trade() -> None:
            while not done.wait(BETWEEN_BATCHES_S):
                flow.send(100)

        trading = asyncio.ensure_future(asyncio.to_thread(trade))
        try:
            for _ in range(KILLS):
                await until_projected_beyond(await projected_sequence(venue.database_url), venue)
                await asyncio.sleep(moments.uniform(0.05, 0.3))
                await asyncio.to_thread(postgres.kill)
                await asyncio.to_thread(postgres.restart)
        finally:
            done.set()
            await trading
        last = flow.status().durable_sequence
    # A server that syncs waits for the disk, which other tests keep busy.
    await wait_until_projected(venue.database_url, last, timeout_s=120)
    assert venue.projector.running
    assert venue.projector.log.read_text().count("projection interrupted") >= KILLS

    anew = new_migrated_database()
    await project_into(anew, venue, last)
    assert await checksums(venue.database_url) == await checksums(anew)


async def until_projected_beyond(sequence: int, venue: Venue) -> None:
    async with asyncio.timeout(30):
        while await projected_sequence(venue.database_url) <= sequence:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
