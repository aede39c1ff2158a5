"""The part of a venue that is in the database alone: keys, and what accounts may not do.

The caller decides who may change it: `Admin.check_token` asks the engine.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from openvenue.admin.errors import DatabaseAway
from openvenue.db.alchemy import DATABASE_ERRORS, open_engine
from openvenue.db.connection import DatabaseRefused
from openvenue.reasons import reason_of
from openvenue.settings import Settings

_CONNECT_TIMEOUT_S = 10.0


class AdminDatabase:
    """Transactions of one venue's administration; use as an async context manager.

    At most `connections` are open at a time; `name` is for the database's log.
    """

    def __init__(self, settings: Settings, name: str, *, connections: int = 1) -> None:
        self.shard_id = settings.shard_id
        self._engine: AsyncEngine = open_engine(
            settings.database_url.get_secret_value(),
            name,
            timeout_s=_CONNECT_TIMEOUT_S,
            command_timeout_s=settings.db_statement_timeout_s,
            pool_size=connections,
            max_overflow=0,
            pool_timeout=settings.db_pool_timeout_s,
            pool_pre_ping=True,
        )

    async def __aenter__(self) -> "AdminDatabase":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._engine.dispose()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection; the end of the block commits. Raises DatabaseAway."""
        try:
            async with self._engine.begin() as connection:
                yield connection
        except DatabaseRefused as error:
            raise DatabaseAway(str(error)) from error
        except DATABASE_ERRORS as error:
            raise DatabaseAway(
                f"the database does not answer ({reason_of(error)}): start a venue with `openvenue "
                "up`, or name its database with OPENVENUE_DATABASE_URL"
            ) from error
