"""Migrates a database to the schema that this code needs, and checks that it has one.

Safe to run from several processes at once: an advisory lock lets one work while the others wait.
"""

import asyncio
from dataclasses import dataclass

from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.pool import NullPool

from alembic import command
from openvenue.db.connection import open_engine
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

    So an older version works on a database that a newer one has migrated, as after a rollback.
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


class RequiredSchema:
    """Decides whether this code can work on a database's schema.

    Migrations expand before they contract, so this code can also work on a revision of a newer
    version, which it does not know.
    """

    def __init__(self, settings: Settings) -> None:
        scripts = ScriptDirectory.from_config(_config(settings))
        head = scripts.get_current_head()
        if head is None:
            raise RuntimeError(
                f"no migrations in {settings.migrations_dir}; "
                "set OPENVENUE_MIGRATIONS_DIR to the folder that holds them"
            )
        self.revision = head
        self._older = {script.revision for script in scripts.walk_revisions()} - {head}

    def is_newer(self, current: str | None) -> bool:
        """True if a newer version made the revision `current`."""
        return current is not None and current != self.revision and current not in self._older

    def problem_with(self, current: str | None) -> str | None:
        """Return the problem of a database at revision `current`, None if there is none."""
        if current != self.revision and not self.is_newer(current):
            return f"its schema is at {current or 'nothing'}, {self.revision} is needed"
        return None


async def current_revision(connection: AsyncConnection) -> str | None:
    """Return the revision that the database is at, None if it was never migrated."""
    return await connection.run_sync(
        lambda sync: MigrationContext.configure(sync).get_current_revision()
    )


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
