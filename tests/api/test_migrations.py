"""The schema goes up, down and up again, and the migrations make exactly the code's tables."""

import asyncio
import os
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from ipaddress import ip_network
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from alembic.script import ScriptDirectory
from openvenue.db import migrate
from openvenue.db.schema import RequiredSchema, current_revision
from openvenue.db.tables import api_keys, metadata, orders
from openvenue.security.keys import (
    DATA_ONLY,
    NO_LIMITS,
    READ_AND_TRADE,
    READ_ONLY,
    KeyLimits,
    claim_key,
    create_key,
    list_keys,
)
from openvenue.settings import Settings
from openvenue.vocabulary import ORDER_TYPES
from pydantic import SecretStr
from sqlalchemy import CheckConstraint, Table, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from tests.support.venue import ROOT, run_apart

OF_THE_PUBLIC_SCHEMA = """
SELECT tablename FROM pg_tables WHERE schemaname = 'public'
UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
"""


@pytest.fixture
def settings(
    new_database: Callable[[], str], drop_database: Callable[[str], None]
) -> Iterator[Settings]:
    url = new_database()
    yield Settings(database_url=SecretStr(url))
    drop_database(url)


def names_in_schema(settings: Settings) -> set[str]:
    async def read() -> set[str]:
        engine = create_async_engine(settings.database_url.get_secret_value())
        async with engine.connect() as connection:
            names = set((await connection.execute(text(OF_THE_PUBLIC_SCHEMA))).scalars())
        await engine.dispose()
        return names

    return run_apart(read())


def revision_of(settings: Settings) -> str | None:
    async def read() -> str | None:
        engine = create_async_engine(settings.database_url.get_secret_value())
        async with engine.connect() as connection:
            revision = await current_revision(connection)
        await engine.dispose()
        return revision

    return run_apart(read())


def test_upgrading_makes_every_table_of_the_code(settings: Settings) -> None:
    migrate.upgrade(settings)
    assert set(metadata.tables) <= names_in_schema(settings)
    assert revision_of(settings) == RequiredSchema(settings).revision


def test_the_code_has_nothing_that_the_migrations_lack(settings: Settings) -> None:
    migrate.upgrade(settings)
    migrate.check(settings)


def test_downgrading_leaves_nothing_and_upgrading_works_again(settings: Settings) -> None:
    migrate.upgrade(settings)
    migrate.downgrade(settings, "base")
    assert names_in_schema(settings) == {"alembic_version"}
    migrate.upgrade(settings)
    migrate.check(settings)


def test_every_revision_goes_down_and_up_again_with_rows_in_the_tables(settings: Settings) -> None:
    migrate.upgrade(settings)

    async def fill(connection: AsyncConnection) -> None:
        for table in metadata.sorted_tables:
            if table.dialect_options["postgresql"]["partition_by"]:
                partition = f"CREATE TABLE {table.name}_all PARTITION OF {table.name} DEFAULT"
                await connection.execute(text(partition))
            if table is not api_keys:
                await connection.execute(table.insert().values(row_of(table)))
        for limits in (NO_LIMITS, KeyLimits(expires_at=datetime.now(UTC) + timedelta(days=1))):
            for scopes in (READ_AND_TRADE, READ_ONLY, DATA_ONLY):
                await create_key(connection, 0, 1, "", scopes, limits)

    run_apart(within(settings, fill))
    revisions = ScriptDirectory(str(settings.migrations_dir)).walk_revisions()
    for revision, before in pairwise([*(each.revision for each in revisions), "base"]):
        migrate.downgrade(settings, before)
        migrate.upgrade(settings, revision)
        migrate.downgrade(settings, before)
    assert names_in_schema(settings) == {"alembic_version"}
    migrate.upgrade(settings)
    migrate.check(settings)


def row_of(table: Table) -> dict[str, Any]:
    """Return a row with a value in every column."""
    checks = [str(each.sqltext) for each in table.constraints if isinstance(each, CheckConstraint)]
    words = dict(re.findall(r"(\w+) IN \('(\w+)'", " ".join(checks)))
    now = datetime.now(UTC)
    values: dict[type, Any] = {int: 1, str: "x", Decimal: 1, bool: True, datetime: now}
    values |= {bytes: b"x", list: [1], date: now.date(), UUID: UUID(int=1)}
    return {
        column.name: words.get(column.name, values[column.type.python_type])
        for column in table.columns
    }


