"""The data directory of a venue on one machine.

<data dir>/
  postgres/     the embedded database
  engine/       journal and snapshots
  logs/         one file per process
  keys.json     API keys of the demo accounts (mode 0600)
  market.json   API keys of the market's agents (mode 0600)
  admin/        tokens of the engine's administrators, one: local (mode 0600)
  *.sock        sockets of the engine (mode 0600)
  venue.json    addresses of the running venue (mode 0600, removed when it stops)
  up.lock       held while `openvenue up` runs
"""

import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from openvenue.commands import CommandError


@dataclass(frozen=True, slots=True)
class RunningVenue:
    """Addresses of a venue. The database URL may hold a password.

    `started` is the start time of the process: its number alone may by now belong to another
    process.
    """

    pid: int
    started: str
    api_url: str
    engine_target: str
    database_url: str
    engine_binary: str
    # Missing if the version before started the venue.
    engine_admin_target: str | None = None
    engine_admin_token_file: str | None = None
    operations_url: str = ""
    stream_url: str = ""
    admin_url: str | None = None


@dataclass(frozen=True, slots=True)
class DemoKey:
    """An API key of a demo account."""

    account_id: int
    account: str
    key_id: str
    secret: str


@dataclass(frozen=True, slots=True)
class DataDir:
    path: Path

    @property
    def postgres(self) -> Path:
        return self.path / "postgres"

    @property
    def engine(self) -> Path:
        return self.path / "engine"

    @property
    def keys_file(self) -> Path:
        return self.path / "keys.json"

    @property
    def market_keys_file(self) -> Path:
        return self.path / "market.json"

    @property
    def engine_socket(self) -> Path:
        return self.path / "engine.sock"

    @property
    def admin_socket(self) -> Path:
        return self.path / "admin.sock"

    @property
    def admin_tokens(self) -> Path:
        return self.path / "admin"

    @property
    def admin_token_file(self) -> Path:
        return self.admin_tokens / "local"

    def log(self, process: str) -> Path:
        return self.path / "logs" / f"{process}.log"

    def create(self) -> None:
        """Make the directories. Raises CommandError if that is impossible."""
        try:
            for directory in (self.path, self.engine, self.path / "logs"):
                directory.mkdir(parents=True, exist_ok=True)
            self.admin_tokens.mkdir(mode=0o700, exist_ok=True)
            if not self.admin_token_file.exists():
                _write_private_text(self.admin_token_file, secrets.token_urlsafe(32) + "\n")
        except OSError as error:
            raise CommandError(
                f"cannot create {self.path}: {error.strerror}; choose another with --data-dir"
            ) from error

    @contextmanager
    def lock(self) -> Iterator[bool]:
        """Keep other venues out of this directory for the duration.

        Yields True if the last venue was killed, so that parts of it may still run.
        """
        with (self.path / "up.lock").open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                file.seek(0)
                raise CommandError(
                    f"a venue is already up in {self.path} (process {file.read().strip()}): "
                    "use it, stop it with Ctrl-C there, or choose another --data-dir"
                ) from error
            file.seek(0)
            was_killed = bool(file.read())
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            # A killed venue left it behind; its addresses lead nowhere.
            (self.path / "venue.json").unlink(missing_ok=True)
            try:
                yield was_killed
            finally:
                file.truncate(0)

    def running(self) -> RunningVenue | None:
        """Return the venue that runs here, None if there is none."""
        try:
            venue = RunningVenue(**json.loads((self.path / "venue.json").read_text()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            raise CommandError(
                f"{self.path / 'venue.json'} cannot be read ({error}): stop the venue there if one "
                "is up, and start it again"
            ) from error
        return venue if process_started(venue.pid) == venue.started else None

    @contextmanager
    def announce(self, venue: RunningVenue) -> Iterator[None]:
        """Let other commands find the venue for the duration."""
        file = self.path / "venue.json"
        write_private(file, asdict(venue))
        try:
            yield
        finally:
            file.unlink(missing_ok=True)

    def demo_keys(self) -> list[DemoKey]:
        """Return the demo accounts' keys; empty before they were made."""
        return read_keys(self.keys_file)


def read_keys(file: Path) -> list[DemoKey]:
    """Return the keys of a file; empty if there is none. Raises CommandError."""
    try:
        return [DemoKey(**key) for key in json.loads(file.read_text())["keys"]]
    except FileNotFoundError:
        return []
    except (ValueError, TypeError, KeyError) as error:
        raise CommandError(
            f"{file} cannot be read ({error}): delete it to have new keys made at the next "
            "`openvenue up`"
        ) from error


def write_keys(file: Path, keys: list[DemoKey]) -> None:
    """Write a file of keys that only its owner may read."""
    write_private(file, {"keys": [asdict(key) for key in keys]})


def process_started(pid: int) -> str | None:
    """Return a process's start time in the kernel's ticks since boot; None if it has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # proc(5): the third field is the state, the 22nd the start; the second, the name, ends with the
    # last bracket. An ended process stays a zombie until it is reaped.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else fields[19]


def write_private(file: Path, content: object) -> None:
    """Write JSON that only the owner may read, whole or not at all."""
    _write_private_text(file, json.dumps(content, indent=2) + "\n")


def _write_private_text(file: Path, text: str) -> None:
    draft = file.with_name(f".{file.name}.draft")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
    draft.replace(file)
