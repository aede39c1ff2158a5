"""Workers that die, hang, come and go: replaced, counted, and within the database's connections."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families
from running_venue import Venue
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine


def samples(venue: Venue, name: str) -> float:
    """Return the sum of a metric's samples."""
    scraped = httpx.get(f"{venue.url}/metrics", timeout=20).text
    return sum(
        sample.value
        for family in text_string_to_metric_families(scraped)
        for sample in family.samples
        if sample.name == name
    )


def wait_for(condition: Callable[[], bool], within_s: float = 40) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def test_a_worker_that_hangs_is_replaced(new_venue: Callable[..., Venue]) -> None:
    venue = new_venue().start(workers="1", worker_hang_timeout_s="2")
    (hanging,) = venue.worker_pids()
    os.kill(hanging, signal.SIGSTOP)
    venue.wait_for_workers(1, other_than={hanging})
    venue.wait_until_ready()
    assert samples(venue, "openvenue_api_worker_deaths_total") == 1


def test_what_dead_workers_counted_stays_in_a_bounded_number_of_files(
    new_venue: Callable[..., Venue], tmp_path: Path
) -> None:
    directory = tmp_path / "metrics"
    venue = new_venue(OPENVENUE_METRICS_DIR=str(directory)).start(workers="1")
    key = venue.open_account(1)
    answered = 0
    files = set()
    for _ in range(3):
        with venue.client(key) as client:
            for _ in range(5):
                assert client.get("/v2/clock").status_code == 200
                answered += 1
            wait_for(lambda: _clock_requests(venue) == answered)  # noqa: B023
        workers = venue.worker_pids()
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
        venue.wait_for_workers(1, other_than=workers)
        venue.wait_until_ready()
        assert _clock_requests(venue) == answered
        files.add(len(list(directory.glob("*.db"))))
    assert len(files) == 1


def test_a_worker_that_joins_takes_no_connection_before_it_can_serve(
    new_venue: Callable[..., Venue], tmp_path: Path
) -> None:
    path = tmp_path / "tuning.json"
    venue = new_venue().start(workers="1", tuning_file=str(path))
    path.write_text(json.dumps({"generation": 1, "workers": 3}))
    answers = []
    while samples(venue, "openvenue_api_workers_ready") < 3:
        answers.append(httpx.get(f"{venue.url}/readyz").status_code)
    assert set(answers) == {200}


def test_connections_stay_within_the_larger_tuning_while_workers_and_pools_trade_places(
    new_venue: Callable[..., Venue], tmp_path: Path
) -> None:
    path = tmp_path / "tuning.json"
    _write(path, 1, 3, 2)
    venue = new_venue().start(tuning_file=str(path))
    key = venue.open_account(1)
    peak = asyncio.run(_trade_places(venue, path, dict(_headers(key.key_id, key.secret))))
    assert 2 <= peak <= 6


async def _trade_places(venue: Venue, path: Path, headers: dict[str, str]) -> int:
    """Tune up and down under reads that keep the pools full; return the most connections seen."""
    database = create_async_engine(venue.database_url)
    peak = 0
    done = asyncio.Event()

    async def read() -> None:
        async with httpx.AsyncClient(base_url=venue.url, headers=headers, timeout=20) as client:
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
    for generation, (workers, size) in enumerate([(1, 6), (3, 2), (2, 3), (1, 2), (3, 2)], start=2):
        await asyncio.to_thread(_write, path, generation, workers, size)
        deadline = time.monotonic() + 60
        while await asyncio.to_thread(_generations, venue) != [generation] * workers:
            assert time.monotonic() < deadline, "the tuning was not taken over in time"
            await asyncio.sleep(0.1)
    done.set()
    await asyncio.gather(*tasks)
    await database.dispose()
    return peak


def _write(path: Path, generation: int, workers: int, size: int) -> None:
    tuning = {
        "generation": generation,
        "workers": workers,
        "db_pool_size": size,
        "db_pool_overflow": 0,
    }
    draft = path.with_suffix(".new")
    draft.write_text(json.dumps(tuning))
    draft.replace(path)


def _generations(venue: Venue) -> list[float]:
    scraped = httpx.get(f"{venue.url}/metrics", timeout=20).text
    return [
        sample.value
        for family in text_string_to_metric_families(scraped)
        for sample in family.samples
        if sample.name == "openvenue_api_tuning_generation"
    ]


def _clock_requests(venue: Venue) -> float:
    scraped = httpx.get(f"{venue.url}/metrics", timeout=20).text
    return sum(
        sample.value
        for family in text_string_to_metric_families(scraped)
        for sample in family.samples
        if sample.name == "openvenue_api_requests_total"
        and sample.labels["route"] == "GET /v2/clock"
    )


def _headers(key_id: str, secret: str) -> list[tuple[str, str]]:
    return [("APCA-API-KEY-ID", key_id), ("APCA-API-SECRET-KEY", secret)]