def test_stop_orders_stay_through_a_downgrade_without_their_stop_price(
    settings: Settings,
) -> None:
    migrate.upgrade(settings)

    async def insert(connection: AsyncConnection) -> None:
        for number, order_type in enumerate(ORDER_TYPES.numbers, 1):
            row = row_of(orders) | {"order_id": number, "type": order_type}
            await connection.execute(orders.insert().values(row))

    async def read(connection: AsyncConnection) -> list[str]:
        return list(await connection.scalars(text("SELECT type FROM orders ORDER BY order_id")))

    run_apart(within(settings, insert))
    migrate.downgrade(settings, "0019")
    assert run_apart(within(settings, read)) == list(ORDER_TYPES.numbers)
    migrate.upgrade(settings)
    migrate.check(settings)
    prices = text("SELECT count(*) FROM orders WHERE stop_price IS NOT NULL")

    async def count(connection: AsyncConnection) -> int:
        return int((await connection.execute(prices)).scalar_one())

    assert run_apart(within(settings, count)) == 0


def test_orders_that_self_trade_prevention_ended_stay_through_a_downgrade(
    settings: Settings,
) -> None:
    migrate.upgrade(settings)

    async def insert(connection: AsyncConnection) -> None:
        row = row_of(orders) | {"status": "canceled", "end_reason": "self_trade"}
        await connection.execute(orders.insert().values(row))

    async def read(connection: AsyncConnection) -> list[str]:
        return list(await connection.scalars(text("SELECT end_reason FROM orders")))

    run_apart(within(settings, insert))
    migrate.downgrade(settings, "0018")
    assert run_apart(within(settings, read)) == ["self_trade"]
    migrate.upgrade(settings)
    migrate.check(settings)
    assert run_apart(within(settings, read)) == ["self_trade"]


def test_without_limits_a_limited_key_is_revoked(settings: Settings) -> None:
    migrate.upgrade(settings)
    kinds = {
        "unlimited": (READ_AND_TRADE, NO_LIMITS),
        "slow": (READ_AND_TRADE, KeyLimits(requests_per_minute=1)),
        "of a day": (READ_AND_TRADE, KeyLimits(expires_at=datetime.now(UTC) + timedelta(days=1))),
        "of a place": (READ_ONLY, KeyLimits(networks=(ip_network("10.0.0.0/8"),))),
        "data": (DATA_ONLY, NO_LIMITS),
    }

    async def make(connection: AsyncConnection) -> None:
        for label, (scopes, limits) in kinds.items():
            await create_key(connection, 0, 1, label, scopes, limits)

    run_apart(within(settings, make))
    migrate.downgrade(settings, "0013")

    async def in_force(connection: AsyncConnection) -> set[str]:
        query = "SELECT label FROM api_keys WHERE revoked_at IS NULL"
        return set(await connection.scalars(text(query)))

    # A rate that only the newer version knows takes no access from the key.
    assert run_apart(within(settings, in_force)) == {"unlimited", "slow"}
    migrate.upgrade(settings)
    migrate.check(settings)
    assert run_apart(within(settings, in_force)) == {"unlimited", "slow"}


def test_concurrent_migrators_wait_for_each_other(settings: Settings) -> None:
    command = [sys.executable, "-m", "alembic", "upgrade", "head"]
    url = settings.database_url.get_secret_value()
    migrators = [
        subprocess.Popen(command, cwd=ROOT, env={**os.environ, "OPENVENUE_DATABASE_URL": url})
        for _ in range(3)
    ]
    assert [migrator.wait(60) for migrator in migrators] == [0, 0, 0]
    migrate.check(settings)


def test_an_older_version_leaves_a_newer_schema_even_if_that_came_in_between(
    settings: Settings,
) -> None:
    migrate.upgrade(settings, "0001")
    older_version = Settings(database_url=settings.database_url, migration_statement_timeout_s=30)

    async def take_the_turn_of_a_newer_version() -> migrate.Migrated:
        engine = create_async_engine(settings.database_url.get_secret_value())
        async with engine.connect() as newer:
            lock = {"key": 0x6F70656E76656E75}
            await newer.execute(text("SELECT pg_advisory_lock(:key)"), lock)
            await newer.commit()
            older = asyncio.ensure_future(
                asyncio.to_thread(migrate.bring_up_to_date, older_version)
            )
            # Once it has read the revision, it asks for its turn again and again on one connection.
            asking = text(
                "SELECT pid, query_start FROM pg_stat_activity "
                "WHERE application_name = 'openvenue-migration' AND query LIKE 'ROLLBACK%'"
            )
            asked: dict[int, set[object]] = defaultdict(set)
            while all(len(moments) < 5 for moments in asked.values()):
                for pid, moment in await newer.execute(asking):
                    asked[pid].add(moment)
                await newer.rollback()
                await asyncio.sleep(0.05)
            await newer.execute(text("UPDATE alembic_version SET version_num = '9999'"))
            await newer.commit()
        await engine.dispose()
        return await older

    done = run_apart(take_the_turn_of_a_newer_version())
    assert done == migrate.Migrated(before="0001", after="9999", newer=True)


