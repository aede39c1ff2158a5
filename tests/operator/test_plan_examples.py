"""What is written next, and why, by example."""

from typing import Any

import pytest
from observed import (
    NOW,
    allocation,
    database,
    deployment,
    exactly,
    load,
    observation,
    planned,
    pod,
    silent,
    spec,
    tuning,
)
from openvenue_operator.model import (
    Bounds,
    ConnectionsSpec,
    Engine,
    EngineSpec,
    Memory,
    Mode,
    Plan,
    Step,
    VenueSpec,
)
from openvenue_operator.plan import NUDGE_AGAIN_S, plan


def target(**fields: int) -> Memory:
    """Something was planned, and nothing is known of the load."""
    return Memory(target=allocation(**fields))


def small_database(most: int, **fields: Any) -> Any:
    return database(max_connections=most, **fields)


# --- At rest, and at first ------------------------------------------------------------------------


def test_what_runs_as_planned_is_left_alone() -> None:
    found = planned(pod())
    assert found.settled
    assert found.step.empty
    assert found.next_step == "nothing: all pods run the target"


def test_the_first_plan_writes_down_what_runs() -> None:
    first = tuning(0, workers=2, db_pool_size=4)
    found = planned(pod(runs=first), applied=None, started_with=first, memory=Memory())
    assert found.step.tuning == first.replace(generation=1)
    assert found.target == allocation(workers=2, db_pool_size=4)
    assert found.reason == "the first plan: what runs, within the bounds"


def test_the_first_plan_is_within_the_bounds() -> None:
    first = tuning(0, workers=2, db_pool_size=4)
    found = planned(
        pod(runs=first),
        applied=None,
        started_with=first,
        memory=Memory(),
        spec=spec(db_pool_size=exactly(3)),
    )
    assert found.step.tuning == first.replace(generation=1, db_pool_size=3)


def test_other_bounds_are_another_target_at_once() -> None:
    found = planned(pod(), spec=spec(replicas=Bounds(min=2, max=4)))
    assert found.step == Step(replicas=2)
    assert found.reason == "the bounds of the spec have changed"


def test_a_log_level_is_a_tuning_like_any_other() -> None:
    found = planned(pod(), spec=spec(log_level="DEBUG"))
    assert found.step.tuning == tuning(2, log_level="DEBUG")


# --- Order of steps -------------------------------------------------------------------------------


def test_what_shrinks_is_written_before_what_grows() -> None:
    found = planned(pod(), memory=target(replicas=2, db_pool_size=3))
    assert found.step == Step(tuning=tuning(2, db_pool_size=3))


def test_what_grows_waits_until_every_pod_has_shrunk() -> None:
    applied = tuning(2, db_pool_size=3)
    fields: dict[str, Any] = {
        "applied": applied,
        "memory": target(replicas=2, db_pool_size=3).replace(may_hold=5),
    }
    found = planned(pod(), **fields)
    assert found.step.replicas is None
    assert found.next_step == "waits for 1 pods to take over generation 2"
    assert planned(silent(), **fields).step == Step()
    assert planned(pod(runs=applied), **fields).step == Step(replicas=2)


def test_what_grows_waits_until_pods_that_go_have_gone() -> None:
    fields: dict[str, Any] = {
        "memory": target(replicas=2, db_pool_size=8),
        "spec": spec(replicas=exactly(2)),
        "database": small_database(42),  # of 42, 36 are the venue's: four pods of 8, and 3
    }
    going = pod("old", terminating=True), pod("older", terminating=True)
    found = planned(pod("1"), pod("2"), *going, deployment=deployment(2), **fields)
    assert found.step.tuning is None
    assert found.next_step == "waits for pods to stop: 5 of them could hold 43 connections"
    assert planned(pod("1"), pod("2"), **fields).step.tuning is not None


def test_generations_are_never_used_twice() -> None:
    found = planned(pod(generations=(7,)), spec=spec(db_pool_size=exactly(3)))
    assert found.step.tuning is not None
    assert found.step.tuning.generation == 8


