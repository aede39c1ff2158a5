"""The target of the steps, by the load and the room for it, by example."""

from typing import Any

import pytest
from openvenue_operator.model import (
    Database,
    Engine,
    Memory,
    Plan,
    Pod,
    Step,
)
from openvenue_operator.spec import Bounds, ConnectionsSpec, EngineSpec, VenueSpec

from tests.support.observed import (
    NOW,
    allocation,
    database,
    exactly,
    load,
    planned,
    pod,
    silent,
    spec,
    target,
    tuning,
)


def engine(least: int, most: int) -> EngineSpec:
    """Return an engine that may have this many threads."""
    return EngineSpec(stateful_set="engine", server_threads=Bounds(min=least, max=most))


# --- By the load ----------------------------------------------------------------------------------

HOT = load(cpu_cores=1.0)
LONG_AGO = target().replace(high_since=NOW - 1000)


def test_a_load_above_its_target_for_long_enough_asks_for_more_workers() -> None:
    hot = load(cpu_cores=0.95)
    found = planned(pod("1", load=hot), pod("2", load=hot), memory=Memory(high_since=NOW - 60))
    assert found.target == allocation(replicas=2, workers=2)
    assert found.reason == "workers use all of a processor (95%): more workers"
    assert found.memory.changed_at == NOW


def test_a_pod_of_nonsense_holds_no_other_back_but_a_majority_of_them_does() -> None:
    assert planned(pod(load=HOT), silent("2"), memory=LONG_AGO).fresh
    found = planned(pod(load=HOT), silent("2"), silent("3"), memory=LONG_AGO)
    assert not found.fresh
    assert found.stale_because == "2 of 3 pods cannot be read: 2 answers nonsense"
    assert found.memory.changed_at is None


def test_a_pod_of_nonsense_is_not_averaged_in() -> None:
    busy = load(orders_per_s=500, cpu_cores=0.4, p99_ms=8)
    found = planned(pod("1", load=busy), pod("2", load=busy), silent("3"))
    assert found.load == pytest.approx({"ordersPerSecond": 1000, "p99Ms": 8, "cpuPercent": 40})


@pytest.mark.parametrize(
    ("stale", "because", "settled"),
    [
        (pod(load=HOT, read_at=NOW - 16), "metrics are 16 s old", True),
        (pod(load=None), "pods were read only once", True),
        (pod(load=HOT, ready=False), "no pod of the API is ready", False),
        (silent(), "1 of 1 pod cannot be read: silent answers nonsense", False),
    ],
)
def test_an_unknown_load_changes_nothing_and_windows_begin_again(
    stale: Pod, because: str, settled: bool
) -> None:
    found = planned(stale, memory=LONG_AGO)
    assert not found.fresh
    assert found.stale_because == because
    assert found.target == allocation()
    assert found.settled == settled
    assert found.memory.high_since is None
    assert all(one.age_seconds > 15 for one in found.inputs)


def test_pods_that_start_are_waited_for_before_more_are_asked_for() -> None:
    memory = target(replicas=2).replace(high_since=NOW - 1000)
    starting = silent("api-2", ready=False)
    found = planned(pod(load=HOT), starting, memory=memory)
    assert found.target == allocation(replicas=2)
    assert found.step.empty


def test_bounds_of_one_value_leave_nothing_to_the_policy() -> None:
    fixed = spec(
        replicas=exactly(1),
        workers_per_pod=exactly(1),
        db_pool_size=exactly(5),
        db_pool_overflow=exactly(0),
    )
    late = pod(load=load(cpu_cores=1, p99_ms=900, pool_wait_ms=900))
    found = planned(late, spec=fixed, memory=LONG_AGO)
    assert found.settled
    assert found.memory.changed_at is None
    assert found.binding == (
        "api.replicas.max of 1 and api.workersPerPod.max of 1, though workers use all of a "
        "processor (100%)"
    )


# --- Within the budget ----------------------------------------------------------------------------


