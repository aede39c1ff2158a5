"""Settings that change in a running process, from a watched JSON file.

    {"generation": 7, "workers": 3, "db_pool_size": 8, "db_pool_overflow": 4,
     "grpc_channels": 2, "log_level": "INFO"}

Absent fields keep their start value. `generation` is whatever counter the writer uses; processes
report the one they run. The file is replaced as a whole (rename or Kubernetes' volume update); one
that cannot be read or is out of range is reported and changes nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated

import msgspec

from openvenue.settings import LogLevel, Settings
from openvenue.telemetry import get_logger

_log = get_logger(__name__)


class Tuning(msgspec.Struct, frozen=True, kw_only=True):
    """One generation of the tunable settings; the bounds are those of `Settings`."""

    generation: Annotated[int, msgspec.Meta(ge=0)] = 0
    workers: Annotated[int, msgspec.Meta(ge=1, le=64)]
    db_pool_size: Annotated[int, msgspec.Meta(ge=2, le=500)]
    db_pool_overflow: Annotated[int, msgspec.Meta(ge=0, le=500)]
    grpc_channels: Annotated[int, msgspec.Meta(ge=1, le=64)]
    log_level: LogLevel


def initial_tuning(settings: Settings) -> Tuning:
    """Return what the environment asks for, before any file."""
    return Tuning(
        workers=settings.workers,
        db_pool_size=settings.db_pool_size,
        db_pool_overflow=settings.db_pool_overflow,
        grpc_channels=settings.grpc_channels,
        log_level=settings.log_level,
    )


class TuningFile:
    """Reads the file anew each time it has changed."""

    def __init__(self, path: Path | None, settings: Settings) -> None:
        self._path = path
        self._defaults = msgspec.structs.asdict(initial_tuning(settings))
        self._seen: bytes | None = None

    def read_if_changed(self) -> Tuning | None:
        """Return the tuning if the file's content changed since the last call and is valid."""
        if self._path is None:
            return None
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            _log.error("tuning file not read", path=str(self._path), reason=str(error))
            return None
        if content == self._seen:
            return None
        self._seen = content
        try:
            fields = msgspec.json.decode(content, type=dict[str, object])
            return msgspec.convert({**self._defaults, **fields}, Tuning)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            _log.error("tuning file ignored", path=str(self._path), reason=str(error))
            return None

    async def follow(self, apply: Callable[[Tuning], Awaitable[None]], poll_s: float) -> None:
        """Apply each new content until cancelled."""
        while True:
            tuning = self.read_if_changed()
            if tuning is not None:
                await apply(tuning)
                _log.info("tuning applied", **msgspec.structs.asdict(tuning))
            await asyncio.sleep(poll_s)
