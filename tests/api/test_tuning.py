"""Settings change in a running API, and no request fails while they do."""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from openvenue.serving.tuning import InvalidTuning, TuningFile
from openvenue.settings import Settings
from orders import limit_order
from prometheus_client.parser import text_string_to_metric_families
from running_venue import Venue, key_headers


class Load:
    """Clients that submit orders one after the other, keeping their connections."""

    def __init__(self, venue: Venue, headers: dict[str, str], clients: int) -> None:
        self._venue = venue
        self._headers = headers
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(clients)]
        self.answered = 0
        self.failures: list[str] = []

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        with httpx.Client(base_url=self._venue.url, headers=self._headers, timeout=20) as client:
            while not self._stop.is_set():
                try:
                    response = client.post("/v2/orders", json=limit_order(qty="1"))
                    if response.status_code != 200:
                        self.failures.append(response.text)
                except httpx.HTTPError as error:
                    self.failures.append(repr(error))
                self.answered += 1


def wait_for(condition: Callable[[], bool], within_s: float = 40) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def metric(venue: Venue, name: str) -> list[float]:
    text = venue.metrics()
    return [
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    ]


def write(path: Path, **tuning: object) -> None:
    draft = path.with_suffix(".new")
    draft.write_text(json.dumps(tuning))
    draft.replace(path)


@pytest.fixture
def tuned(new_venue: Callable[..., Venue], tmp_path: Path) -> tuple[Venue, Path]:
    path = tmp_path / "tuning.json"
    venue = new_venue().start(workers="1", tuning_file=str(path), drain_timeout_s="10")
    return venue, path


def test_workers_come_and_go_under_load_without_a_failed_request(
    tuned: tuple[Venue, Path],
) -> None:
    venue, path = tuned
    with Load(venue, key_headers(venue.open_account(1)), clients=8) as load:
        for generation, workers in enumerate((3, 1, 2), start=1):
            write(path, generation=generation, workers=workers)
            venue.wait_for_workers(workers)
            wait_for(
                lambda: metric(venue, "openvenue_api_tuning_generation") == [generation] * workers  # noqa: B023
            )
            before = load.answered
            wait_for(lambda: load.answered > before + 50)  # noqa: B023
    assert load.failures == []


def test_pool_channels_and_log_level_change_in_the_running_worker(
    tuned: tuple[Venue, Path],
) -> None:
    venue, path = tuned
    workers = venue.worker_pids()
    with Load(venue, key_headers(venue.open_account(1)), clients=4) as load:
        write(path, generation=7, db_pool_size=3, db_pool_overflow=9, grpc_channels=4)
        wait_for(lambda: metric(venue, "openvenue_api_tuning_generation") == [7])
        wait_for(lambda: metric(venue, "openvenue_api_db_pool_size") == [3])
        wait_for(lambda: metric(venue, "openvenue_api_db_pool_overflow_max") == [9])
        wait_for(lambda: metric(venue, "openvenue_api_engine_channels") == [4, 0])
    assert load.failures == []
    assert venue.worker_pids() == workers


def test_a_tuning_file_out_of_bounds_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "tuning.json"
    file = TuningFile(path, Settings(workers=2))
    for content in (
        *("{", "[]", '{"workers": 0}', '{"workers": 65}', '{"log_level": "loud"}'),
        '{"worker": 2}',
        *(f'{{"generation": {number}}}' for number in (-1, (1 << 53) + 1, "9" * 400)),
        *('{"log_level": "\udcff"}', '{"x": ' + 100_000 * "[", "\0"),
    ):
        path.write_bytes(content.encode(errors="surrogateescape"))
        with pytest.raises(InvalidTuning):
            file.read_if_changed()
        assert file.read_if_changed() is None  # Said once.
    path.write_text('{"generation": 1, "db_pool_size": 3}')
    tuning = file.read_if_changed()
    assert tuning is not None
    assert (tuning.generation, tuning.workers, tuning.db_pool_size) == (1, 2, 3)
    assert file.read_if_changed() is None


def test_a_tuning_file_that_is_no_text_leaves_the_venue_up(tuned: tuple[Venue, Path]) -> None:
    venue, path = tuned
    workers = venue.worker_pids()
    path.write_bytes(b'{"log_level": "\xff"}')
    wait_for(lambda: metric(venue, "openvenue_api_tuning_rejected_total") == [1])
    write(path, generation=8)
    wait_for(lambda: metric(venue, "openvenue_api_tuning_generation") == [8])
    assert venue.worker_pids() == workers


def test_stopping_finishes_what_is_in_flight(tuned: tuple[Venue, Path]) -> None:
    venue, _ = tuned
    with Load(venue, key_headers(venue.open_account(1)), clients=4) as load:
        wait_for(lambda: load.answered > 20)
        venue.api.process.terminate()
        assert venue.api.process.wait(30) == 0
    # Once the socket is closed nobody answers; until then every request got its answer.
    assert all("ConnectError" in failure for failure in load.failures), load.failures[:3]


def test_readiness_fails_before_the_socket_closes(new_venue: Callable[..., Venue]) -> None:
    venue = new_venue().start(shutdown_notice_s="3", workers="1")
    assert venue.readiness().status_code == 200
    venue.api.process.terminate()
    wait_for(lambda: venue.readiness().status_code == 503, within_s=2)
    assert httpx.get(f"{venue.url}/healthz").status_code == 200
    assert venue.api.process.wait(30) == 0
