"""The policy on a venue whose load reacts to it: it settles and stays settled."""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from openvenue_operator.model import Step
from openvenue_operator.spec import Bounds

from tests.support.examples import examples
from tests.support.observed import spec, tuning
from tests.unit.operator.simulated_cluster import SimulatedCluster
from tests.unit.operator.simulated_load import TICK_S, Clients, trade

MINUTE = 60.0
HOUR = 3600.0
WIDE = spec(
    replicas=Bounds(min=1, max=6),
    workers_per_pod=Bounds(min=1, max=4),
    db_pool_size=Bounds(min=2, max=20),
    db_pool_overflow=Bounds(min=0, max=5),
)
CHANGES_UP_MAX = 12
"""Five doublings and the steps of pools, from the least to the greatest of the bounds."""


def mistuned(**fields: Any) -> SimulatedCluster:
    """Return a cluster of one pod with one worker and a pool of two."""
    known: dict[str, Any] = {
        "spec": WIDE,
        "start_with": tuning(0, workers=1, db_pool_size=2),
        "max_connections": 500,
        "min_ready_seconds": 31,
        "grace_seconds": 31,
    }
    return SimulatedCluster(**(known | fields))


def changes(cluster: SimulatedCluster, since: int = 0) -> list[Step]:
    """Return the steps that changed more than annotations."""
    return [step for step in cluster.writes[since:] if step.tuning is not None or step.replicas]


@pytest.mark.parametrize("orders_per_s", [50, 300, 900, 2000, 5000])
def test_a_mistuned_venue_comes_to_rest_within_its_targets(orders_per_s: float) -> None:
    cluster = mistuned()
    planned = trade(cluster, HOUR, orders_per_s)
    written = len(cluster.writes)
    trade(cluster, HOUR, orders_per_s)
    assert changes(cluster, written) == []
    assert planned.settled
    assert planned.target is not None
    assert cluster.load is not None
    targets = cluster.spec.tuning.targets
    served = cluster.load.orders_per_s * planned.target.replicas
    assert served == pytest.approx(orders_per_s)
    assert cluster.load.p99_ms <= targets.p99_ms
    assert cluster.load.pool_wait_ms <= targets.pool_wait_ms
    # At most twice the number that is needed.
    workers = planned.target.replicas * planned.target.workers
    least = math.ceil(orders_per_s * Clients().order_cpu_s / (targets.cpu_percent / 100 * 1.1))
    assert least <= workers <= max(2 * least, least + 1)


@settings(max_examples=examples(5), deadline=None, phases=[Phase.generate])
@given(
    st.floats(1, 8000),
    st.integers(1, 4),
    st.integers(2, 12),
    st.integers(30, 500),
    st.builds(Clients, st.floats(0.0005, 0.01), st.floats(0.001, 0.1), st.floats(0, 2)),
)
def test_under_any_steady_load_it_comes_to_rest(
    orders_per_s: float, workers: int, pool: int, max_connections: int, clients: Clients
) -> None:
    start = tuning(0, workers=workers, db_pool_size=pool)
    cluster = mistuned(start_with=start, max_connections=max_connections)
    trade(cluster, 2 * HOUR, orders_per_s, clients)
    written = len(cluster.writes)
    trade(cluster, HOUR / 2, orders_per_s, clients)
    assert changes(cluster, written) == []


def test_it_grows_within_minutes_and_shrinks_within_the_hour() -> None:
    cluster = mistuned()
    grown = trade(cluster, 10 * MINUTE, 2000)
    assert grown.target is not None
    assert grown.target.replicas * grown.target.workers >= 6
    shrunk = trade(cluster, 2 * HOUR, 50)
    assert shrunk.target is not None
    assert shrunk.target.replicas * shrunk.target.workers == 1


def test_without_room_it_takes_what_there_is_and_rests() -> None:
    cluster = mistuned(max_connections=40)
    planned = trade(cluster, HOUR, 5000)
    written = len(cluster.writes)
    again = trade(cluster, HOUR, 5000)
    assert changes(cluster, written) == []
    assert again.binding.startswith("the budget of 34 connections")
    assert again.memory.changed_at == planned.memory.changed_at
    assert cluster.connections <= cluster.limit


def test_more_workers_come_without_fewer_on_the_way() -> None:
    cluster = mistuned(replicas=3)
    least, rate = 3, 2500.0
    for _ in range(300):
        trade(cluster, 2, rate)
        staying = [pod for pod in cluster.pods if pod.stops_at is None]
        workers = sum(pod.running.workers for pod in staying)
        assert workers >= least
        least = max(least, workers)
    assert least > 6


