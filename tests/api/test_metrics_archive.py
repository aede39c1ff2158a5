"""Metrics of workers that start and end."""

from pathlib import Path

from openvenue.metrics_archive import MetricsArchive


def test_a_file_that_a_worker_has_not_filled_yet_fails_no_scrape(tmp_path: Path) -> None:
    (tmp_path / "counter_7.db").touch()
    archive = MetricsArchive(tmp_path)
    with archive.reading():
        assert list(archive.collect()) == []
    archive.take_over(7)
    assert not list(tmp_path.glob("*.db"))
