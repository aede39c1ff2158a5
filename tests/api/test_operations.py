"""What operators read of an API: metrics that show what a probe cannot."""

import time
from collections.abc import Callable

import httpx
import pytest
from openvenue.db import migrate
from openvenue.engine import instruments as module
from openvenue.http.app import Application
from prometheus_client.parser import text_string_to_metric_families
from running_venue import Venue


def metrics_of(venue: Venue) -> dict[tuple[str, ...], float]:
    families = text_string_to_metric_families(httpx.get(f"{venue.url}/metrics").text)
    return {
        (sample.name.removeprefix("openvenue_api_"), *sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
    }


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def test_the_lag_of_the_event_loop_is_counted_and_its_maximum_kept(venue: Venue) -> None:
    before = metrics_of(venue)[("event_loop_lag_seconds_count",)]
    wait_for(lambda: metrics_of(venue)[("event_loop_lag_seconds_count",)] > before + 5)
    assert metrics_of(venue)[("event_loop_lag_max_seconds",)] > 0


def test_requests_that_have_not_left_are_shown(venue: Venue) -> None:
    assert metrics_of(venue)[("engine_unsent",)] == 0


def test_the_schema_is_shown_and_readiness_depends_on_it(new_venue: Callable[..., Venue]) -> None:
    venue = new_venue().start(projector=False, workers="1")
    needed = migrate.RequiredSchema(venue.settings).revision
    assert metrics_of(venue)[("schema", needed, "yes")] == 1
    migrate.downgrade(venue.settings, "0001")
    wait_for(lambda: httpx.get(f"{venue.url}/readyz").status_code == 503)
    checks = httpx.get(f"{venue.url}/readyz").json()["checks"]
    assert checks == {"database": f"its schema is at 0001, {needed} is needed"}
    assert metrics_of(venue)[("schema", "0001", "no")] == 1
    assert metrics_of(venue)[("schema", needed, "yes")] == 0
    migrate.upgrade(venue.settings)
    venue.wait_until_ready()


class FailingEngine:
    """An engine whose administrative calls are counted and fail."""

    connected = True
    asked = 0

    @property
    def admin(self) -> "FailingEngine":
        return self

    async def ListInstruments(self, *_: object, **__: object) -> None:
        self.asked += 1
        raise module.grpc.aio.AioRpcError(module.grpc.StatusCode.UNAVAILABLE, None, None)


async def test_unknown_symbols_do_not_make_an_engine_in_trouble_list_its_instruments_each_time(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = FailingEngine()
    instruments = application.worker.instruments
    monkeypatch.setattr(instruments, "_engine", engine)
    monkeypatch.setattr(instruments, "_asked_at", float("-inf"))
    for number in range(50):
        assert await instruments.find(f"NOPE{number}") is None
    assert engine.asked == 1
