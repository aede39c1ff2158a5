"""A pod's /metrics are accepted in full, or not at all."""

import math
import re
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openvenue.security.keys import NewKey
from openvenue_operator.exposition import (
    OBSERVATIONS_MIN,
    Distribution,
    InvalidMetrics,
    Reading,
    read,
    report_of,
)

from tests.support.exposition_text import PodMetrics
from tests.support.venue import Venue

NOW = 1_800_000_000.0


def test_a_real_api_says_what_it_runs_and_under_which_load(
    venue: Venue, new_account: Callable[..., NewKey]
) -> None:
    order = {"symbol": "AAPL", "qty": "1", "side": "buy", "type": "limit", "limit_price": "10"}
    with venue.client(new_account()) as client:
        client.post("/v2/orders", json={**order, "time_in_force": "day"})
        before = _read(venue)
        for _ in range(60):
            answer = client.post("/v2/orders", json={**order, "time_in_force": "day"})
            assert answer.status_code == 200
        deadline = time.monotonic() + 20
        # Ten timers a second per worker are too few for a percentile at first.
        while (after := _read(venue)).orders < before.orders + 60 or (
            after.lag.since(before.lag).total < OBSERVATIONS_MIN
        ):
            assert time.monotonic() < deadline
    report = report_of(after, before)
    assert (report.workers, report.workers_wanted, report.workers_leaving) == (2, 2, 0)
    assert report.generations == (0, 0)
    assert (report.db_pool_size, report.db_pool_overflow) == (10, 10)
    assert 2 <= report.db_connections <= 20
    assert report.load is not None
    assert report.load.orders_per_s == pytest.approx(60 / report.load.seconds)
    assert report.load.requests_per_s >= report.load.orders_per_s
    assert 0 < report.load.cpu_cores < 4
    assert 0 < report.load.p99_ms < 5000
    assert 0 < report.load.event_loop_lag_ms < 5000
    assert after.database is not None
    assert after.database.max_connections > after.database.reserved_connections >= 3
    assert abs(after.database.read_at - time.time()) < 20


def test_a_batch_of_a_real_api_counts_as_its_orders(
    venue: Venue, new_account: Callable[..., NewKey]
) -> None:
    order = {"symbol": "AAPL", "qty": "1", "side": "buy", "type": "limit", "limit_price": "10"}
    order |= {"time_in_force": "day"}
    before = _read(venue)
    with venue.client(new_account()) as client:
        batch = [*[order] * 40, {**order, "qty": "0"}]
        assert client.post("/v2/orders:batch", json={"orders": batch}).status_code == 207
    deadline = time.monotonic() + 20
    while (after := _read(venue)).batch_orders < before.batch_orders + 40:
        assert time.monotonic() < deadline
    load = report_of(after, before).load
    assert load is not None
    assert load.batch_orders_per_s == pytest.approx(40 / load.seconds)
    assert load.orders_per_s == 0
    assert load.cpu_cores > 0


def _read(venue: Venue) -> Reading:
    time.sleep(1.0)  # Figures are up to a second old.
    return read(venue.metrics(), time.time())


def test_load_is_what_happened_between_two_readings() -> None:
    pod = PodMetrics()
    before = read(pod.text(), NOW)
    for _ in range(10):
        pod.work(1, cores=0.5, orders_per_s=300, p99_s=0.01)
    pod.pool_wait_s = {0.05: 1, 0.001: 999}
    pod.in_flight = 7
    pod.batch_orders = 5000
    load = report_of(read(pod.text(), NOW + 10), before).load
    assert load is not None
    assert (load.orders_per_s, load.batch_orders_per_s) == (300, 500)
    assert load.cpu_cores == pytest.approx(0.5)
    assert 5 < load.p99_ms <= 10
    assert 5 < load.event_loop_lag_ms <= 10
    assert load.pool_wait_ms <= 1
    assert load.in_flight == 7