def test_drift_by_hand_is_put_right() -> None:
    by_hand = planned(pod("1"), pod("2"), pod("3"), memory=target(replicas=1))
    assert by_hand.step == Step(replicas=1)
    assert by_hand.reason == "what runs is not yet, or no longer, what was planned"
    edited = planned(pod(), applied=tuning(9, db_pool_size=9), memory=target())
    assert edited.step.tuning == tuning(10)
    deleted = planned(pod(), applied=None, started_with=tuning(0, db_pool_size=9), memory=target())
    assert deleted.step.tuning is not None
    assert deleted.step.tuning.db_pool_size == 5


# --- Nudges ---------------------------------------------------------------------------------------


def nudges(**fields: Any) -> tuple[str, ...]:
    behind = pod("behind", tuning(1), **fields)
    return planned(pod("new", tuning(2)), behind, applied=tuning(2)).step.nudge


def test_pods_that_run_an_older_generation_are_nudged() -> None:
    assert nudges() == ("behind",)
    assert nudges(nudged_generation=1, nudged_at=NOW) == ("behind",)


def test_a_pod_that_was_nudged_is_given_time_and_then_nudged_again() -> None:
    assert nudges(nudged_generation=2, nudged_at=NOW - NUDGE_AGAIN_S + 1) == ()
    assert nudges(nudged_generation=2, nudged_at=NOW - NUDGE_AGAIN_S) == ("behind",)


def test_pods_that_go_or_do_not_answer_are_not_nudged() -> None:
    assert nudges(terminating=True) == ()
    assert nudges(report=None) == ()


# --- The engine's threads -------------------------------------------------------------------------

CHANNELS = spec(
    replicas=exactly(2),
    workers_per_pod=exactly(2),
    grpc_channels=exactly(4),
    db_pool_size=exactly(5),
    db_pool_overflow=exactly(0),
    engine=EngineSpec(stateful_set="engine", server_threads=Bounds(min=16, max=256)),
)
# Four pods at most, of two workers with four channels, and two others: two threads for each.
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
    # `act` writes them in that order, and nothing more where one cannot be written.
    assert with_channels(16, channels=1).step == Step(
        server_threads=THREADS, tuning=FOUR.replace(generation=2)
    )


def test_threads_go_only_when_no_pod_needs_them_any_more() -> None:
    fewer = CHANNELS.replace(api=CHANNELS.api.replace(grpc_channels=exactly(1)))
    shrinking = with_channels(THREADS, spec=fewer)
    assert shrinking.step.tuning is not None
    assert shrinking.step.server_threads is None
    assert with_channels(THREADS, channels=1, spec=fewer).step == Step(server_threads=20)


def test_channels_are_as_many_as_the_threads_allow() -> None:
    narrow = CHANNELS.replace(
        engine=EngineSpec(stateful_set="engine", server_threads=Bounds(min=16, max=48)),
        api=CHANNELS.api.replace(grpc_channels=Bounds(min=1, max=4)),
    )
    found = with_channels(48, spec=narrow)
    assert found.target is not None
    assert found.target.grpc_channels == 2
    assert found.binding == "engine.serverThreads.max of 48"


def test_minima_that_need_more_threads_than_there_may_be_are_explained() -> None:
    narrow = CHANNELS.replace(
        engine=EngineSpec(stateful_set="engine", server_threads=Bounds(min=16, max=32))
    )
    assert with_channels(32, spec=narrow).problem == (
        f"the least that the bounds allow needs {THREADS} engine threads, "
        "engine.serverThreads.max is 32: raise it"
    )


def test_the_threads_of_an_engine_that_cannot_be_asked_are_left_alone() -> None:
    one = CHANNELS.replace(
        api=CHANNELS.api.replace(grpc_channels=exactly(1)),
        engine=EngineSpec(stateful_set="engine", server_threads=Bounds(min=64, max=256)),
    )
    assert with_channels(None, channels=1, spec=one).step.empty
    assert with_channels(None, channels=1).step.server_threads is None


# --- What cannot be -------------------------------------------------------------------------------


def test_minima_that_do_not_fit_are_explained_and_nothing_is_written() -> None:
    found = planned(
        pod("1"),
        pod("2"),
        spec=spec(replicas=Bounds(min=2, max=4), connections=ConnectionsSpec(headroom=0)),
        database=small_database(13),
        memory=target(replicas=3),
    )
    assert not found.feasible
    assert found.step.empty
    assert found.problem == (
        "the least that the bounds allow is 4 pods at a time (those of api.replicas.min, and a "
        "rollout's) with 1 workers of 2+0 connections, and 3 for projector and migration: 11 "
        "connections, but the budget is 10 (13 of the server - 3 reserved - 0 headroom): lower "
        "api.replicas.min to 1, or raise the budget by 1"
    )
    assert found.memory.target == allocation(replicas=3), "what was planned is forgotten"


