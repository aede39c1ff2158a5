"""Decides whether this code can work on a database's schema.

Every worker does so at its start, without Alembic: its import would be a sixth of that.
"""

import ast
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from openvenue.settings import Settings

_IS_MIGRATED = text("SELECT to_regclass('alembic_version') IS NOT NULL")
_REVISION = text("SELECT version_num FROM alembic_version")


class RequiredSchema:
    """The revision that this code needs, and those that it knows.

    Migrations expand before they contract, so this code can also work on a revision of a newer
    version, which it does not know.

    Raises RuntimeError if there are no migrations.
    """

    def __init__(self, settings: Settings) -> None:
        revisions = _revisions(settings.migrations_dir / "versions")
        heads = revisions.keys() - revisions.values()
        if len(heads) != 1:
            raise RuntimeError(
                f"no migrations in {settings.migrations_dir}, or no last one; "
                "set OPENVENUE_MIGRATIONS_DIR to the folder that holds them"
            )
        (self.revision,) = heads
        self._older = revisions.keys() - heads

    def is_newer(self, current: str | None) -> bool:
        """True if a newer version made the revision `current`."""
        return current is not None and current != self.revision and current not in self._older

    def problem_with(self, current: str | None) -> str | None:
        """Return the problem of a database at revision `current`, None if there is none."""
        if current != self.revision and not self.is_newer(current):
            return f"its schema is at {current or 'nothing'}, {self.revision} is needed"
        return None


async def current_revision(connection: AsyncConnection) -> str | None:
    """Return the revision that the database is at, None if it was never migrated.

    Raises SQLAlchemyError, also if it is at several.
    """
    if not await connection.scalar(_IS_MIGRATED):
        return None
    revision: str | None = (await connection.execute(_REVISION)).scalar_one_or_none()
    return revision


def _revisions(directory: Path) -> dict[str, str | None]:
    """Return each migration's revision and the one before it, None for the first."""
    found: dict[str, str | None] = {}
    for file in directory.glob("*.py"):
        named: dict[str, Any] = {}
        for statement in ast.parse(file.read_bytes()).body:
            match statement:
                case (
                    ast.AnnAssign(target=ast.Name(name), value=ast.Constant(value))
                    | ast.Assign(targets=[ast.Name(name)], value=ast.Constant(value))
                ):
                    named[name] = value
        if "revision" in named:
            found[named["revision"]] = named["down_revision"]
    return found
