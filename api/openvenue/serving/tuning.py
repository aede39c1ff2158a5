"""Settings that change in a running process, from a watched JSON file.

    {"generation": 7, "workers": 3, "db_pool_size": 8, "db_pool_overflow": 4,
     "grpc_channels": 2, "log_level": "INFO"}

Absent fields keep their start value. `generation` is the writer's counter; processes report the one
that they run. Replace the file as a whole (rename, or Kubernetes' volume update). A file that
cannot be read, is out of range or has an unknown field is reported and changes nothing.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec

from openvenue.settings import LogLevel, Settings

GENERATION_MAX = 1 << 53  # largest number that a metric shows exactly
WORKERS_MAX = 64


class Tuning(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One generation of the tunable settings; the bounds are those of `Settings`."""

    generation: Annotated[int, msgspec.Meta(ge=0, le=GENERATION_MAX)] = 0
    workers: Annotated[int, msgspec.Meta(ge=1, le=WORKERS_MAX)]
    db_pool_size: Annotated[int, msgspec.Meta(ge=2, le=500)]
    db_pool_overflow: Annotated[int, msgspec.Meta(ge=0, le=500)]
    grpc_channels: Annotated[int, msgspec.Meta(ge=1, le=64)]
    log_level: LogLevel

    @property
    def connections(self) -> int:
        """Number of database connections that one worker may hold."""
        return self.db_pool_size + self.db_pool_overflow


class InvalidTuning(ValueError):
    """The tuning file cannot be used; the message says why."""


def initial_tuning(settings: Settings) -> Tuning:
    """Return the tuning of the environment, before any file."""
    return Tuning(
        workers=settings.workers,
        db_pool_size=settings.db_pool_size,
        db_pool_overflow=settings.db_pool_overflow,
        grpc_channels=settings.grpc_channels,
        log_level=settings.log_level,
    )


def tuned_settings(settings: Settings, tuning: Tuning) -> Settings:
    """Return the settings of a process that starts with `tuning`."""
    return settings.model_copy(
        update={
            "db_pool_size": tuning.db_pool_size,
            "db_pool_overflow": tuning.db_pool_overflow,
            "grpc_channels": tuning.grpc_channels,
            "log_level": tuning.log_level,
        }
    )


class TuningFile:
    """A tuning file, or none; fields that it lacks come from `settings`."""

    def __init__(self, path: Path | None, settings: Settings) -> None:
        self._path = path
        self._defaults = msgspec.structs.asdict(initial_tuning(settings))
        self._seen: bytes | None = None

    def read_if_changed(self) -> Tuning | None:
        """Return the tuning if the file's content changed since the last call.

        Raises InvalidTuning, once for each content, if it cannot be used; OSError if the file
        exists and cannot be read.
        """
        if self._path is None:
            return None
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return None
        if content == self._seen:
            return None
        self._seen = content
        try:
            fields = msgspec.json.decode(content, type=dict[str, object])
            return msgspec.convert({**self._defaults, **fields}, Tuning)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidTuning(str(error)) from error


class Rollout:
    """Takes a group of workers from one tuning to the next, step by step.

    Everything that shrinks does so first, in every worker; only then does anything grow. So the
    workers together never hold more database connections than the larger of the two tunings allows,
    even if one of them has more workers and smaller pools.
    """

    def __init__(self, start: Tuning) -> None:
        self.target = start
        self.current = start
        """Tuning for the workers at this step; its generation is the last completed one's."""

    def advance(self, running: Sequence[Tuning | None], leaving: int) -> None:
        """Take the next step if this one is complete.

        `running` is the tuning that each counted worker reports (None: no report yet), `leaving`
        the number of further processes that are leaving and still hold connections.
        """
        if self.current == self.target:
            return
        shrunk = self._shrunk()
        if self.current != shrunk:
            self.current = shrunk
        elif (
            leaving == 0
            and len(running) <= shrunk.workers
            and all(tuning == shrunk for tuning in running)
        ):
            self.current = self.target

    def _shrunk(self) -> Tuning:
        smaller = min(self.target, self.current, key=lambda tuning: tuning.connections)
        return msgspec.structs.replace(
            self.current,
            workers=min(self.current.workers, self.target.workers),
            db_pool_size=smaller.db_pool_size,
            db_pool_overflow=smaller.db_pool_overflow,
        )
