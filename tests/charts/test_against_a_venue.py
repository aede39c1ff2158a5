"""The commands of `helm test` and of Helm's notes, against a real venue."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.charts.chart import CHART, run
from tests.support.venue import Venue

SCRIPT = (CHART / "files/test_answers.py").read_text()


def run_against(url: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "OPENVENUE_URL": url, **environment},
        capture_output=True,
        text=True,
    )


def test_helm_test_passes_where_a_venue_is_up(venue: Venue) -> None:
    done = run_against(venue.url)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("401, expected 401") == 2


def test_helm_test_fails_without_an_answer() -> None:
    done = run_against("http://127.0.0.1:9", OPENVENUE_TEST_PATIENCE_S="0")
    assert done.returncode == 1
    assert "expected 200" in done.stdout


@pytest.fixture
def notes() -> str:
    """Return Helm's notes after installing the chart."""
    done = run("helm4", "install", "demo", CHART, "--dry-run=client", "--set=venue.enabled=false")
    assert done.returncode == 0, done.stderr
    return done.stdout.partition("NOTES:")[2]


def test_the_notes_end_with_an_order_that_is_taken(
    notes: str, new_venue: Callable[..., Venue]
) -> None:
    started = new_venue().start()
    commands = notes.partition("A first order:")[2]
    assert commands.count("curl") == 1
    # In place of commands for a cluster: the same command line, at the local venue's address.
    kubectl = "kubectl -n default"
    assert f"{kubectl} exec deployment/demo-openvenue-admin -- openvenue" in commands
    here = f"{Path(sys.executable).parent}/openvenue"
    commands = commands.replace(
        f"{kubectl} exec deployment/demo-openvenue-admin -- openvenue", here
    )
    lines = [line for line in commands.splitlines() if "port-forward" not in line]
    script = "\n".join(lines).replace("URL=http://127.0.0.1:8000", f"URL={started.url}")
    # A person copies key and secret from the answer.
    script = script.replace("venue keys create 1", "made=$(venue keys create 1 --json)")
    for name, part in (("KEY", "key_id"), ("SECRET", "secret")):
        program = f"import json, sys; print(json.load(sys.stdin)['{part}'])"
        script = script.replace(
            f"{name}=...", f'{name}=$({sys.executable} -c "{program}" <<<"$made")'
        )
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env={
            **os.environ,
            "OPENVENUE_ENGINE_TARGET": f"127.0.0.1:{started.engine_port}",
            **started.admin.environment,
            "OPENVENUE_DATABASE_URL": started.database_url,
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    order = json.loads(done.stdout.splitlines()[-1])
    assert (order["symbol"], order["status"]) == ("AMZN", "accepted"), order
