"""The next step and its words, by example."""

from typing import Any

import msgspec
import pytest
from openvenue_operator.model import Memory, Situation, Step
from openvenue_operator.offline import plan_of
from openvenue_operator.spec import Bounds, Mode

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
    situation,
    spec,
    target,
    tuning,
)

# --- At rest, and at first ------------------------------------------------------------------------


@pytest.mark.parametrize("memory", [target(), Memory()])
def test_a_running_plan_is_left_alone(memory: Memory) -> None:
    found = planned(pod(), memory=memory)
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


def test_the_same_situation_has_the_same_plan_also_when_it_was_written_down() -> None:
    first, second = situation(pod("1"), pod("2")), situation(pod("1"), pod("2"))
    assert msgspec.json.encode(plan_of(first)) == msgspec.json.encode(plan_of(second))
    read = msgspec.json.decode(msgspec.json.encode(first), type=Situation)
    assert plan_of(read) == plan_of(first)


@pytest.mark.parametrize("fields", [{}, {"engine": None}, {"database": None}])
def test_every_plan_explains_itself(fields: dict[str, Any]) -> None:
    found = planned(pod(read_at=NOW - 1), **fields)
    assert found.binding
    assert found.next_step
    assert found.reason
    assert found.inputs[0].name == "ordersPerSecond"
    assert {one.age_seconds for one in found.inputs} == {1}


# --- Order of steps -------------------------------------------------------------------------------


def test_shrinking_is_written_before_growth() -> None:
    found = planned(pod(), memory=target(replicas=2, db_pool_size=3))
    assert found.step == Step(tuning=tuning(2, db_pool_size=3))


def test_growth_waits_until_every_pod_has_shrunk() -> None:
    applied = tuning(2, db_pool_size=3)
    fields: dict[str, Any] = {
        "applied": applied,
        "memory": target(replicas=2, db_pool_size=3).replace(may_hold=5),
    }
    found = planned(pod(), **fields)
    assert found.step.replicas is None
    assert found.next_step == "waits for api-1 to take over generation 2 (since 08:00:00)"
    assert planned(silent(), **fields).step == Step()
    assert planned(pod(runs=applied), **fields).step == Step(replicas=2)


def test_a_tuning_that_shrinks_and_grows_is_written_in_two() -> None:
    wide = tuning(1, db_pool_size=3, db_pool_overflow=1)
    less = tuning(2, db_pool_size=2)
    fields: dict[str, Any] = {
        "spec": spec(
            workers_per_pod=exactly(2), db_pool_size=exactly(2), db_pool_overflow=exactly(0)
        ),
        "memory": Memory(may_hold=4),
    }
    first = planned(pod("1", wide), pod("2", wide), applied=wide, **fields)
    assert first.step == Step(tuning=less)

    one_did = planned(pod("1", less), pod("2", wide), applied=less, **fields)
    assert one_did.step == Step(nudge=("2",))
    assert one_did.next_step == "waits for 2 to take over generation 2 (since 08:00:00)"

    all_did = planned(pod("1", less), pod("2", less), applied=less, **fields)
    assert all_did.step == Step(tuning=tuning(3, workers=2, db_pool_size=2))


def test_growth_waits_until_leaving_pods_have_gone() -> None:
    fields: dict[str, Any] = {
        "memory": target(replicas=2, db_pool_size=8),
        "spec": spec(replicas=exactly(2)),
        # Of 42, 36 are the venue's: four pods of 8, and 3.
        "database": database(max_connections=42),
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
    reached = target(replicas=1).replace(reached=True)
    by_hand = planned(pod("1"), pod("2"), pod("3"), memory=reached)
    assert by_hand.step == Step(replicas=1)
    assert by_hand.reason == "what runs was changed by somebody else: set back"
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


@pytest.mark.parametrize(("seconds_ago", "again"), [(1, False), (4.9, False), (5, True)])
def test_a_pod_that_was_nudged_is_given_time_and_then_nudged_again(
    seconds_ago: float, again: bool
) -> None:
    found = nudges(nudged_generation=2, nudged_at=NOW - seconds_ago)
    assert found == (("behind",) if again else ())


def test_pods_that_go_or_do_not_answer_are_not_nudged() -> None:
    assert nudges(terminating=True) == ()
    assert nudges(report=None) == ()


# --- Modes and owners -----------------------------------------------------------------------------


def test_in_plan_mode_the_step_is_the_same_and_the_words_say_would() -> None:
    auto = planned(pod(), spec=spec(db_pool_size=exactly(3)))
    other = planned(pod(), spec=spec(db_pool_size=exactly(3), mode=Mode.PLAN))
    assert other.step == auto.step != Step()
    assert other.next_step == f"in mode Auto would write: {auto.next_step}"
    assert planned(pod(), spec=spec(mode=Mode.PLAN)).next_step.startswith("nothing")


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
def test_foreign_and_missing_deployments_are_left_alone(
    fields: dict[str, Any], sentence: str
) -> None:
    memory = target(replicas=4)
    found = planned(pod(), memory=memory, **fields)
    assert found.hold == found.problem == sentence
    assert found.step.empty
    assert found.memory == memory


def test_with_an_autoscaler_replicas_are_its_own_and_its_maximum_is_budgeted() -> None:
    pods = [pod(str(number)) for number in range(6)]
    found = planned(*pods, deployment=deployment(6, autoscaler_max=8), memory=target(replicas=2))
    assert found.step.empty
    assert found.target == allocation(replicas=6)
    assert found.budget is not None
    # Eight, one more in a rollout, and one that drains meanwhile.
    assert found.budget.pods_at_most == 10
    assert found.budget.total == 10 * 5 + 3


def test_with_an_autoscaler_the_law_changes_workers_only() -> None:
    hot = [pod(str(number), load=load(cpu_cores=1)) for number in range(2)]
    found = planned(
        *hot,
        deployment=deployment(2, autoscaler_max=3),
        memory=target(replicas=2).replace(high_since=NOW - 1000),
    )
    assert found.step.replicas is None
    assert found.step.tuning == tuning(2, workers=2)