def test_a_version_without_batches_has_a_load() -> None:
    text = re.sub(r"(?m)^openvenue_api_batch_results_total.*\n", "", PodMetrics().text())
    load = report_of(read(text, NOW + 10), read(text, NOW)).load
    assert load is not None
    assert load.batch_orders_per_s == 0


def test_few_observations_give_no_percentile() -> None:
    pod = PodMetrics()
    before = read(pod.text(), NOW)
    pod.latency_s = {0.5: OBSERVATIONS_MIN - 1}
    load = report_of(read(pod.text(), NOW + 10), before).load
    assert load is not None
    assert load.p99_ms == 0.0


def test_the_first_reading_and_one_too_soon_know_no_load() -> None:
    reading = read(PodMetrics().text(), NOW)
    assert report_of(reading, None).load is None
    assert report_of(read(PodMetrics().text(), NOW + 0.5), reading).load is None


def test_a_pod_that_has_not_read_the_database_says_nothing_of_it() -> None:
    assert read(PodMetrics().text(), NOW).database is None
    database = read(PodMetrics(observed_at=NOW - 3).text(), NOW).database
    assert database is not None
    assert (database.max_connections, database.reserved_connections) == (100, 3)
    assert database.read_at == NOW - 3


@pytest.mark.parametrize(
    ("what", "becomes"),
    [
        (r"openvenue_api_workers (\d+)", "NaN"),
        (r"openvenue_api_workers (\d+)", "-1"),
        (r"openvenue_api_workers (\d+)", "1.5"),
        (r"openvenue_api_workers (\d+)", "65"),
        (r"openvenue_api_workers (\d+)", "+Inf"),
        (r"openvenue_api_workers_leaving (\d+)", "1e300"),
        (r"openvenue_api_db_pool_size (\d+)", "1e6"),
        (r"openvenue_api_cpu_seconds_total (\S+)", "-0.1"),
        (r"openvenue_api_engine_in_flight (\d+)", "NaN"),
        (r"requests_total{[^}]*} (\d+)", "-5"),
        (r"batch_results_total{[^}]*} (\d+)", "NaN"),
        (r"database_max_connections (\d+)", "3"),
        (r"database_max_connections (\d+)", "NaN"),
        (r"database_observed_timestamp_seconds (\S+)", "1900000000"),
        (r'lag_seconds_bucket{le="0.001"} (\d+)', "99999"),
        (r'lag_seconds_bucket{le="(0.001)"}', "many"),
        (r'lag_seconds_bucket{le="(0.001)"}', "0.0005"),
        (r'lag_seconds_bucket{le="(\+Inf)"}', "9"),
        (r'tuning_generation{pid="0"} (\d+)', "0.5"),
        (r"(openvenue_api_workers) ", "openvenue api workers"),
    ],
)
def test_a_figure_that_cannot_be_makes_all_of_it_nonsense(what: str, becomes: str) -> None:
    text = PodMetrics(observed_at=NOW).text()
    match = re.search(what, text)
    assert match is not None
    with pytest.raises(InvalidMetrics):
        read(text[: match.start(1)] + becomes + text[match.end(1) :], NOW)


@pytest.mark.parametrize(
    "name",
    [
        "openvenue_api_workers",
        "openvenue_api_workers_wanted",
        "openvenue_api_workers_leaving",
        "openvenue_api_tuning_generation",
        "openvenue_api_db_pool_size",
        "openvenue_api_db_pool_overflow_max",
        "openvenue_api_db_pool_connections",
        "openvenue_api_engine_in_flight",
        "openvenue_api_cpu_seconds_total",
    ],
)
def test_a_figure_that_is_missing_makes_all_of_it_nonsense(name: str) -> None:
    lines = PodMetrics().text().splitlines(keepends=True)
    kept = "".join(line for line in lines if not re.match(rf"{name}[ {{]", line))
    with pytest.raises(InvalidMetrics, match=f"{name} is missing"):
        read(kept, NOW)


