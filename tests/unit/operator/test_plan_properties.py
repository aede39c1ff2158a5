"""Properties of every plan, rollout and failure: the budget, the order of steps, and an end."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from openvenue_operator.budget import per_pod
from openvenue_operator.model import Lateness, Tuning
from openvenue_operator.spec import (
    ApiSpec,
    Bounds,
    ConnectionsSpec,
    EngineSpec,
    TuningSpec,
    VenueSpec,
)

from tests.support.examples import examples
from tests.support.observed import IDLE
from tests.unit.operator.simulated_cluster import SimulatedCluster


def bounds(least: int, most: int) -> st.SearchStrategy[Bounds]:
    return st.tuples(st.integers(least, most), st.integers(least, most)).map(
        lambda pair: Bounds(min=min(pair), max=max(pair))
    )


specs = st.builds(
    VenueSpec,
    api=st.builds(
        ApiSpec,
        deployment=st.just("api"),
        replicas=bounds(1, 4),
        workers_per_pod=bounds(1, 3),
        db_pool_size=bounds(2, 8),
        db_pool_overflow=bounds(0, 4),
        grpc_channels=bounds(1, 2),
    ),
    engine=st.just(EngineSpec(stateful_set="engine", server_threads=Bounds(min=64, max=256))),
    connections=st.builds(
        ConnectionsSpec,
        cap=st.one_of(st.none(), st.integers(20, 120)),
        headroom=st.integers(0, 5),
    ),
)
starts = st.builds(
    Tuning,
    generation=st.just(0),
    workers=st.integers(1, 3),
    db_pool_size=st.integers(2, 6),
    db_pool_overflow=st.integers(0, 4),
    grpc_channels=st.integers(1, 2),
    log_level=st.just("WARNING"),
)
clusters = st.builds(
    SimulatedCluster,
    spec=specs,
    start_with=starts,
    max_connections=st.integers(15, 200),
    max_surge=st.integers(1, 2),
    max_unavailable=st.integers(0, 1),
    min_ready_seconds=st.sampled_from([0, 30]),
    replicas=st.integers(1, 3),
    autoscaler=st.one_of(st.none(), bounds(1, 7)),
)
# An event, and its pod; a number of writes after which the operator is killed.
happenings = st.lists(st.tuples(st.integers(0, 13), st.integers(0, 7)), max_size=120)


def happen(cluster: SimulatedCluster, what: int, choice: int) -> None:
    """Let one event happen."""
    if what == 0:
        cluster.roll_out()
    elif what == 1:
        cluster.become_ready(choice)
    elif what in (2, 3):
        cluster.read_file(choice)
    elif what == 4:
        cluster.reconcile(writes=choice % 3)
    elif what == 5 and cluster.pods:
        cluster.silent ^= {cluster.pods[choice % len(cluster.pods)].name}
    elif what == 6:
        cpu = (0.0, 0.3, 0.9, 1.8)[choice % 4]
        wait = (0.0, 50.0)[choice // 4]
        cluster.load = IDLE.replace(cpu_cores=cpu, pool_wait_ms=wait, orders_per_s=100)
    elif what == 7:
        cluster.pass_time(choice * 10)
    elif what == 9:
        cluster.scale(choice)
    elif what in (10, 11, 12):
        cluster.break_pod(choice, ("crash", "hang", "node")[what - 10])
    elif what == 13:
        cluster.room = choice
    else:
        cluster.reconcile()
    cluster.pass_time(1)


def begin(cluster: SimulatedCluster) -> None:
    """Start with pods that fit the budget whatever happens before the first reconciliation."""
    cluster.load = IDLE
    scaler = cluster.autoscaler
    if scaler is not None:
        cluster.replicas = min(max(cluster.replicas, scaler.min), scaler.max)
    most = max(cluster.replicas, scaler.max if scaler else 0) + cluster.max_surge
    draining = (
        cluster.max_surge + cluster.max_unavailable
        if cluster.min_ready_seconds >= cluster.grace_seconds
        else most
    ) + (scaler.max - scaler.min if scaler else 0)
    assume((most + draining) * per_pod(cluster.start_with) + cluster.connections <= cluster.limit)
    cluster.pass_time(1)


@settings(max_examples=examples(100), deadline=None)
@given(clusters, happenings)
def test_connections_stay_within_the_budget_at_every_moment(
    cluster: SimulatedCluster, happened: list[tuple[int, int]]
) -> None:
    begin(cluster)
    for what, choice in happened:
        happen(cluster, what, choice)
        assert cluster.connections <= cluster.limit


@pytest.mark.parametrize("min_ready_seconds", [30, 0])
def test_an_autoscaler_that_goes_down_and_up_again_at_once_stays_within_the_budget(
    min_ready_seconds: int,
) -> None:
    api = ApiSpec(deployment="api", db_pool_size=Bounds(min=2, max=60))
    cluster = SimulatedCluster(
        spec=VenueSpec(api=api, engine=EngineSpec(stateful_set="engine")),
        start_with=Tuning(
            generation=0,
            workers=1,
            db_pool_size=2,
            db_pool_overflow=0,
            grpc_channels=1,
            log_level="WARNING",
        ),
        max_connections=200,
        min_ready_seconds=min_ready_seconds,
        replicas=8,
        autoscaler=Bounds(min=2, max=8),
    )
    # It takes all that there is.
    cluster.load = IDLE.replace(pool_wait_ms=50, orders_per_s=100)
    cluster.settle(3600)
    assert cluster.applied is not None
    assert cluster.applied.db_pool_size > 2
    cluster.scale(0)
    cluster.pass_time(1)
    assert cluster.replicas == 2
    cluster.scale(7)
    for _ in range(40):
        cluster.pass_time(1)
        cluster.become_ready(0)
        cluster.roll_out()
        cluster.reconcile()
        assert cluster.connections <= cluster.limit


@settings(max_examples=examples(30), deadline=None)
@given(clusters, st.lists(st.tuples(st.sampled_from([0, 1, 2, 7, 8, 9]), st.integers(0, 7))))
def test_a_venue_that_has_taken_all_that_it_may_can_still_be_rolled_out(
    cluster: SimulatedCluster, happened: list[tuple[int, int]]
) -> None:
    begin(cluster)
    cluster.load = IDLE.replace(cpu_cores=2.9, pool_wait_ms=50, orders_per_s=100)
    if cluster.autoscaler is not None:
        cluster.scale(cluster.autoscaler.max)
    cluster.settle(1200)
    for what, choice in happened:
        happen(cluster, what, choice)
        assert cluster.connections <= cluster.limit
    cluster.pass_time(cluster.grace_seconds)
    cluster.roll_out()
    for _ in range(40):
        cluster.pass_time(3)
        cluster.become_ready(0)
        cluster.reconcile()
        assert cluster.connections <= cluster.limit


@settings(max_examples=examples(40), deadline=None)
@given(clusters, happenings)
def test_nothing_grows_before_every_pod_has_taken_over_what_shrinks(
    cluster: SimulatedCluster, happened: list[tuple[int, int]]
) -> None:
    """Except overdue pods, which count with what they may hold: see the budget."""
    tuning = cluster.spec.tuning.replace(pod_deadline_seconds=86_400)
    cluster.spec = cluster.spec.replace(tuning=tuning)
    begin(cluster)
    for what, choice in happened:
        before, replicas = cluster.applied or cluster.start_with, cluster.replicas
        now = cluster.now
        most = max((pod.holds(now) for pod in cluster.pods if pod.stops_at is None), default=0)
        happen(cluster, what, choice)
        after = cluster.applied or cluster.start_with
        if per_pod(after) > per_pod(before) or (what in (4, 8) and cluster.replicas > replicas):
            assert most <= per_pod(before)


@settings(max_examples=examples(40), deadline=None)
@given(clusters, happenings)
def test_it_finishes_wherever_it_was_killed(
    cluster: SimulatedCluster, happened: list[tuple[int, int]]
) -> None:
    begin(cluster)
    for what, choice in happened:
        happen(cluster, what, choice)
    cluster.load = IDLE.replace(cpu_cores=0.35, orders_per_s=100)
    planned = cluster.settle(4000)
    assert planned.settled or not planned.feasible
    writes = len(cluster.writes)
    cluster.settle(1200)
    assert len(cluster.writes) == writes, "a steady load had something changed"
    if planned.feasible and planned.target:
        allowed = cluster.autoscaler or cluster.spec.api.replicas
        assert allowed.min <= cluster.replicas <= allowed.max
        assert cluster.connections <= cluster.limit


# --- A pod that is broken for good ----------------------------------------------------------------

DEADLINE_S = 60


def with_a_broken_pod(how: str | None, **api: Any) -> SimulatedCluster:
    """Return a settled venue with room in its budget, one of whose three pods breaks for good."""
    known: dict[str, Any] = {
        "replicas": Bounds(min=3, max=5),
        "workers_per_pod": Bounds(min=1, max=3),
    }
    cluster = SimulatedCluster(
        spec=VenueSpec(
            api=ApiSpec(deployment="api", **(known | api)),
            engine=EngineSpec(stateful_set="engine"),
            tuning=TuningSpec(pod_deadline_seconds=DEADLINE_S),
        ),
        start_with=Tuning(
            generation=0,
            workers=1,
            db_pool_size=3,
            db_pool_overflow=0,
            grpc_channels=1,
            log_level="WARNING",
        ),
        max_connections=200,
        replicas=3,
    )
    cluster.load = IDLE.replace(cpu_cores=0.6, orders_per_s=100)
    cluster.settle(1200)
    if how == "unschedulable":
        cluster.room = 2
        cluster.pods.pop()
    elif how is not None:
        cluster.break_pod(0, how)
        cluster.room = 3 if how == "node" else 1000
    return cluster


@pytest.mark.parametrize("how", ["crash", "unschedulable", "hang", "silent", "node"])
@pytest.mark.parametrize(
    ("load", "changed"),
    [
        ({"cpu_cores": 0.9}, lambda one: one.workers > 1),
        ({"pool_wait_ms": 50, "cpu_cores": 0.6}, lambda one: one.db_pool_size > 2),
    ],
)
def test_with_one_pod_that_is_broken_for_good_load_still_changes_something(
    how: str, load: dict[str, float], changed: Callable[[Tuning], bool]
) -> None:
    cluster = with_a_broken_pod(how)
    cluster.load = IDLE.replace(orders_per_s=100, **load)
    cluster.settle(DEADLINE_S + 120, healed=False)
    assert cluster.applied is not None
    assert changed(cluster.applied)
    assert cluster.connections <= cluster.limit


@pytest.mark.parametrize("how", ["crash", "unschedulable", "hang", "silent"])
def test_with_one_pod_that_is_broken_for_good_bounds_of_the_spec_are_still_carried_out(
    how: str,
) -> None:
    cluster = with_a_broken_pod(how)
    api = cluster.spec.api.replace(db_pool_size=Bounds(min=2, max=2))
    cluster.spec = cluster.spec.replace(api=api)
    cluster.settle(DEADLINE_S + 60, healed=False)
    api = cluster.spec.api.replace(workers_per_pod=Bounds(min=2, max=2))
    cluster.spec = cluster.spec.replace(api=api)
    cluster.settle(60, healed=False)
    assert cluster.applied is not None
    assert (cluster.applied.workers, cluster.applied.db_pool_size) == (2, 2)


@pytest.mark.parametrize("how", ["crash", "unschedulable", "silent", "node"])
def test_with_one_pod_that_is_broken_for_good_an_idle_venue_gives_workers_back(how: str) -> None:
    cluster = with_a_broken_pod(how, workers_per_pod=Bounds(min=1, max=3))
    cluster.load = IDLE.replace(orders_per_s=100, cpu_cores=0.9)
    cluster.settle(300, healed=False)
    assert cluster.applied is not None
    assert cluster.applied.workers > 1
    cluster.load = IDLE
    cluster.settle(1800, healed=False)
    assert cluster.applied.workers == 1


def test_a_pod_that_is_broken_for_good_is_named_with_its_reason_and_time() -> None:
    cluster = with_a_broken_pod("unschedulable")
    planned = cluster.settle(DEADLINE_S + 60, healed=False)
    (late,) = planned.late
    assert (late.reason, late.overdue) == (Lateness.UNSCHEDULABLE, True)
    assert "0/1 nodes are available" in planned.next_step
    assert late.name in planned.next_step


def test_pods_that_find_no_room_are_taken_back_and_asked_for_again_later() -> None:
    cluster = with_a_broken_pod(
        None, replicas=Bounds(min=1, max=5), workers_per_pod=Bounds(min=1, max=1)
    )
    cluster.room = 3
    cluster.load = IDLE.replace(cpu_cores=1.0, orders_per_s=100)
    cluster.settle(45, healed=False)
    asked_for = cluster.replicas
    assert asked_for > 3
    cluster.settle(DEADLINE_S + 60, healed=False)
    assert cluster.replicas == 3
    assert "found no room" in (cluster.memory.reason or "")
    assert cluster.memory.pods_at_most == 3
    before = len(cluster.writes)
    cluster.settle(600, healed=False)
    assert [one.replicas for one in cluster.writes[before:] if one.replicas] == []
    cluster.room = 5
    cluster.settle(600, healed=False)
    assert cluster.replicas > 3


def test_thirty_pods_are_not_asked_for_at_once() -> None:
    cluster = with_a_broken_pod(None)
    cluster.room, cluster.max_connections = 9, 2000
    cluster.spec = cluster.spec.replace(
        api=cluster.spec.api.replace(replicas=Bounds(min=30, max=30))
    )
    counts = []
    for _ in range(150):
        cluster.settle(5, healed=False)
        if cluster.replicas not in counts:
            counts.append(cluster.replicas)
    assert counts[0] <= 7
    assert cluster.replicas <= 14, "it goes on although there is no room"
    cluster.settle(600)
    assert cluster.replicas == 30
