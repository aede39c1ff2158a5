"""The words of a plan that cannot be carried out, or not be made in full."""

from typing import Any

import pytest
from openvenue_operator.model import (
    Allocation,
    Engine,
    Memory,
    Step,
)
from openvenue_operator.spec import Bounds, ConnectionsSpec, EngineSpec, Mode, VenueSpec

from tests.support.observed import (
    NOW,
    allocation,
    database,
    deployment,
    exactly,
    load,
    planned,
    pod,
    silent,
    spec,
    tuning,
)
from tests.unit.operator.simulated_cluster import SimulatedCluster
from tests.unit.operator.simulated_load import trade

# --- If no pod reports the database's limit -------------------------------------------------------


def test_without_a_budget_a_spec_that_asks_for_nothing_new_stays_settled() -> None:
    known = planned(pod()).memory
    assert planned(pod(), memory=known, database=None).settled
    assert planned(pod(), memory=known, database=None, spec=spec(replicas=exactly(1))).settled


@pytest.mark.parametrize(
    "asked_for",
    [
        spec(replicas=exactly(2)),
        spec(workers_per_pod=exactly(2)),
        spec(db_pool_size=exactly(3)),
        spec(db_pool_overflow=exactly(1)),
        spec(grpc_channels=exactly(2)),
        spec(log_level="DEBUG"),
        spec(engine=EngineSpec(stateful_set="engine", server_threads=exactly(128))),
        spec(connections=ConnectionsSpec(cap=15)),
    ],
)
def test_without_a_budget_a_spec_that_asks_for_something_else_is_not_settled(
    asked_for: VenueSpec,
) -> None:
    known = planned(pod()).memory
    found = planned(pod(), memory=known, database=None, spec=asked_for)
    assert not found.settled
    assert found.step.empty
    assert found.next_step == (
        "waits for a pod that tells how many connections the database allows"
    )


def test_without_a_budget_an_engine_that_began_anew_is_not_settled() -> None:
    memory = Memory(target=allocation(), may_hold=5)
    assert planned(pod(), memory=memory, database=None).settled
    assert not planned(
        pod(), memory=memory, database=None, engine=Engine(server_threads=32)
    ).settled
    assert planned(pod(), memory=memory, database=None, engine=None).settled


def test_without_a_budget_pods_that_somebody_took_away_come_back_once_the_others_have_gone() -> (
    None
):
    fields: dict[str, Any] = {
        "deployment": deployment(1),
        "database": None,
        "memory": Memory(target=allocation(replicas=2), may_hold=5),
    }
    assert planned(pod("1"), pod("2", terminating=True), **fields).step.empty
    assert planned(pod("1"), **fields).step == Step(replicas=2)


def test_without_a_budget_no_pods_come_before_the_others_have_shrunk() -> None:
    small = tuning(2, db_pool_size=3)
    fields: dict[str, Any] = {
        "applied": small,
        "database": None,
        "memory": Memory(target=allocation(replicas=2, db_pool_size=3), may_hold=5),
    }
    assert planned(silent("1"), **fields).step.empty
    assert planned(pod("1"), **fields).step.empty
    assert planned(pod("1", small), **fields).step == Step(replicas=2)


# --- With an autoscaler ---------------------------------------------------------------------------


def test_an_autoscaler_with_more_pods_than_there_is_room_for_is_explained() -> None:
    pods = [pod(str(number)) for number in range(2)]
    found = planned(
        *pods,
        deployment=deployment(2, autoscaler_max=10, autoscaler_min=2),
        database=database(max_connections=40),
    )
    assert found.step.empty
    assert found.problem == (
        "the least that the bounds allow is 20 pods at a time (the autoscaler's maximum of 10, a "
        "rollout's, and those that it lets go) with 1 worker of 2+0 connections, and 3 for "
        "projector, streams and migration: 43 connections, but the budget is 34 (40 of the server "
        "- 3 reserved - 3 headroom): lower the autoscaler's maxReplicas, or raise the budget by 9"
    )


