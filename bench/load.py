"""Loads one HTTP server with wrk and parses its report."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
CONNECTIONS = (64, 256)


class BenchError(Exception):
    """A measurement failed; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Load:
    """Result of one run. Latencies in milliseconds, as wrk saw them in a closed loop."""

    per_second: float
    p50_ms: float
    p99_ms: float
    failures: int  # answers other than 2xx, and socket errors


def load(url: str, script: str, connections: int, seconds: int, *arguments: str) -> Load:
    """Run wrk with one of this folder's scripts. Raises BenchError if it cannot run."""
    if shutil.which("wrk") is None:
        raise BenchError("wrk is missing: run scripts/install-packages")
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(HERE / script), url]
    result = subprocess.run(
        [*command, "--", *arguments],
        capture_output=True,
        text=True,
        cwd=HERE.parent,  # the scripts load each other by paths from there
        timeout=seconds + 60,
        check=False,
    )
    lines = [line for line in result.stdout.splitlines() if line.startswith("JSON ")]
    if result.returncode != 0 or not lines:
        raise BenchError(f"wrk failed on {url}: {result.stderr.strip() or result.stdout.strip()}")
    seen = json.loads(lines[-1].removeprefix("JSON "))
    return Load(
        per_second=seen["requests"] / seen["seconds"],
        p50_ms=seen["p50_us"] / 1000,
        p99_ms=seen["p99_us"] / 1000,
        failures=seen["non_2xx"] + seen["socket_errors"],
    )
