"""The database pool changes its size while connections are lent, and drops none of them."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from openvenue.db.database import Database
from openvenue.settings import Settings
from pydantic import SecretStr
from sqlalchemy import make_url, text
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.support.proxy import Proxy


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[Database]:
    made = Database(
        Settings(
            database_url=SecretStr(postgres_url),
            db_pool_size=2,
            db_pool_overflow=1,
            db_pool_timeout_s=0.2,
        )
    )
    yield made
    await made.close()


async def lend(database: Database, stack: AsyncExitStack, count: int) -> list[AsyncConnection]:
    return [await stack.enter_async_context(database.connect()) for _ in range(count)]


async def test_size_and_overflow_bound_what_is_lent(database: Database) -> None:
    async with AsyncExitStack() as stack:
        await lend(database, stack, 3)
        with pytest.raises(PoolTimeout):
            await lend(database, stack, 1)


async def test_growing_serves_more_at_once(database: Database) -> None:
    async with AsyncExitStack() as stack:
        await lend(database, stack, 3)
        await database.resize(5, 1)
        await lend(database, stack, 3)
        assert database.pool.open_connections == 6
    assert database.pool.checkedin() == 5


async def test_growing_serves_those_who_wait_already(database: Database) -> None:
    await database.resize(1, 0)
    async with AsyncExitStack() as stack:
        await lend(database, stack, 1)
        waiting = asyncio.create_task(lend(database, stack, 1))
        await asyncio.sleep(0.05)
        await database.resize(2, 0)
        (connection,) = await waiting
        assert await connection.scalar(text("SELECT 1")) == 1
        assert database.pool.open_connections == 2


async def test_shrinking_closes_idle_connections_at_once(database: Database) -> None:
    await database.resize(6, 0)
    async with AsyncExitStack() as stack:
        await lend(database, stack, 6)
    assert database.pool.open_connections == 6
    await database.resize(2, 0)
    assert database.pool.open_connections == 2


async def test_shrinking_keeps_lent_connections_until_they_come_back(database: Database) -> None:
    await database.resize(5, 0)
    async with AsyncExitStack() as stack:
        lent = await lend(database, stack, 5)
        await database.resize(2, 0)
        assert [await one.scalar(text("SELECT 1")) for one in lent] == [1] * 5
        assert database.pool.open_connections == 5
    assert database.pool.open_connections == 2


async def test_a_shrunken_pool_lends_no_more_than_its_new_bounds(database: Database) -> None:
    await database.resize(5, 5)
    await database.resize(2, 1)
    async with AsyncExitStack() as stack:
        await lend(database, stack, 3)
        with pytest.raises(PoolTimeout):
            await lend(database, stack, 1)


async def test_impossible_bounds_are_refused(database: Database) -> None:
    with pytest.raises(ValueError, match="not possible"):
        await database.resize(0, 1)
    assert database.pool.size() == 2


async def test_connections_of_a_restarted_server_are_replaced(
    database: Database, new_database: Callable[[], str]
) -> None:
    async with database.connect() as connection:
        backend = await connection.scalar(text("SELECT pg_backend_pid()"))
    other = Database(Settings(database_url=SecretStr(new_database())))
    async with other.connect() as connection:
        await connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": backend})
    await other.close()
    async with database.connect() as connection:
        assert await connection.scalar(text("SELECT 1")) == 1


async def test_a_server_that_vanished_is_noticed_on_either_side(postgres_url: str) -> None:
    url = make_url(postgres_url)
    with Proxy(unix_path=f"{url.query['host']}/.s.PGSQL.{url.port or 5432}") as proxy:
        over_tcp = url.difference_update_query(["host"]).set(host="127.0.0.1", port=proxy.port)
        database = Database(
            Settings(database_url=SecretStr(over_tcp.render_as_string(hide_password=False)))
        )
        async with database.connect() as connection:
            raw: Any = (await connection.get_raw_connection()).driver_connection
            sock = raw._transport.get_extra_info("socket")
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 10
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 20_000
            assert await connection.scalar(text("SHOW statement_timeout")) == "10s"
        await database.close()