def test_what_others_hold_is_among_the_numbers() -> None:
    found = planned(pod(), database=small_database(20, used_connections=20))
    assert found.problem is not None
    assert "12 of others" in found.problem


def test_a_target_that_does_not_fit_is_cut_to_what_does() -> None:
    found = planned(
        pod(runs=tuning(db_pool_size=3)),
        applied=tuning(db_pool_size=3),
        memory=target(db_pool_size=8, db_pool_overflow=2),
        database=small_database(24),
    )
    assert found.target == allocation(db_pool_size=5)
    assert found.binding == (
        "the budget of 18 connections (24 of the server - 3 reserved - 3 headroom)"
    )


def test_a_wish_without_room_is_none_and_begins_no_cooldown() -> None:
    least = tuning(db_pool_size=2)
    memory = target(db_pool_size=2).replace(high_since=NOW - 1000)
    found = planned(
        pod(runs=least, load=load(cpu_cores=1)),
        applied=least,
        memory=memory,
        database=small_database(17),
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
        database=small_database(22),
    )
    assert found.target is not None
    assert found.target.workers == 1
    assert found.memory.pool_short_at is None


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"other_venue": "elder"}, "Venue elder, which is older, tunes api"),
        ({"deployment": None}, "there is no Deployment api"),
        (
            {"applied": None, "started_with": None},
            "what its pods start with cannot be read from the Deployment",
        ),
    ],
)
def test_what_is_not_its_own_or_not_there_is_left_alone(
    fields: dict[str, Any], sentence: str
) -> None:
    memory = target(replicas=4)
    found = plan(spec(), observation(pod(), **fields), memory, NOW)
    assert found.hold == found.problem == sentence
    assert found.step.empty
    assert found.memory == memory


@pytest.mark.parametrize("facts", [None, database(read_at=NOW - 16)])
def test_without_a_budget_nothing_grows(facts: Any) -> None:
    hot = pod(load=load(cpu_cores=1, pool_wait_ms=90))
    memory = target().replace(high_since=NOW - 1000, pool_high_since=NOW - 1000)
    found = planned(hot, database=facts, memory=memory)
    assert found.step.empty
    assert found.budget is None
    assert found.memory.changed_at is None
    assert found.next_step.startswith("waits for a pod that tells how many connections")


def test_without_a_budget_replicas_set_by_hand_are_put_right() -> None:
    found = planned(pod("1"), pod("2"), database=None, memory=target(replicas=1))
    assert found.step == Step(replicas=1)


# --- Modes and owners -----------------------------------------------------------------------------


def test_in_plan_mode_the_step_is_the_same_and_the_words_say_would() -> None:
    auto = planned(pod(), spec=spec(db_pool_size=exactly(3)))
    other = planned(pod(), spec=spec(db_pool_size=exactly(3), mode=Mode.PLAN))
    assert other.step == auto.step
    assert other.next_step == f"in mode Auto would write: {auto.next_step}"
    assert planned(pod(), spec=spec(mode=Mode.PLAN)).next_step.startswith("nothing")


def test_with_an_autoscaler_replicas_are_its_own_and_its_maximum_is_budgeted() -> None:
    pods = [pod(str(number)) for number in range(6)]
    found = planned(*pods, deployment=deployment(6, autoscaler_max=8), memory=target(replicas=2))
    assert found.step.empty
    assert found.target == allocation(replicas=6)
    assert found.budget is not None
    assert found.budget.pods_at_most == 10


def test_with_an_autoscaler_the_law_changes_workers_only() -> None:
    hot = [pod(str(number), load=load(cpu_cores=1)) for number in range(2)]
    found = planned(
        *hot,
        deployment=deployment(2, autoscaler_max=3),
        memory=target(replicas=2).replace(high_since=NOW - 1000),
    )
    assert found.step.replicas is None
    assert found.step.tuning == tuning(2, workers=2)