@pytest.mark.parametrize(
    "text", ["", "<html>404</html>", "\x00\x01", '{"status": "ok"}', "a 1\n" * 9]
)
def test_metrics_of_another_program_are_invalid(text: str) -> None:
    with pytest.raises(InvalidMetrics):
        read(text, NOW)


@given(st.text() | st.text("openvenue_api{}=\"'\\,.#+-0123456789eE NaNInf\n\r\t"))
@settings(max_examples=300)
def test_random_text_is_invalid(text: str) -> None:
    with pytest.raises(InvalidMetrics):
        read(text, NOW)


@given(st.text(max_size=40), st.integers(0, 5000), st.integers(0, 200))
@settings(max_examples=300)
def test_damage_is_nonsense_or_leaves_figures_that_can_be(
    damage: str, start: int, length: int
) -> None:
    text = PodMetrics(observed_at=NOW, lag_s={0.01: 5}).text()
    start %= len(text)
    try:
        reading = read(text[:start] + damage + text[start + length :], NOW)
    except InvalidMetrics:
        return
    assert 0 <= reading.workers <= 64
    assert math.isfinite(reading.cpu_s)
    assert reading.cpu_s >= 0
    assert list(reading.lag.counts) == sorted(reading.lag.counts)


@pytest.mark.parametrize("counter", ["cpu_s", "orders"])
def test_a_counter_that_went_back_is_nonsense(counter: str) -> None:
    pod = PodMetrics(cpu_s=10, orders=10)
    before = read(pod.text(), NOW)
    setattr(pod, counter, 9)
    with pytest.raises(InvalidMetrics, match="went back"):
        report_of(read(pod.text(), NOW + 5), before)


def test_a_histogram_that_went_back_is_nonsense() -> None:
    before = read(PodMetrics(lag_s={0.01: 5, 0.1: 5}).text(), NOW)
    after = read(PodMetrics(lag_s={0.01: 9, 0.1: 0}).text(), NOW + 5)
    with pytest.raises(InvalidMetrics, match="histogram"):
        report_of(after, before)


def test_more_processors_than_there_can_be_are_nonsense() -> None:
    before = read(PodMetrics(cpu_s=0).text(), NOW)
    with pytest.raises(InvalidMetrics, match="processors"):
        report_of(read(PodMetrics(cpu_s=1e9).text(), NOW + 5), before)


def test_quantiles_are_interpolated_within_their_bucket() -> None:
    distribution = Distribution((1.0, 2.0, 4.0, math.inf), (0.0, 50.0, 100.0, 100.0))
    assert distribution.quantile(0.5) == 2.0
    assert distribution.quantile(0.25) == 1.5
    assert distribution.quantile(0.75) == 3.0
    assert Distribution((1.0, math.inf), (0.0, 10.0)).quantile(0.99) == 1.0
    assert Distribution((), ()).quantile(0.99) == 0.0
    assert Distribution((1.0, math.inf), (0.0, 0.0)).quantile(0.99) == 0.0


def test_refused_work_is_counted_under_old_and_new_names() -> None:
    pod = PodMetrics()
    refused = "openvenue_api_connections_refused_total"
    engine = "openvenue_api_engine_refused_total"

    def reading(count: int, at: float) -> Reading:
        lines = [
            *(f'{refused}{{cause="{cause}"}} {count}' for cause in ("told", "cut", "rejected")),
            # These causes do not mean a lack of workers.
            f'{refused}{{cause="slow"}} {9 * count}',
            f'{engine}{{cause="busy"}} {count}',
            f'{engine}{{cause="ring_full"}} {9 * count}',
        ]
        return read(pod.text() + "\n".join(lines) + "\n", at)

    load = report_of(reading(110, 20.0), reading(10, 10.0)).load
    assert load is not None
    assert load.refused_per_s == 40
    assert report_of(read(pod.text(), 20.0), read(pod.text(), 10.0)).load is not None
