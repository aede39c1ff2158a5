"""Where a venue on one machine keeps everything.

<data dir>/
  postgres/     the embedded database
  engine/       journal and snapshots
  logs/         one file a process
  keys.json     API keys of the demo accounts (mode 0600)
  admin/        tokens of the engine's administrators, one: local (mode 0600)
  *.sock        where the engine is reached (mode 0600)
  venue.json    where the running venue listens (mode 0600, gone when it is down)
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
    """Where a venue listens. The database URL may hold a password.

    A number alone does not name a process, because another one may have it by now: `started` is
    when that one did.
    """

    pid: int
    started: str
    api_url: str
    engine_target: str
    database_url: str
    engine_binary: str
    # A venue that the version before started has none.
    engine_admin_target: str | None = None
    engine_admin_token_file: str | None = None
    operations_url: str = ""


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
        """Makes the directories. Raises CommandError where that is not possible."""
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

        Yields whether the venue before was killed, so that some of it may still be there.
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
            # Left behind by one that was killed: whoever finds it would go to what is not there.
            (self.path / "venue.json").unlink(missing_ok=True)
            try:
                yield was_killed
            finally:
                file.truncate(0)

    def running(self) -> RunningVenue | None:
        """The venue that is up here, None if there is none."""
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
        """Lets other commands find the venue for the duration."""
        file = self.path / "venue.json"
        write_private(file, asdict(venue))
        try:
            yield
        finally:
            file.unlink(missing_ok=True)

    def demo_keys(self) -> list[DemoKey]:
        """Keys of the demo accounts, empty before they were made."""
        try:
            return [DemoKey(**key) for key in json.loads(self.keys_file.read_text())["keys"]]
        except FileNotFoundError:
            return []
        except (ValueError, TypeError, KeyError) as error:
            raise CommandError(
                f"{self.keys_file} cannot be read ({error}): delete it to have new keys made at "
                "the next `openvenue up`"
            ) from error

    def write_demo_keys(self, keys: list[DemoKey]) -> None:
        write_private(self.keys_file, {"keys": [asdict(key) for key in keys]})


def process_started(pid: int) -> str | None:
    """When a process started, in the kernel's ticks since its own start; None if it has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # proc(5): the third field, the state, and the 22nd; the second, the name, ends with the last
    # bracket. One that ended stays a zombie until it is reaped.
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
