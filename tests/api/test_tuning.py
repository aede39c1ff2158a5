"""Settings change in a running API without failing a request."""

import threading
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from openvenue.serving.tuning import InvalidTuning, TuningFile
from openvenue.settings import Settings

from tests.api.orders import limit_order
from tests.api.tuned import Tuned
from tests.support import http
from tests.support.venue import Venue, key_headers
from tests.support.waiting import wait_for


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
        with http.Client(base_url=self._venue.url, headers=self._headers, timeout=20) as client:
            while not self._stop.is_set():
                try:
                    response = client.post("/v2/orders", json=limit_order(qty="1"))
                    if response.status_code != 200:
                        self.failures.append(response.text)
                except httpx.HTTPError as error:
                    self.failures.append(repr(error))
                self.answered += 1


@pytest.fixture(scope="module")
def tuning_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tuning") / "tuning.json"


@pytest.fixture
def tuned(venue_with: Callable[..., Venue], tuning_file: Path) -> Tuned:
    """A venue with one worker."""
    venue = venue_with(projector=False, tuning_file=str(tuning_file), drain_timeout_s="10")
    tuned = Tuned(venue, tuning_file)
    tuned.take(1)
    return tuned


def test_workers_come_and_go_under_load_without_a_failed_request(tuned: Tuned) -> None:
    venue = tuned.venue
    with Load(venue, key_headers(venue.open_account()), clients=8) as load:
        for workers in (3, 1, 2):
            tuned.take(workers)
            venue.wait_for_workers(workers)
            before = load.answered
            wait_for(lambda: load.answered > before + 50)  # noqa: B023
    assert load.failures == []


def test_pool_channels_and_log_level_change_in_the_running_worker(tuned: Tuned) -> None:
    venue = tuned.venue
    workers = venue.worker_pids()
    with Load(venue, key_headers(venue.open_account()), clients=4) as load:
        tuned.take(1, db_pool_size=3, db_pool_overflow=9, grpc_channels=4)
        wait_for(lambda: venue.metric("db_pool_size") == 3)
        wait_for(lambda: venue.metric("db_pool_overflow_max") == 9)
        wait_for(lambda: venue.metric("engine_channels", state="connected") == 4)
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
        assert file.read_if_changed() is None  # Reported once.
    path.write_text('{"generation": 1, "db_pool_size": 3}')
    tuning = file.read_if_changed()
    assert tuning is not None
    assert (tuning.generation, tuning.workers, tuning.db_pool_size) == (1, 2, 3)
    assert file.read_if_changed() is None


def test_a_tuning_file_that_is_no_text_leaves_the_venue_up(tuned: Tuned) -> None:
    venue = tuned.venue
    workers, rejected = venue.worker_pids(), venue.metric("tuning_rejected_total")
    tuned.path.write_bytes(b'{"log_level": "\xff"}')
    # A look in the middle of the write counts too.
    wait_for(lambda: venue.metric("tuning_rejected_total") > rejected)
    tuned.take(1)
    assert venue.worker_pids() == workers


def test_stopping_finishes_what_is_in_flight(tuned: Tuned) -> None:
    venue = tuned.venue
    with Load(venue, key_headers(venue.open_account()), clients=4) as load:
        wait_for(lambda: load.answered > 20)
        venue.api.process.terminate()
        assert venue.api.process.wait(30) == 0
    # After the socket is closed nothing answers; until then every request got its answer.
    assert all("ConnectError" in failure for failure in load.failures), load.failures[:3]


def test_readiness_fails_before_the_socket_closes(new_venue: Callable[..., Venue]) -> None:
    venue = new_venue().start(projector=False, shutdown_notice_s="3")
    assert venue.readiness().status_code == 200
    venue.api.process.terminate()
    wait_for(lambda: venue.readiness().status_code == 503, within_s=2)
    assert http.get(f"{venue.url}/healthz").status_code == 200
    assert venue.api.process.wait(30) == 0
