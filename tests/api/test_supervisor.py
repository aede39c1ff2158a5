"""Workers that die, hang, come and go are replaced, counted, and within the connection budget."""

import asyncio
import os
import resource
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from openvenue.serving.sockets import listen
from openvenue.serving.supervisor import connections_that_fit
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from tests.api.tuned import Tuned
from tests.support import http
from tests.support.venue import Venue, key_headers, log_lines
from tests.support.waiting import wait_for


@pytest.fixture(scope="module")
def tuned_venue(
    tmp_path_factory: pytest.TempPathFactory, venue_with: Callable[..., Venue]
) -> Tuned:
    path = tmp_path_factory.mktemp("tuning") / "tuning.json"
    venue = venue_with(tuning_file=str(path), worker_hang_timeout_s="2", engine_reply_timeout_s="1")
    return Tuned(venue, path)


@pytest.fixture
def tuned(tuned_venue: Tuned) -> Tuned:
    """That venue, with one worker."""
    tuned_venue.take(1)
    tuned_venue.venue.wait_until_ready()
    return tuned_venue


def test_a_worker_that_hangs_is_replaced(tuned: Tuned) -> None:
    venue = tuned.venue
    deaths = venue.metric("worker_deaths_total")
    (hanging,) = venue.worker_pids()
    os.kill(hanging, signal.SIGSTOP)
    venue.wait_for_workers(1, other_than={hanging})
    venue.wait_until_ready()
    wait_for(lambda: venue.metric("worker_deaths_total") == deaths + 1)


def test_a_worker_that_hangs_while_it_leaves_is_ended(tuned: Tuned) -> None:
    venue = tuned.venue
    deaths = venue.metric("worker_deaths_total")
    tuned.take(2)
    wait_for(lambda: venue.metric("workers_ready") == 2)
    youngest = max(venue.worker_pids())
    os.kill(youngest, signal.SIGSTOP)
    tuned.write(workers=1)
    wait_for(lambda: youngest not in venue.worker_pids())
    assert log_lines(venue, "worker hangs, ending it")[-1]["leaving"] is True
    tuned.take(2)
    wait_for(lambda: venue.metric("worker_deaths_total") == deaths + 1)


def test_a_tuning_file_that_cannot_be_read_is_reported_once(
    new_venue: Callable[..., Venue], tmp_path: Path
) -> None:
    path = tmp_path / "tuning.json"
    path.mkdir()
    venue = new_venue(OPENVENUE_TUNING_FILE=str(path))
    venue.spawn_api(workers="1")
    wait_for(lambda: bool(log_lines(venue, "tuning file ignored")))
    time.sleep(1)
    (line,) = log_lines(venue, "tuning file ignored")
    assert "Is a directory" in line["reason"]


def test_probes_answer_while_no_worker_does(new_venue: Callable[..., Venue]) -> None:
    venue = new_venue().start(projector=False, workers="1", worker_hang_timeout_s="30")
    (worker,) = venue.worker_pids()
    os.kill(worker, signal.SIGSTOP)
    try:
        wait_for(lambda: venue.readiness().status_code == 503)
        assert venue.readiness().json()["checks"] == {"worker": "none answers"}
        # Its replacement is not due yet, and the process is well.
        assert http.get(f"{venue.operations_url}/healthz").status_code == 200
        assert venue.metric("workers") == 1
    finally:
        os.kill(worker, signal.SIGCONT)
    wait_for(lambda: venue.readiness().status_code == 200)


def test_a_killed_supervisor_leaves_no_metrics_behind(
    new_venue: Callable[..., Venue], tmp_path: Path
) -> None:
    venue = new_venue(TMPDIR=str(tmp_path)).start(projector=False, workers="1")
    assert len(list(tmp_path.glob("openvenue-metrics-*"))) == 1
    venue.api.process.kill()
    venue.api.process.wait()
    wait_for(lambda: not list(tmp_path.glob("openvenue-metrics-*")))


