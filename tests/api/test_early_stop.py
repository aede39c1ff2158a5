"""A process that was never ready has no clients: it stops at once and releases its connections."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from sqlalchemy import make_url

from tests.support import http
from tests.support.venue import Venue

FAR_LONGER_S = "100"  # longer than any of these tests may take
AT_ONCE_S = 8  # on a busy machine; less than a worker waits, at least 10 s


@pytest.fixture
def venue(new_venue: Callable[..., Venue]) -> Venue:
    """Return a venue that would take long to stop, of which nothing runs."""
    return new_venue(
        OPENVENUE_SHUTDOWN_NOTICE_S=FAR_LONGER_S, OPENVENUE_DRAIN_TIMEOUT_S=FAR_LONGER_S
    )


def wait_for_health(venue: Venue) -> None:
    """Wait until a worker answers, ready or not."""
    for _ in range(1000):
        try:
            assert http.get(f"{venue.url}/healthz", timeout=20).status_code == 200
            return
        except httpx.TransportError:
            time.sleep(0.02)
    raise TimeoutError("no worker answers")


def wait_until_it_handles_sigterm(pid: int) -> None:
    """Wait until a process has a handler, so that the signal no longer just ends it."""
    for _ in range(3000):
        status = Path(f"/proc/{pid}/status").read_text()
        caught = int(status.partition("SigCgt:")[2].split()[0], 16)
        if caught & 1 << (signal.SIGTERM - 1):
            return
        time.sleep(0.01)
    raise TimeoutError("it has no handler")


def checks_of(venue: Venue) -> dict[str, str]:
    """Return the problems that keep the venue unready, once a worker has reported them."""
    for _ in range(200):
        answer = venue.readiness()
        assert answer.status_code == 503
        checks: dict[str, str] = answer.json()["checks"]
        if checks != {"worker": "it is starting"}:
            return checks
        time.sleep(0.02)
    raise TimeoutError("no worker says anything")


def stops_at_once(venue: Venue) -> bool:
    venue.api.process.terminate()
    return venue.api.process.wait(AT_ONCE_S) == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_api_whose_engine_is_not_there_stops_at_once(venue: Venue, workers: str) -> None:
    venue.engine_port = 1  # nothing listens there
    venue.spawn_api(workers=workers)
    wait_for_health(venue)
    with http.Client(base_url=venue.url) as client:
        assert client.get("/healthz").status_code == 200
        assert "engine" in checks_of(venue)
        # The connection stays open, as a proxy's does.
        assert stops_at_once(venue)


def test_an_api_whose_database_is_not_there_stops_at_once(venue: Venue, tmp_path: Path) -> None:
    there = venue.database_url
    nowhere = make_url(there).update_query_dict({"host": str(tmp_path)})
    venue.start_engine()
    venue.database_url = nowhere.render_as_string(hide_password=False)
    venue.spawn_api(workers="1")
    wait_for_health(venue)
    assert "database" in checks_of(venue)
    assert stops_at_once(venue)
    venue.database_url = there


def test_a_worker_that_waits_to_join_others_does_not_delay_the_stop(venue: Venue) -> None:
    venue.engine_port = 1
    venue.spawn_api(workers="1")
    wait_for_health(venue)
    (first,) = venue.worker_pids()
    os.kill(first, signal.SIGKILL)
    venue.wait_for_workers(1, other_than={first})
    assert stops_at_once(venue)


def test_an_api_that_was_ready_gives_notice_though_its_engine_has_gone(
    new_venue: Callable[..., Venue],
) -> None:
    venue = new_venue().start(shutdown_notice_s="3", workers="1")
    venue.engine.stop()
    venue.api.process.terminate()
    until = time.monotonic() + 2
    while time.monotonic() < until:
        assert http.get(f"{venue.url}/healthz", timeout=20).status_code == 200
        time.sleep(0.1)
    assert venue.api.process.wait(30) == 0