def test_a_migration_gives_way_to_a_transaction_that_holds_a_table(settings: Settings) -> None:
    migrate.upgrade(settings, "0001")
    impatient = Settings(database_url=settings.database_url, migration_lock_timeout_s=0.2)

    async def downgrade_beside_a_reader() -> None:
        engine = create_async_engine(settings.database_url.get_secret_value())
        async with engine.connect() as reader:
            await reader.execute(text("SELECT * FROM orders"))
            with pytest.raises(DBAPIError, match="lock timeout"):
                await asyncio.to_thread(migrate.downgrade, impatient, "base")
        await engine.dispose()

    run_apart(downgrade_beside_a_reader())
    assert revision_of(settings) == "0001"
    migrate.upgrade(settings)
    migrate.check(settings)


def test_an_index_is_built_beside_trading_and_anew_where_that_was_interrupted(
    settings: Settings,
) -> None:
    migrate.upgrade(settings, "0003")
    impatient = Settings(database_url=settings.database_url, migration_lock_timeout_s=0.2)

    async def build_beside_a_writer() -> None:
        engine = create_async_engine(settings.database_url.get_secret_value())
        async with engine.connect() as writer, engine.connect() as other:
            await writer.execute(text("LOCK TABLE orders IN ROW EXCLUSIVE MODE"))
            # It waits for the writer, and nothing waits for it meanwhile.
            building = asyncio.ensure_future(asyncio.to_thread(migrate.upgrade, impatient))
            while not building.done():
                await other.execute(text("SET LOCAL lock_timeout = '50ms'"))
                await other.execute(text("LOCK TABLE orders IN ROW EXCLUSIVE MODE"))
                await other.rollback()
            with pytest.raises(DBAPIError, match="lock timeout"):
                await building
        await engine.dispose()

    run_apart(build_beside_a_writer())
    assert revision_of(settings) == "0003"
    assert run_apart(invalid_indexes(settings)) == ["orders_account_instrument_created_idx"]
    migrate.upgrade(settings)
    migrate.check(settings)
    assert run_apart(invalid_indexes(settings)) == []


async def invalid_indexes(settings: Settings) -> list[str]:
    engine = create_async_engine(settings.database_url.get_secret_value())
    async with engine.connect() as connection:
        names = await connection.scalars(
            text("SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid")
        )
    await engine.dispose()
    return list(names)


def test_a_schema_that_is_missing_or_old_is_refused_and_a_newer_one_serves(
    settings: Settings,
) -> None:
    required = RequiredSchema(settings)
    assert required.problem_with(None) is not None
    assert required.problem_with(required.revision) is None
    assert required.problem_with("made_by_a_newer_version") is None


def test_the_needed_revision_is_alembics_last_one(settings: Settings, tmp_path: Path) -> None:
    def last(directory: Path) -> str | None:
        return ScriptDirectory(str(directory)).get_current_head()

    assert RequiredSchema(settings).revision == last(settings.migrations_dir)

    def needed() -> RequiredSchema:
        return RequiredSchema(settings.model_copy(update={"migrations_dir": tmp_path}))

    with pytest.raises(RuntimeError, match="OPENVENUE_MIGRATIONS_DIR"):
        needed()
    (tmp_path / "versions").mkdir()
    # In all ways of writing it, and not in the order of the files.
    for name, content in {
        "a.py": "revision = 'third'\ndown_revision = 'second'",
        "b.py": 'revision: str = "first"\ndown_revision: str | None = None',
        "c.py": "revision = 'second'; down_revision = (\n    'first'\n)",
    }.items():
        (tmp_path / "versions" / name).write_text(content + "\n")
    assert needed().revision == last(tmp_path) == "third"
    assert needed().problem_with("first") == "its schema is at first, third is needed"
    assert needed().is_newer("fourth")


# Accounts 1 and 2 are only on shard 0, 3 is on both shards, 4 on no known one.
TWO_SHARDS = """
INSERT INTO accounts SELECT shard_id, account_id, 'x', false, 0, 0, now(), 1
FROM (VALUES (0, 1), (0, 2), (0, 3), (7, 3)) AS held(shard_id, account_id);
INSERT INTO projection_offsets (shard_id, sequence) VALUES (0, 5), (7, 5);
"""
OLD_KEYS = """
INSERT INTO api_keys (key_id, account_id, secret_hash)
SELECT 'OV' || account_id, account_id, '\\x00' FROM generate_series(1, 4) AS account_id
"""


