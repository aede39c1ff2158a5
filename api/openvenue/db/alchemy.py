"""SQLAlchemy over the venue's connections, and its errors."""

from typing import Any

import asyncpg
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from openvenue.db.connection import BROKEN_CONNECTION, DATABASE_AWAY, connect

# Every error that a call to the database may raise, through SQLAlchemy or not.
DATABASE_ERRORS = (OSError, SQLAlchemyError, asyncpg.PostgresError, *BROKEN_CONNECTION)


def open_engine(
    database_url: str,
    application_name: str,
    *,
    timeout_s: float,
    command_timeout_s: float | None = None,
    server_settings: dict[str, str] | None = None,
    **options: Any,
) -> AsyncEngine:
    """Return SQLAlchemy's engine over `connect`; `options` are those of create_async_engine."""

    async def make() -> Any:
        return await connect(
            database_url,
            application_name,
            timeout_s=timeout_s,
            command_timeout_s=command_timeout_s,
            **(server_settings or {}),
        )

    # The URL only names the dialect, since statements' parameters may be secret.
    return create_async_engine(
        "postgresql+asyncpg://", async_creator=make, hide_parameters=True, **options
    )


def is_away(error: Exception) -> bool:
    """True if a read failed because the database is down, not because the read is wrong."""
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or isinstance(
            error.orig and error.orig.__cause__, DATABASE_AWAY
        )
    # SQLAlchemy wraps errors of statements, but not those of a connection.
    return isinstance(error, (*DATABASE_AWAY, asyncpg.PostgresError, PoolTimeout))