def test_the_limit_on_open_files_is_raised_and_bounds_connections(
    new_venue: Callable[..., Venue],
) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    venue = new_venue()
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, before[1]))
    try:
        venue.start_engine()
        venue.spawn_api(workers="1")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    venue.wait_for_workers(1)
    (worker,) = venue.worker_pids()
    soft, hard = resource.prlimit(worker, resource.RLIMIT_NOFILE)
    assert soft == min(hard, 2 * venue.settings.connections_max + 1200)


def test_connections_fit_a_hard_limit_on_open_files(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = [(256, 1024)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, pair: limits.append(pair))
    assert connections_that_fit(4096) == 384
    assert limits[-1] == (1024, 1024)
    assert connections_that_fit(100) == 100 or limits[-1][0] < 2 * 100 + 1200


@pytest.mark.parametrize("host", ["::", "::1", "127.0.0.1", "localhost"])
def test_either_family_of_addresses_is_served(host: str) -> None:
    if not socket.has_dualstack_ipv6():
        pytest.skip("no IPv6 here")
    with listen(host, 0) as listener:
        port = listener.getsockname()[1]
        reached = set()
        for address in ("127.0.0.1", "::1"):
            try:
                socket.create_connection((address, port), timeout=5).close()
            except OSError:
                continue
            reached.add(address)
    if host == "::":
        assert reached == {"127.0.0.1", "::1"}
    else:
        assert len(reached) == 1


def test_dead_workers_counts_stay_in_a_bounded_number_of_files(
    new_venue: Callable[..., Venue], tmp_path: Path
) -> None:
    directory = tmp_path / "metrics"
    venue = new_venue(OPENVENUE_METRICS_DIR=str(directory)).start(workers="1")
    key = venue.open_account(1)
    answered = 0
    files = set()
    for _ in range(2):
        with venue.client(key) as client:
            for _ in range(5):
                assert client.get("/v2/clock").status_code == 200
                answered += 1
            wait_for(lambda: venue.metric("requests_total", route="GET /v2/clock") == answered)  # noqa: B023
        workers = venue.worker_pids()
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
        venue.wait_for_workers(1, other_than=workers)
        venue.wait_until_ready()
        assert venue.metric("requests_total", route="GET /v2/clock") == answered
        files.add(len(list(directory.glob("*.db"))))
    assert len(files) == 1


def test_a_worker_that_joins_takes_no_connection_before_it_can_serve(tuned: Tuned) -> None:
    venue = tuned.venue
    tuned.write(workers=3)
    answers = []
    while venue.metric("workers_ready") < 3:
        answers.append(venue.readiness().status_code)
    assert set(answers) == {200}


def test_connections_stay_within_the_larger_tuning_while_workers_and_pools_trade_places(
    tuned: Tuned,
) -> None:
    tuned.take(1, db_pool_size=6, db_pool_overflow=0)
    tuned.take(3, db_pool_size=2, db_pool_overflow=0)
    peak = asyncio.run(_trade_places(tuned, key_headers(tuned.venue.open_account())))
    assert 2 <= peak <= 6


async def _trade_places(tuned: Tuned, headers: dict[str, str]) -> int:
    """Tune up and down under reads that keep the pools full; return the most connections seen."""
    venue = tuned.venue
    database = create_async_engine(venue.database_url)
    peak = 0
    done = asyncio.Event()

    async def read() -> None:
        async with http.AsyncClient(base_url=venue.url, headers=headers, timeout=20) as client:
            while not done.is_set():
                response = await client.get("/v2/orders", params={"status": "all"})
                assert response.status_code == 200, response.text

    async def watch() -> None:
        nonlocal peak
        async with database.connect() as connection:
            while not done.is_set():
                query = text(
                    "SELECT count(*) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND application_name LIKE 'openvenue-api%'"
                )
                peak = max(peak, (await connection.execute(query)).scalar_one())
                await connection.rollback()
                await asyncio.sleep(0.005)

    tasks = [asyncio.create_task(read()) for _ in range(8)] + [asyncio.create_task(watch())]
    for workers, size in ((1, 6), (3, 2), (2, 3), (1, 2), (3, 2)):
        await asyncio.to_thread(tuned.take, workers, db_pool_size=size, db_pool_overflow=0)
    done.set()
    await asyncio.gather(*tasks)
    await database.dispose()
    return peak
