"""What ended workers counted, in one set of files.

prometheus_client keeps a file of counters and one of histograms for every process that ever was.
Here those of a process that ended are added up in an archive, so that neither the directory nor the
time of a scrape grows with each restart.
"""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

DIRECTORY_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"

_KINDS = ("counter", "histogram")
_ARCHIVE = "ended"


class MetricsArchive(Collector):
    """The metrics directory of a group of processes, to be collected while `reading`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @classmethod
    def of_environment(cls) -> "MetricsArchive":
        """Return the archive of the directory that prometheus_client uses."""
        return cls(Path(os.environ[DIRECTORY_VARIABLE]))

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Hold off changes: a scrape must count what ended workers did exactly once."""
        with self._locked(fcntl.LOCK_SH):
            yield

    def collect(self) -> Iterable[Metric]:
        """Return the metrics of all processes, those that ended included."""
        files = [str(file) for file in self._directory.glob("*.db") if not _is_empty(file)]
        merged: Iterable[Metric] = MultiProcessCollector.merge(files, accumulate=True)  # type: ignore[no-untyped-call]
        return merged

    def take_over(self, pid: int) -> None:
        """Add what the ended process `pid` counted to the archive, and remove its files."""
        with self._locked(fcntl.LOCK_EX):
            mark_process_dead(pid, str(self._directory))  # type: ignore[no-untyped-call]
            for kind in _KINDS:
                ended = self._directory / f"{kind}_{pid}.db"
                if ended.exists() and _is_empty(ended):
                    ended.unlink()
                elif ended.exists():
                    self._add(ended, self._directory / f"{kind}_{_ARCHIVE}.db")

    def _add(self, ended: Path, archive: Path) -> None:
        # In a copy, so that a crash in between leaves either state whole.
        draft = archive.with_suffix(".draft")
        if archive.exists():
            shutil.copyfile(archive, draft)
        values = MmapedDict(str(draft))  # type: ignore[no-untyped-call]
        try:
            for key, value, timestamp, _ in MmapedDict.read_all_values_from_file(str(ended)):  # type: ignore[no-untyped-call]
                values.write_value(key, values.read_value(key)[0] + value, timestamp)  # type: ignore[no-untyped-call]
        finally:
            values.close()  # type: ignore[no-untyped-call]
        draft.replace(archive)
        ended.unlink()

    @contextlib.contextmanager
    def _locked(self, mode: int) -> Iterator[None]:
        with (self._directory / "lock").open("ab") as lock:
            fcntl.flock(lock, mode)
            yield


def _is_empty(file: Path) -> bool:
    """Whether its process has made the file and has yet to write what makes it one of metrics."""
    return file.stat().st_size == 0
