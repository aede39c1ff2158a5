"""Figures for operators of an API: metrics that show more than a probe."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, cast

import grpc
import pytest
from openvenue.db import migrate
from openvenue.db.schema import RequiredSchema
from openvenue.engine.errors import EngineUnavailable
from openvenue.engine.instruments import Instruments
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.http.app import Application
from prometheus_client.parser import text_string_to_metric_families

from tests.api.orders import limit_order, worker_of
from tests.support import http, metrics
from tests.support.ports import free_port
from tests.support.venue import Venue
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from openvenue.engine.client import EngineClient


def metrics_of(venue: Venue) -> dict[tuple[str, ...], float]:
    families = text_string_to_metric_families(venue.metrics())
    return {
        (sample.name.removeprefix("openvenue_api_"), *sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
    }


def test_the_lag_of_the_event_loop_is_counted_and_its_maximum_kept(venue: Venue) -> None:
    before = metrics_of(venue)[("event_loop_lag_seconds_count",)]
    wait_for(lambda: metrics_of(venue)[("event_loop_lag_seconds_count",)] > before + 5)
    assert metrics_of(venue)[("event_loop_lag_max_seconds",)] > 0


def test_requests_that_have_not_left_are_shown(venue: Venue) -> None:
    assert metrics_of(venue)[("engine_unsent",)] == 0


def test_the_schema_is_shown_and_readiness_depends_on_it(venue_with: Callable[..., Venue]) -> None:
    venue = venue_with(projector=False)
    needed = RequiredSchema(venue.settings).revision
    assert metrics_of(venue)[("schema", needed, "yes")] == 1
    migrate.downgrade(venue.settings, "0001")
    wait_for(lambda: venue.readiness().status_code == 503)
    checks = venue.readiness().json()["checks"]
    assert checks == {"database": f"its schema is at 0001, {needed} is needed"}
    assert metrics_of(venue)[("schema", "0001", "no")] == 1
    assert metrics_of(venue)[("schema", needed, "yes")] == 0
    migrate.upgrade(venue.settings)
    venue.wait_until_ready()


def test_every_stage_of_an_order_in_the_engine_has_its_histogram(
    venue_with: Callable[..., Venue],
) -> None:
    venue = venue_with(projector=False)
    address = f"127.0.0.1:{free_port()}"
    venue.engine.stop()
    venue.start_engine(metrics_listen=address)
    venue.wait_until_ready()
    with venue.client(venue.open_account()) as client:
        assert client.post("/v2/orders", json=limit_order()).status_code == 200

    def counts() -> dict[str, float]:
        text = http.get(f"http://{address}/metrics").text
        name = "openvenue_engine_stage_seconds_bucket"
        found = metrics.samples(text, name, le="+Inf")
        return {sample.labels["stage"]: sample.value for sample in found}

    wait_for(lambda: all(counts().values()))
    assert counts().keys() == {"decode", "queue", "match", "journal", "publish"}


def test_known_labels_are_shown_before_anything_happened(new_venue: Callable[..., Venue]) -> None:
    venue = new_venue().start(projector=False, workers="1")
    shown = metrics_of(venue)
    for name, labels in {
        "connections_refused_total": (
            *("told", "cut", "address", "shed", "head", "slow", "malformed", "unread"),
        ),
        "auth_lookups_total": ("hit", "stale", "miss", "failed", "refused"),
        "instrument_lookups_total": ("hit", "miss"),
        "day_before_lookups_total": ("hit", "miss", "failed"),
        "engine_refused_total": (
            *("busy", "unary_busy", "ring_full", "read_only", "unavailable", "no_answer"),
        ),
    }.items():
        assert {key[1]: value for key, value in shown.items() if key[0] == name} == dict.fromkeys(
            labels, 0
        )
    for status in ("200", "400", "401", "403", "413", "422", "429", "500", "503"):
        assert shown[("requests_total", "POST /v2/orders", status)] == 0
    assert not any(name[0].startswith("openvenue_projector") for name in shown)


def test_the_instruments_of_orders_are_counted(venue_with: Callable[..., Venue]) -> None:
    venue = venue_with(projector=False)

    def lookups(result: str) -> float:
        return venue.metric("instrument_lookups_total", result=result)

    hits, misses = lookups("hit"), lookups("miss")
    with venue.client(venue.open_account()) as client:
        for symbol, status in (("AAPL", 200), ("BTC/USD", 200), ("AAPL", 200), ("NOPE", 422)):
            order = limit_order(symbol=symbol, qty="1")
            assert client.post("/v2/orders", json=order).status_code == status

    wait_for(lambda: (lookups("hit") - hits, lookups("miss") - misses) == (3, 1))


def test_the_look_ups_of_the_day_before_are_counted(venue_with: Callable[..., Venue]) -> None:
    venue = venue_with(workers="1")

    def lookups() -> float:
        results = ("hit", "miss", "failed")
        return sum(venue.metric("day_before_lookups_total", result=result) for result in results)

    before = lookups()
    with venue.client(venue.open_account()) as client:
        for _ in range(3):
            assert client.get("/v2/account").status_code == 200
    wait_for(lambda: lookups() - before == 3)
    failed = venue.metric("day_before_lookups_total", result="failed")
    assert venue.metric("day_before_lookups_total", result="miss") + failed >= 1


def test_the_results_of_batches_are_counted(venue_with: Callable[..., Venue]) -> None:
    venue = venue_with(projector=False)
    route = "POST /v2/orders:batch"

    def results(status: str) -> float:
        return venue.metric("batch_results_total", route=route, status=status)

    entered = results("200")
    with venue.client(venue.open_account()) as client:
        orders = [limit_order(), limit_order(qty="0"), limit_order()]
        assert client.post("/v2/orders:batch", json={"orders": orders}).status_code == 207
    wait_for(lambda: results("200") - entered == 2)
    assert results("422") >= 1


class FailingEngine:
    """An engine whose administrative calls are counted and fail."""

    connected = True
    asked = 0

    @property
    def admin(self) -> "FailingEngine":
        return self

    async def ListInstruments(self, *_: object, **__: object) -> pb.ListInstrumentsResponse:
        self.asked += 1
        nothing = grpc.aio.Metadata()
        raise grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, nothing, nothing)


async def test_unknown_symbols_do_not_make_an_engine_in_trouble_list_its_instruments_each_time(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = FailingEngine()
    instruments = worker_of(application).instruments
    monkeypatch.setattr(instruments, "_engine", engine)
    monkeypatch.setattr(instruments, "_asked_at", float("-inf"))
    finding = (instruments.find(f"NOPE{number}") for number in range(50))
    found = await asyncio.gather(*finding, return_exceptions=True)
    # Not None, which would mean that the engine does not have them.
    assert all(isinstance(answer, EngineUnavailable) for answer in found)
    assert engine.asked == 1


class LateEngine(FailingEngine):
    """An engine that defines an instrument while it answers a request for all of them."""

    def __init__(self, terms: pb.DefineInstrument) -> None:
        self.asked_once = asyncio.Event()
        self.answer_first = asyncio.Event()
        self._terms = terms

    async def ListInstruments(self, *_: object, **__: object) -> pb.ListInstrumentsResponse:
        self.asked += 1
        if self.asked > 1:
            return pb.ListInstrumentsResponse(instruments=[pb.InstrumentInfo(terms=self._terms)])
        self.asked_once.set()
        await self.answer_first.wait()
        return pb.ListInstrumentsResponse()


async def test_an_answer_from_before_the_question_does_not_make_a_symbol_unknown(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = LateEngine(
        pb.DefineInstrument(
            instrument_id=1, symbol="NEW", asset_class=pb.ASSET_CLASS_US_EQUITY, lot_size_nanos=1
        )
    )
    instruments = Instruments(cast("EngineClient", engine), shard_id=0, refresh_s=60)
    other = asyncio.create_task(instruments.find("OTHER"))
    await engine.asked_once.wait()
    asked_later = asyncio.create_task(instruments.find("NEW"))
    await asyncio.sleep(0)
    engine.answer_first.set()
    assert await other is None
    found = await asked_later
    assert found is not None
    assert (found.symbol, engine.asked) == ("NEW", 2)


def test_the_metrics_are_collected_by_one_at_a_time_and_kept_for_a_second(
    venue_with: Callable[..., Venue],
) -> None:
    venue = venue_with(projector=False)
    operations = http.Client(base_url=venue.operations_url, timeout=15)
    with operations as client, ThreadPoolExecutor(20) as scrapers:

        def scrape(_: int = 0) -> str:
            answer = client.get("/metrics")
            assert answer.status_code == 200
            return answer.text

        # The processor time is counted, so no two collections are alike.
        started = time.monotonic()
        found = {scrape(), *scrapers.map(scrape, range(20)), *(scrape() for _ in range(5))}
        assert len(found) <= 1 + (time.monotonic() - started) // 1
        time.sleep(1.01)
        assert scrape() not in found