def test_minima_that_do_not_fit_are_explained_and_nothing_is_written() -> None:
    more = tuning(workers=2, db_pool_overflow=1)
    found = planned(
        *(pod(name, more) for name in ("1", "2", "3")),
        applied=more,
        spec=spec(replicas=Bounds(min=2, max=4), connections=ConnectionsSpec(headroom=0)),
        database=database(max_connections=13),
        memory=target(replicas=3),
    )
    assert not found.feasible
    assert found.step.empty
    assert found.problem == (
        "the least that the bounds allow is 4 pods at a time (those of api.replicas.min, and a "
        "rollout's) with 1 worker of 2+0 connections, and 3 for projector, streams and "
        "migration: 11 connections, but the budget is 10 (13 of the server - 3 reserved - 0 "
        "headroom): lower api.replicas.min to 1, or raise the budget by 1"
    )
    assert found.memory.target == allocation(replicas=3), "what was planned is forgotten"


def test_the_connections_of_others_are_among_the_numbers() -> None:
    found = planned(pod(), database=database(max_connections=20, used_connections=20))
    assert found.problem is not None
    assert "12 of others" in found.problem


def test_a_target_that_does_not_fit_is_cut_to_what_does() -> None:
    found = planned(
        pod(runs=tuning(db_pool_size=3)),
        applied=tuning(db_pool_size=3),
        memory=target(db_pool_size=8, db_pool_overflow=2),
        database=database(max_connections=24),
    )
    assert found.target == allocation(db_pool_size=5)
    assert found.binding == (
        "the budget of 18 connections (24 of the server - 3 reserved - 3 headroom)"
    )


def test_a_wish_without_room_is_none_and_begins_no_cooldown() -> None:
    least = tuning(db_pool_size=2)
    memory = target(db_pool_size=2).replace(high_since=NOW - 1000)
    found = planned(
        pod(runs=least, load=HOT),
        applied=least,
        memory=memory,
        database=database(max_connections=17),
    )
    assert found.settled
    assert found.memory.changed_at is None
    assert found.memory.high_since == NOW - 1000
    assert found.binding.startswith("the budget of 11 connections")


def test_a_wish_without_room_does_not_keep_others_from_being_granted() -> None:
    wide = tuning(workers=2, db_pool_size=2)
    memory = target(workers=2, db_pool_size=2).replace(
        pool_high_since=NOW - 1000, low_since=NOW - 1000
    )
    found = planned(
        pod(runs=wide, load=load(cpu_cores=0.1, pool_wait_ms=50)),
        applied=wide,
        memory=memory,
        database=database(max_connections=22),
    )
    assert found.target is not None
    assert found.target.workers == 1
    assert found.memory.pool_short_at is None


# --- Without a budget -----------------------------------------------------------------------------


@pytest.mark.parametrize("facts", [None, database(read_at=NOW - 16)])
def test_without_a_budget_nothing_grows(facts: Database | None) -> None:
    hot = pod(load=load(cpu_cores=1, pool_wait_ms=90))
    memory = target().replace(high_since=NOW - 1000, pool_high_since=NOW - 1000)
    found = planned(hot, database=facts, memory=memory)
    assert found.step.empty
    assert found.budget is None
    assert found.memory.changed_at is None
    assert found.next_step.startswith("waits for a pod that tells how many connections")
    wider = planned(pod(), database=facts, spec=spec(db_pool_size=exactly(6)), memory=Memory())
    assert wider.step.empty


def test_a_cap_above_what_the_server_allows_is_no_budget_while_the_server_is_silent() -> None:
    fields: dict[str, Any] = {
        "spec": spec(
            replicas=exactly(2), db_pool_size=exactly(9), connections=ConnectionsSpec(cap=90)
        ),
    }
    pods, facts = (pod("1"), pod("2")), database(max_connections=40)
    assert not planned(*pods, database=facts, **fields).feasible
    found = planned(*pods, database=facts.replace(read_at=NOW - 60), **fields)
    assert found.step.empty
    assert found.budget is None


