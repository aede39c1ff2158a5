"""Brings a database to the schema that this code needs, and tells whether it is there.

Safe to run from several processes at once: an advisory lock lets one work while the others wait.
"""

from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.ext.asyncio import AsyncConnection

from alembic import command
from openvenue.settings import Settings


def upgrade(settings: Settings, revision: str = "head") -> None:
    """Apply all migrations up to `revision`. Blocks; not to be called from a running event loop."""
    command.upgrade(_config(settings), revision)


def downgrade(settings: Settings, revision: str) -> None:
    """Undo migrations down to `revision` ("base": all). Drops data. Blocks, like `upgrade`."""
    command.downgrade(_config(settings), revision)


def check(settings: Settings) -> None:
    """Raise alembic.util.CommandError if the tables in code and the migrations have parted."""
    command.check(_config(settings))


class RequiredSchema:
    """Tells whether a database's schema serves this code.

    Migrations expand before they contract, so a revision that this code does not know, made by a
    newer version, serves it too.
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

    def problem_with(self, current: str | None) -> str | None:
        """Return what is wrong with a database at revision `current`, None if nothing is."""
        if current is None or current in self._older:
            return f"its schema is at {current or 'nothing'}, {self.revision} is needed"
        return None


async def current_revision(connection: AsyncConnection) -> str | None:
    """Return the revision that the database is at, None if it was never migrated."""
    return await connection.run_sync(
        lambda sync: MigrationContext.configure(sync).get_current_revision()
    )


def _config(settings: Settings) -> Config:
    config = Config()
    config.set_main_option("script_location", str(settings.migrations_dir))
    config.attributes["settings"] = settings
    return config