def swinging(low: float, high: float, half_period_s: int) -> Callable[[float], float]:
    """Return a load that alternates between high and low."""
    return lambda now: high if now // half_period_s % 2 else low


@settings(max_examples=examples(2), deadline=None, phases=[Phase.generate])
@given(st.floats(20, 5000), st.floats(20, 5000), st.integers(4, 280))
def test_under_a_load_that_swings_faster_than_the_down_window_no_step_up_follows_one_down(
    low: float, high: float, half_period_s: int
) -> None:
    cluster, load = mistuned(), swinging(low, high, half_period_s)
    counts = []
    for _ in range(20):
        planned = trade(cluster, 3 * MINUTE, load)
        assert planned.target is not None
        counts.append(planned.target.replicas * planned.target.workers)
    # The surplus of a doubling goes, but no worker that the peaks need.
    most = counts.index(max(counts))
    assert counts[: most + 1] == sorted(counts[: most + 1])
    assert counts[most:] == sorted(counts[most:], reverse=True)
    written = len(cluster.writes)
    trade(cluster, HOUR / 2, load)
    assert len(changes(cluster, written)) <= 2


@settings(max_examples=examples(2), deadline=None, phases=[Phase.generate])
@given(st.floats(20, 500), st.floats(500, 4000), st.integers(300, 3600))
def test_changes_are_a_cooldown_apart_and_few_in_each_period(
    low: float, high: float, half_period_s: int
) -> None:
    cluster, load = mistuned(), swinging(low, high, half_period_s)
    changed_at = []
    for _ in range(int(2 * HOUR / TICK_S)):
        at = trade(cluster, TICK_S, load).memory.changed_at
        if at is not None and at not in changed_at:
            changed_at.append(at)
    apart = [later - earlier for earlier, later in pairwise(changed_at)]
    assert all(one >= WIDE.tuning.cooldown_seconds for one in apart)
    halves = 2 * HOUR // half_period_s + 1
    # It doubles up, and goes down one by one, one per down window.
    ups, downs = CHANGES_UP_MAX, half_period_s // WIDE.tuning.down_window_seconds
    assert len(changed_at) <= halves * (ups + downs)


def test_a_disk_that_is_slow_gets_no_more_workers() -> None:
    cluster = mistuned()
    trade(cluster, 5 * MINUTE, 50)
    written = len(cluster.writes)
    for _ in range(600):
        assert cluster.load is not None
        cluster.load = cluster.load.replace(p99_ms=400, event_loop_lag_ms=1)
        cluster.pass_time(2)
        cluster.reconcile()
    assert changes(cluster, written) == []


def test_a_market_that_opens_has_its_workers_after_a_few_changes() -> None:
    cluster = mistuned()
    grown = trade(cluster, 7 * MINUTE, 4000)
    assert grown.target is not None
    # 8 processors' work at 70%.
    assert grown.target.replicas * grown.target.workers >= 11
    assert len({step.tuning.workers for step in changes(cluster) if step.tuning}) <= 5


def test_a_database_that_is_slow_gets_no_larger_pools() -> None:
    cluster = mistuned(start_with=tuning(0, workers=1, db_pool_size=4))
    trade(cluster, 5 * MINUTE, 50)
    pool = cluster.applied.db_pool_size if cluster.applied else 0
    written, sizes = len(cluster.writes), set()
    for _ in range(int(2 * HOUR / TICK_S)):
        assert cluster.load is not None
        # It answers the same number of queries, however many ask at a time.
        cluster.load = cluster.load.replace(pool_wait_ms=300, queries_per_s=400)
        cluster.db_in_use = pool - 1
        cluster.pass_time(TICK_S)
        cluster.read_file(0)
        cluster.reconcile()
        assert cluster.applied is not None
        sizes.add(cluster.applied.db_pool_size)
    assert max(sizes) <= math.ceil(1.5 * pool)
    # One attempt each half hour, and back.
    assert len(changes(cluster, written)) <= 2 * 4 + 1


def test_a_projection_that_is_late_gets_no_larger_pools() -> None:
    cluster = mistuned(start_with=tuning(0, workers=1, db_pool_size=4))
    trade(cluster, 5 * MINUTE, 50)
    written = len(cluster.writes)
    for _ in range(300):
        assert cluster.load is not None
        cluster.load = cluster.load.replace(pool_wait_ms=300, projection_wait_ms=900)
        cluster.pass_time(2)
        cluster.reconcile()
    assert changes(cluster, written) == []
