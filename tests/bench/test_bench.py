"""`python -m bench` measures what it claims, here with the smallest useful numbers."""

import contextlib
import gzip
import itertools
import json
import os
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bench.servers import bare_asgi

MESSAGES = 2_000  # of each flow's 40,000: callgrind takes a minute for those

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("OPENVENUE_TEST_DATA", ROOT.parent / "shared" / "data"))


@pytest.fixture
def short_flows(tmp_path: Path) -> dict[str, str]:
    """Return the environment that names the beginnings of the conformance flows."""
    if not (DATA / "conformance").exists():
        pytest.skip(f"no flows at {DATA / 'conformance'}; set OPENVENUE_TEST_DATA")
    (tmp_path / "conformance").mkdir()
    for flow in (DATA / "conformance").glob("*.messages.csv.gz"):
        with gzip.open(flow, "rt") as whole:
            beginning = "".join(itertools.islice(whole, MESSAGES + 1))
        (tmp_path / "conformance" / flow.name).write_bytes(gzip.compress(beginning.encode()))
    return {"OPENVENUE_TEST_DATA": str(tmp_path)}


def measure(
    part: str,
    out: Path,
    *options: str,
    seconds: int = 1,
    variables: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    command = ["python", "-m", "bench", "--only", part, "--runs", "1", "--seconds", str(seconds)]
    command += ["--json", str(out), *options]
    result = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **(variables or {})},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return dict(json.loads(out.read_text())[part])


def ports_held() -> set[int]:
    """Return the ports to which this process has bound sockets."""
    found = set()
    for descriptor in os.listdir("/proc/self/fd"):
        # Not every descriptor is one of a socket, or still open.
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(int(descriptor))) as one:
            if one.family == socket.AF_INET:
                found.add(one.getsockname()[1])
    return found


def test_the_port_of_the_bare_app_is_held_while_it_is_measured() -> None:
    with bare_asgi(1) as server:
        port = int(server.url.rpartition(":")[2])
        assert port in ports_held()
    assert port not in ports_held()


def test_health_checks_are_measured_beside_a_bare_app(tmp_path: Path) -> None:
    seen = measure("health", tmp_path / "health.json")
    assert set(seen) == {"64 connections", "256 connections"}
    for loads, server in itertools.product(seen.values(), ("bare ASGI", "venue")):
        (run,) = loads[server]
        assert run["per_second"] > 0
        assert run["failures"] == 0


def test_the_state_machine_is_measured_with_few_and_many_instruments(tmp_path: Path) -> None:
    seen = measure("exchange", tmp_path / "exchange.json")
    assert {row["instruments"] for row in seen.values()} == {1, 1000}
    assert all(row["commands_per_second"] > 0 and row["p99_ns"] > 0 for row in seen.values())


def test_the_engine_is_measured_beside_an_echo_server(tmp_path: Path) -> None:
    # A busy disk can take longer than a second for the first sync.
    (run,) = measure("engine", tmp_path / "engine.json", seconds=3)["runs"]
    assert {row["server"] for row in run["runs"]} == {"engine", "echo"}
    assert all(row["answered_per_s"] > 0 for row in run["runs"])


def test_both_books_are_measured_on_every_flow(tmp_path: Path, short_flows: dict[str, str]) -> None:
    seen = measure("book", tmp_path / "book.json", variables=short_flows)
    assert set(seen) == {"normal", "static", "swing-25"}
    assert all(min(rates["fast"] + rates["naive"]) > 0 for rates in seen.values())


def test_instructions_of_a_message_are_counted(tmp_path: Path, short_flows: dict[str, str]) -> None:
    seen = measure("instructions", tmp_path / "instructions.json", variables=short_flows)
    assert all(0 < counts["fast"] < counts["naive"] for counts in seen.values())


def test_growth_is_measured_and_drawn(tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    seen = measure("growth", tmp_path / "growth.json", "--pictures", str(pictures))
    assert list(seen["fast"]) == ["1000", "10000", "100000", "1000000"]
    assert "orders resting in the book" in (pictures / "book-growth.svg").read_text()


def test_batches_are_measured_beside_single_orders_and_a_bare_app(tmp_path: Path) -> None:
    seen = measure("batches", tmp_path / "batches.json")
    sizes = {f"venue, {size}": size for size in ("1", "10", "100", "1,000")}
    assert set(seen) == {"bare ASGI, 1", *sizes}
    for name, (run,) in seen.items():
        assert run["orders_per_s"] > 0
        assert (run["worker_us_per_order"] > 0) == (name in sizes)