# --- In Plan mode ---------------------------------------------------------------------------------

BUSY_ORDERS_PER_S, IDLE_ORDERS_PER_S = 900.0, 20.0


def watching(**fields: Any) -> SimulatedCluster:
    """Return a venue of two pods in Plan mode, once it runs its target."""
    known: dict[str, Any] = {
        "spec": spec(replicas=Bounds(min=2, max=4), db_pool_size=exactly(5)),
        "start_with": tuning(0),
        "max_connections": 100,
        "replicas": 2,
    }
    cluster = SimulatedCluster(**(known | fields))
    trade(cluster, 120, IDLE_ORDERS_PER_S)
    cluster.spec = cluster.spec.replace(mode=Mode.PLAN)
    return cluster


def running(cluster: SimulatedCluster) -> Allocation:
    applied = cluster.applied
    assert applied is not None
    return allocation(
        replicas=cluster.replicas,
        workers=applied.workers,
        db_pool_size=applied.db_pool_size,
        db_pool_overflow=applied.db_pool_overflow,
        grpc_channels=applied.grpc_channels,
        server_threads=cluster.server_threads,
    )


def test_in_plan_mode_a_load_that_has_gone_asks_for_what_runs_again() -> None:
    cluster = watching()
    hot = trade(cluster, 120, BUSY_ORDERS_PER_S)
    assert hot.target is not None
    assert hot.target.workers == 2
    assert hot.next_step.startswith("in mode Auto would write: ")
    cold = trade(cluster, 120, IDLE_ORDERS_PER_S)
    assert cold.target == running(cluster)
    assert cold.settled


def test_in_plan_mode_a_load_that_stays_goes_on_asking_for_the_same() -> None:
    cluster = watching()
    hot = trade(cluster, 120, BUSY_ORDERS_PER_S)
    later = trade(cluster, 600, BUSY_ORDERS_PER_S)
    assert later.target == hot.target
    assert later.reason == hot.reason


def test_plans_of_plan_mode_are_not_carried_out_later() -> None:
    cluster = watching()
    trade(cluster, 120, BUSY_ORDERS_PER_S)
    before = running(cluster)
    trade(cluster, 120, IDLE_ORDERS_PER_S)
    cluster.spec = cluster.spec.replace(mode=Mode.AUTO)
    writes = len(cluster.writes)
    trade(cluster, 20, IDLE_ORDERS_PER_S)
    assert running(cluster) == before
    assert len(cluster.writes) == writes


def test_in_plan_mode_a_plan_begins_no_cooldown_and_keeps_how_long_it_was_asked_for() -> None:
    hot = pod(load=load(cpu_cores=1))
    memory = Memory(
        target=allocation(), high_since=NOW - 100, pool_high_since=NOW - 10, changed_at=NOW - 900
    )
    found = planned(hot, memory=memory, spec=spec(mode=Mode.PLAN))
    assert found.target == allocation(workers=2)
    assert found.memory.changed_at == NOW - 900
    assert found.memory.high_since == NOW - 100
    assert found.memory.target is None
    again = planned(hot, memory=found.memory, spec=spec(mode=Mode.AUTO))
    assert again.target == allocation(workers=2)
    assert again.memory.changed_at == NOW


def test_auto_begins_with_the_settings_that_run_in_plan_mode() -> None:
    by_hand = tuning(7, workers=2, db_pool_size=4)
    memory = Memory(target=allocation())
    found = planned(pod(runs=by_hand), applied=by_hand, memory=memory, spec=spec(mode=Mode.PLAN))
    assert found.settled
    auto = planned(pod(runs=by_hand), applied=by_hand, memory=found.memory)
    assert auto.target == allocation(workers=2, db_pool_size=4)


def test_in_plan_mode_bounds_that_do_not_hold_what_runs_are_told() -> None:
    found = planned(pod(), spec=spec(mode=Mode.PLAN, replicas=exactly(2)))
    assert found.target == allocation(replicas=2)
    assert found.reason == "the bounds of the spec have changed"
    assert not found.settled
