"""What `helm test` runs, against a real venue and against none."""

import os
import subprocess
import sys

from chart import CHART
from running_venue import Venue

SCRIPT = (CHART / "files/test_answers.py").read_text()


def run_against(url: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "OPENVENUE_URL": url, **environment},
        capture_output=True,
        text=True,
    )


def test_it_passes_where_a_venue_is_up(venue: Venue) -> None:
    done = run_against(venue.url)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("401, expected 401") == 2


def test_it_fails_where_nobody_answers() -> None:
    done = run_against("http://127.0.0.1:9", OPENVENUE_TEST_PATIENCE_S="0")
    assert done.returncode == 1
    assert "expected 200" in done.stdout
