"""Metrics of several processes in one directory, however often they end and start."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from openvenue.serving.metrics_slots import exposition, metrics_directory, release_slot
from prometheus_client.parser import text_string_to_metric_families

COUNT = """
import sys
from pathlib import Path
from openvenue.serving.metrics_slots import count_in
count_in(Path(sys.argv[1]), sys.argv[2])
from prometheus_client import Counter, Gauge
Counter("done", "Things done.").inc(2)
Gauge("alive", "Those that live.", multiprocess_mode="livesum").set(1)
"""


def run(directory: Path, slot: str) -> None:
    subprocess.run([sys.executable, "-c", COUNT, str(directory), slot], check=True)


def shown(directory: Path) -> dict[str, float]:
    families = text_string_to_metric_families(exposition(directory).decode())
    return {sample.name: sample.value for family in families for sample in family.samples}


def test_a_process_goes_on_counting_where_the_one_before_it_ended(tmp_path: Path) -> None:
    run(tmp_path, "0")
    run(tmp_path, "1")
    assert shown(tmp_path) == {"done_total": 4, "alive": 2}
    files = sorted(file.name for file in tmp_path.iterdir())
    release_slot(tmp_path, "0")
    assert shown(tmp_path) == {"done_total": 4, "alive": 1}
    run(tmp_path, "0")
    assert shown(tmp_path) == {"done_total": 6, "alive": 2}
    assert sorted(file.name for file in tmp_path.iterdir()) == files


def test_a_file_that_a_process_has_not_filled_yet_fails_no_scrape(tmp_path: Path) -> None:
    (tmp_path / "counter_7.db").touch()
    assert shown(tmp_path) == {}


def test_the_next_start_removes_a_killed_processs_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    leftover = tmp_path / "openvenue-metrics-left"
    leftover.mkdir()
    (leftover / "counter_0.db").touch()
    with metrics_directory(None) as first:
        assert not leftover.exists()
        # A running process's directory stays.
        with metrics_directory(None) as second:
            assert first.is_dir()
            assert second != first
    assert not any(tmp_path.iterdir())
