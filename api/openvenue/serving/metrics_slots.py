"""Metrics of several processes in one directory, with a set of files for each slot.

A worker that replaces another continues counting in its files. So neither the directory nor the
time of a scrape grows with restarts, and no counter goes back.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import CollectorRegistry, Metric, generate_latest, values
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

_DIRECTORY_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_PREFIX = "openvenue-metrics-"


@contextmanager
def metrics_directory(given: Path | None) -> Iterator[Path]:
    """Make an empty directory for metrics, or empty the given one.

    A directory made here is removed at the end of the block, and so are those of killed processes.
    """
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        for leftover in given.glob("*.db"):
            leftover.unlink()
        yield given
        return
    _remove_leftovers()
    made = Path(tempfile.mkdtemp(prefix=_PREFIX))
    # Held while the process lives; see `_remove_leftovers`.
    held = os.open(made, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(held, fcntl.LOCK_SH)
        yield made
    finally:
        remove_metrics_directory(made)
        os.close(held)


def remove_metrics_directory(directory: Path) -> None:
    """Remove a directory that `metrics_directory` made; leave any other."""
    if directory.name.startswith(_PREFIX):
        shutil.rmtree(directory, ignore_errors=True)


def count_in(directory: Path, slot: str) -> None:
    """Make this process count in the files of `slot`, which no other running process may use.

    Call it before the first metric is made. It sets the variable here and not for the whole group:
    another command with it in its environment would show up among the workers.
    """
    os.environ[_DIRECTORY_VARIABLE] = str(directory)
    values.ValueClass = values.MultiProcessValue(lambda: slot)  # type: ignore[no-untyped-call]


def release_slot(directory: Path, slot: str) -> None:
    """Forget the gauges of an ended process; its counters stay."""
    mark_process_dead(slot, str(directory))  # type: ignore[no-untyped-call]


def exposition(directory: Path) -> bytes:
    """Return the metrics of all processes as text."""
    registry = CollectorRegistry()
    registry.register(_Slots(directory))
    return generate_latest(registry)


class _Slots(Collector):
    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def collect(self) -> Iterable[Metric]:
        files = [str(file) for file in self._directory.glob("*.db") if _is_filled(file)]
        merged: Iterable[Metric] = MultiProcessCollector.merge(files, accumulate=True)  # type: ignore[no-untyped-call]
        return merged


def _is_filled(file: Path) -> bool:
    """False while its process has created the file and not yet written its header."""
    try:
        return file.stat().st_size > 0
    except FileNotFoundError:
        return False  # The gauges of an ended worker.


def _remove_leftovers() -> None:
    for directory in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        try:
            held = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            continue  # Its process is alive.
        else:
            shutil.rmtree(directory, ignore_errors=True)
        finally:
            os.close(held)
