"""Migrates a database to the schema that this code needs.

Safe to run from several processes at once: an advisory lock lets one work while the others wait.
"""

import asyncio
from dataclasses import dataclass

from alembic.config import Config
from alembic.util.exc import CommandError
from sqlalchemy.pool import NullPool

from alembic import command
from openvenue.db.alchemy import open_engine
from openvenue.db.schema import RequiredSchema, current_revision
from openvenue.settings import Settings

_CONNECT_TIMEOUT_S = 10


@dataclass(frozen=True, slots=True)
class Migrated:
    """The revision that a database was at, and is at now.

    `newer` if this code does not know the revision: a newer version made it.
    """

    before: str | None
    after: str | None
    newer: bool


def bring_up_to_date(settings: Settings) -> Migrated:
    """Apply the missing migrations, but leave a newer version's schema as it is.

    So an older version works on a database that a newer one has migrated, as after a
    rollback. Blocks, like `upgrade`.
    """
    required = RequiredSchema(settings)
    before = asyncio.run(_revision_of(settings))
    if not required.is_newer(before):
        try:
            upgrade(settings)
        except CommandError:
            # The newer version may have migrated in between.
            if not required.is_newer(asyncio.run(_revision_of(settings))):
                raise
    after = asyncio.run(_revision_of(settings))
    return Migrated(before, after, required.is_newer(after))


def upgrade(settings: Settings, revision: str = "head") -> None:
    """Apply all migrations up to `revision`. Blocks; not to be called from a running event loop."""
    command.upgrade(_config(settings), revision)


def downgrade(settings: Settings, revision: str) -> None:
    """Undo migrations down to `revision` ("base": all). Drops data. Blocks, like `upgrade`."""
    command.downgrade(_config(settings), revision)


def check(settings: Settings) -> None:
    """Raise alembic.util.CommandError if the tables in code differ from the migrations."""
    command.check(_config(settings))


async def _revision_of(settings: Settings) -> str | None:
    engine = open_engine(
        settings.database_url.get_secret_value(),
        "openvenue-migration",
        timeout_s=_CONNECT_TIMEOUT_S,
        server_settings={"lock_timeout": f"{round(settings.migration_lock_timeout_s * 1000)}ms"},
        poolclass=NullPool,
    )
    try:
        async with engine.connect() as connection:
            return await current_revision(connection)
    finally:
        await engine.dispose()


def _config(settings: Settings) -> Config:
    config = Config()
    config.set_main_option("script_location", str(settings.migrations_dir))
    config.attributes["settings"] = settings
    return config