def test_without_a_budget_replicas_set_by_hand_are_put_right() -> None:
    found = planned(pod("1"), pod("2"), database=None, memory=target(replicas=1))
    assert found.step == Step(replicas=1)


# --- The engine's threads -------------------------------------------------------------------------

CHANNELS = spec(
    replicas=exactly(2),
    workers_per_pod=exactly(2),
    grpc_channels=exactly(4),
    db_pool_size=exactly(5),
    db_pool_overflow=exactly(0),
    engine=engine(16, 256),
)
# At most four pods with two workers and four channels, and two others: two threads for each.
THREADS = 2 * (4 * 2 * 4 + 2)
FOUR = tuning(workers=2, grpc_channels=4)


def with_channels(threads: int | None, channels: int = 4, spec: VenueSpec = CHANNELS) -> Plan:
    runs = FOUR.replace(grpc_channels=channels)
    return planned(
        pod("1", runs),
        pod("2", runs),
        applied=runs,
        engine=None if threads is None else Engine(server_threads=threads),
        spec=spec,
    )


def test_threads_come_with_the_channels_that_need_them_and_are_written_first() -> None:
    # `apply` writes them in that order, and stops at one that cannot be written.
    assert with_channels(16, channels=1).step == Step(
        server_threads=THREADS, tuning=FOUR.replace(generation=2)
    )


def test_threads_go_only_when_no_pod_needs_them_any_more() -> None:
    fewer = CHANNELS.replace(api=CHANNELS.api.replace(grpc_channels=exactly(1)))
    shrinking = with_channels(THREADS, spec=fewer)
    assert shrinking.step.tuning is not None
    assert shrinking.step.server_threads is None
    assert with_channels(THREADS, channels=1, spec=fewer).step == Step(server_threads=20)


def test_threads_are_never_fewer_than_their_least_number() -> None:
    # At most four pods with a session each, and two others: twelve threads would do.
    found = planned(pod("1"), pod("2"), spec=spec(engine=engine(16, 256)))
    assert found.step == Step(server_threads=16)


def test_channels_are_as_many_as_the_threads_allow() -> None:
    narrow = CHANNELS.replace(
        engine=engine(16, 48), api=CHANNELS.api.replace(grpc_channels=Bounds(min=1, max=4))
    )
    found = with_channels(48, spec=narrow)
    assert found.target is not None
    assert found.target.grpc_channels == 2
    assert found.binding == "engine.serverThreads.max of 48"


def test_where_sessions_do_not_fit_there_are_fewer_workers_and_pools_stay_as_they_are() -> None:
    found = planned(
        pod("1"),
        pod("2"),
        spec=spec(workers_per_pod=Bounds(min=1, max=8), engine=engine(16, 16)),
        memory=target(replicas=2, workers=2, db_pool_overflow=1),
    )
    assert found.target is not None
    assert found.target.replicas * found.target.workers < 2 * 2
    assert (found.target.db_pool_size, found.target.db_pool_overflow) == (5, 1)


def test_minima_that_need_more_threads_than_there_may_be_are_explained() -> None:
    narrow = CHANNELS.replace(engine=engine(16, 32))
    assert with_channels(32, spec=narrow).problem == (
        f"the least that the bounds allow needs {THREADS} engine threads, "
        "engine.serverThreads.max is 32: raise it"
    )


def test_the_threads_of_an_engine_that_cannot_be_asked_are_left_alone_until_it_can() -> None:
    one = CHANNELS.replace(
        api=CHANNELS.api.replace(grpc_channels=exactly(1)), engine=engine(64, 256)
    )
    found = with_channels(None, channels=1, spec=one)
    assert found.step.empty
    assert found.settled
    assert with_channels(None, channels=1).step.server_threads is None
    again = planned(
        pod(), memory=planned(pod(), engine=None).memory, engine=Engine(server_threads=32)
    )
    assert again.step == Step(server_threads=64)