@pytest.mark.parametrize(
    ("state", "shards"),
    [
        ("INSERT INTO projection_offsets (shard_id, sequence) VALUES (7, 0)", [7, 7, 7, 7]),
        ("", [None] * 4),
        (TWO_SHARDS, [0, 0, None, None]),
        (TWO_SHARDS + "UPDATE projection_offsets SET sequence = -1 WHERE shard_id = 7", [None] * 4),
    ],
    ids=["one shard", "no shard yet", "two shards", "two shards, one being rebuilt"],
)
def test_keys_are_given_to_a_shard_where_that_is_certain(
    settings: Settings, state: str, shards: list[int | None]
) -> None:
    migrate.upgrade(settings, "0004")
    run_apart(execute(settings, *filter(str.strip, (state + ";" + OLD_KEYS).split(";"))))
    migrate.upgrade(settings)
    assert run_apart(shards_of_keys(settings)) == shards


def test_keys_of_the_version_before_go_to_the_only_shard_or_wait_to_be_claimed(
    settings: Settings,
) -> None:
    migrate.upgrade(settings)
    offset = "INSERT INTO projection_offsets (shard_id, sequence) VALUES"
    run_apart(execute(settings, f"{offset} (7, 0)", OLD_KEYS))
    assert run_apart(shards_of_keys(settings)) == [7] * 4
    run_apart(execute(settings, "DELETE FROM api_keys", f"{offset} (8, 0)", OLD_KEYS))
    assert run_apart(shards_of_keys(settings)) == [None] * 4

    async def claim_twice(connection: AsyncConnection) -> tuple[bool, bool]:
        return await claim_key(connection, 8, "OV2"), await claim_key(connection, 7, "OV2")

    assert run_apart(within(settings, claim_twice)) == (True, False)
    assert run_apart(shards_of_keys(settings)) == [None, 8, None, None]


def test_keys_of_the_version_before_read_and_trade(settings: Settings) -> None:
    migrate.upgrade(settings, "0006")
    run_apart(execute(settings, OLD_KEYS))
    migrate.upgrade(settings)
    run_apart(execute(settings, "UPDATE api_keys SET key_id = key_id || 'A'", OLD_KEYS))

    async def scopes(connection: AsyncConnection) -> list[list[str]]:
        return list(await connection.scalars(text("SELECT scopes FROM api_keys")))

    assert run_apart(within(settings, scopes)) == [["read", "trade"]] * 8


def test_without_scopes_a_read_only_key_is_revoked(settings: Settings) -> None:
    migrate.upgrade(settings)

    async def make(connection: AsyncConnection) -> list[str]:
        made = [
            await create_key(connection, 0, 1),
            await create_key(connection, 0, 1, "", READ_ONLY),
        ]
        return [key.key_id for key in made]

    trading, read_only = run_apart(within(settings, make))
    migrate.downgrade(settings, "0006")
    migrate.upgrade(settings)

    async def in_force(connection: AsyncConnection) -> dict[str, bool]:
        return {key.key_id: key.revoked_at is None for key in await list_keys(connection, 0)}

    assert run_apart(within(settings, in_force)) == {trading: True, read_only: False}


def test_the_database_allows_the_words_of_the_vocabulary_and_no_others(settings: Settings) -> None:
    migrate.upgrade(settings)

    async def allowed(connection: AsyncConnection) -> dict[str, set[str]]:
        checks = await connection.execute(
            text(
                "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint "
                "WHERE contype = 'c' AND conrelid <> 0"
            )
        )
        return {name: set(re.findall(r"'(\w+)'::text", definition)) for name, definition in checks}

    in_code = {
        str(check.name): set(re.findall(r"'(\w+)'", str(check.sqltext)))
        for table in metadata.tables.values()
        for check in table.constraints
        if isinstance(check, CheckConstraint)
    }
    assert run_apart(within(settings, allowed)) == in_code


async def within(settings: Settings, work: Callable[[AsyncConnection], Awaitable[Any]]) -> Any:
    engine = create_async_engine(settings.database_url.get_secret_value())
    async with engine.begin() as connection:
        done = await work(connection)
    await engine.dispose()
    return done


async def execute(settings: Settings, *statements: str) -> None:
    async def run(connection: AsyncConnection) -> None:
        for statement in statements:
            await connection.execute(text(statement))

    await within(settings, run)


async def shards_of_keys(settings: Settings) -> list[int | None]:
    async def read(connection: AsyncConnection) -> list[int | None]:
        query = "SELECT shard_id FROM api_keys ORDER BY key_id"
        return list(await connection.scalars(text(query)))

    shards: list[int | None] = await within(settings, read)
    return shards
