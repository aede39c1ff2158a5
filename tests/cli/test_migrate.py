"""`openvenue migrate` on a real PostgreSQL: its waits, its results, its failures."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL, make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from tests.cli.command_line import OPENVENUE, Result, environment, openvenue
from tests.support.venue import run_apart


@pytest.fixture
def url(new_database: Callable[[], str], drop_database: Callable[[str], None]) -> Iterator[str]:
    made = new_database()
    yield made
    drop_database(made)


def migrate(url: str | URL, *arguments: str, **variables: str) -> Result:
    named = {"OPENVENUE_DATABASE_URL": shown(url), **variables}
    return openvenue("migrate", *arguments, variables=named)


def shown(url: str | URL) -> str:
    return make_url(url).render_as_string(hide_password=False)


async def execute(url: str, statement: str) -> None:
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.execute(text(statement))
    await engine.dispose()


def test_an_empty_database_is_migrated_and_a_migrated_one_left(url: str) -> None:
    first = migrate(url, "--json").data
    assert first["schema_before"] is None
    assert first["outcome"] == "migrated"
    second = migrate(url, "--json").data
    assert second["schema_before"] == second["schema"] == first["schema"]
    assert second["outcome"] == "nothing to do"


def test_a_schema_of_a_newer_version_is_success_and_stays(url: str) -> None:
    migrate(url)
    run_apart(execute(url, "UPDATE alembic_version SET version_num = '9999'"))
    for _ in range(2):
        result = migrate(url, "--json")
        assert result.exit_code == 0
        assert result.data["schema_before"] == result.data["schema"] == "9999"
        assert "newer version" in result.data["outcome"]


def test_it_waits_for_a_database_that_starts_later(url: str, tmp_path: Path) -> None:
    socket = make_url(url).query["host"]
    later = tmp_path / "later"
    variables = {
        "OPENVENUE_DATABASE_URL": shown(make_url(url).update_query_dict({"host": str(later)}))
    }
    with subprocess.Popen(
        [*OPENVENUE, "migrate"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**environment(), **variables},
    ) as migrating:
        assert migrating.stderr is not None
        assert "waiting for the database, 0 of 300 s" in migrating.stderr.readline()
        later.symlink_to(str(socket))
        output, _ = migrating.communicate(timeout=60)
    assert migrating.returncode == 0
    assert "migrated" in output


def test_it_does_not_wait_for_ever(url: str, tmp_path: Path) -> None:
    nowhere = make_url(url).set(password="hush").update_query_dict({"host": str(tmp_path)})
    result = migrate(nowhere, "--wait-s", "1")
    assert result.exit_code == 1
    assert "did not answer within 1 s" in result.errors
    assert "hush" not in result.errors


def test_a_database_that_is_not_there_is_an_error_at_once(url: str) -> None:
    result = migrate(make_url(url).set(database="nothing"))
    assert result.exit_code == 1
    assert 'database "nothing" does not exist' in result.errors
    assert "waiting" not in result.errors


def test_a_url_that_cannot_be_read_is_not_shown() -> None:
    unreadable = {"OPENVENUE_DATABASE_URL": "postgresql://openvenue:hu/sh@127.0.0.1/openvenue"}
    result = openvenue("migrate", variables=unreadable)
    assert result.exit_code == 2
    assert "percent-encoded" in result.errors
    assert "hu" not in result.errors
    assert "sh@" not in result.errors


def test_a_lock_that_is_not_given_up_is_an_error_in_words(url: str) -> None:
    migrate(url)

    async def beside_a_lock() -> Result:
        engine = create_async_engine(url)
        async with engine.connect() as holder:
            await holder.execute(text("LOCK TABLE alembic_version"))
            result = migrate(url, OPENVENUE_MIGRATION_LOCK_TIMEOUT_S="0.2")
        await engine.dispose()
        return result

    result = run_apart(beside_a_lock())
    assert result.exit_code == 1
    assert "cannot be migrated: canceling statement due to" in result.errors
    assert "Traceback" not in result.errors
