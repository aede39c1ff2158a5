"""What is planned in which situation, and in which words."""

import msgspec
import pytest
from openvenue_operator.model import (
    ApiSpec,
    Bounds,
    ConnectionsSpec,
    Engine,
    EngineSpec,
    Memory,
    Mode,
    Plan,
    Situation,
    Step,
)
from openvenue_operator.plan import plan
from situations import DEPLOYMENT, LOAD, NOW, OBSERVATION, SPEC, TUNING, pod, report, situation


def planned(of: Situation) -> Plan:
    return plan(of.spec, of.observation, of.memory, of.now)


def test_a_venue_that_runs_what_it_should_is_left_alone() -> None:
    found = planned(situation())
    assert found.settled
    assert found.step == Step()
    assert found.next_step == "nothing: all pods run the target"


def test_the_same_situation_has_the_same_plan() -> None:
    first, second = planned(situation()), planned(situation())
    assert msgspec.json.encode(first) == msgspec.json.encode(second)


def test_a_situation_that_was_written_down_has_the_same_plan() -> None:
    before = situation()
    after = msgspec.json.decode(msgspec.json.encode(before), type=Situation)
    assert planned(after) == planned(before)


# --- Steps ----------------------------------------------------------------------------------------


def test_what_shrinks_is_written_before_what_grows() -> None:
    spec = SPEC.replace(
        api=ApiSpec(
            deployment="venue-api",
            workers_per_pod=Bounds(min=2, max=2),
            db_pool_size=Bounds(min=2, max=2),
            db_pool_overflow=Bounds(min=0, max=0),
        )
    )
    step = planned(situation(spec)).step
    assert step.tuning is not None
    assert (step.tuning.generation, step.tuning.workers) == (4, 1)
    assert (step.tuning.db_pool_size, step.tuning.db_pool_overflow) == (2, 0)

    shrunk = TUNING.replace(generation=4, db_pool_size=2, db_pool_overflow=0)
    behind = situation(
        spec,
        Memory(may_hold=4),
        applied=shrunk,
        pods=(pod("a", report(shrunk)), pod("b", report())),
    )
    found = planned(behind)
    assert found.step == Step(nudge=("b",)), "one pod has not taken it over"
    assert found.next_step == "waits for 1 pods to take over generation 4"

    all_did = behind.replace(
        observation=behind.observation.replace(
            pods=(pod("a", report(shrunk)), pod("b", report(shrunk)))
        )
    )
    grown = planned(all_did).step.tuning
    assert grown is not None
    assert (grown.generation, grown.workers, grown.db_pool_size) == (5, 2, 2)


@pytest.mark.parametrize(
    ("nudged_at", "again"), [(None, True), (NOW - 1, False), (NOW - 4.9, False), (NOW - 6, True)]
)
def test_a_pod_that_lags_is_nudged_again_after_a_while(
    nudged_at: float | None, again: bool
) -> None:
    applied = TUNING.replace(generation=4, log_level="INFO")
    behind = pod("b", report(), nudged_generation=4 if nudged_at else None, nudged_at=nudged_at)
    step = planned(
        situation(
            SPEC.replace(api=SPEC.api.replace(log_level="INFO")),
            Memory(may_hold=4),
            applied=applied,
            pods=(pod("a", report(applied)), behind),
        )
    ).step
    assert step.nudge == (("b",) if again else ())


def test_replicas_that_somebody_changed_are_set_back() -> None:
    target = planned(situation()).target
    assert target is not None
    step = planned(
        situation(memory=Memory(target=target), deployment=DEPLOYMENT.replace(replicas=4))
    ).step
    assert step.replicas == 2


def test_replicas_of_an_autoscaler_are_its_own_and_its_greatest_number_is_budgeted() -> None:
    scaled = DEPLOYMENT.replace(autoscaler_max=5)
    found = planned(situation(deployment=scaled))
    assert found.step.replicas is None
    assert found.budget is not None
    # Five, one more in a rollout, and one that drains meanwhile.
    assert found.budget.pods_at_most == 7
    assert found.budget.total == 7 * 4 + 3


def test_the_engines_threads_follow_the_sessions() -> None:
    spec = SPEC.replace(
        engine=EngineSpec(stateful_set="venue-engine", server_threads=Bounds(min=16, max=256))
    )
    found = planned(situation(spec))
    # Four pods at most with a session each, and two others: twelve threads, but 16 are the least.
    assert found.step.server_threads == 16


def test_an_engine_that_does_not_answer_is_told_nothing() -> None:
    found = planned(situation(engine=None))
    assert found.step == Step()
    assert found.settled
    again = planned(situation(memory=found.memory, engine=Engine(server_threads=32)))
    assert again.step == Step(server_threads=64)


# --- What keeps from planning ---------------------------------------------------------------------


def test_bounds_that_do_not_fit_change_nothing_and_say_what_would() -> None:
    spec = SPEC.replace(
        api=SPEC.api.replace(replicas=Bounds(min=2, max=4), db_pool_size=Bounds(min=5, max=9)),
        connections=ConnectionsSpec(cap=20, headroom=0),
    )
    found = planned(situation(spec))
    assert not found.feasible
    assert found.step == Step()
    assert found.problem is not None
    for words in ("4 pods", "23 connections", "budget is 20", "api.replicas.min to 1", "by 3"):
        assert words in found.problem


def test_another_older_venue_keeps_the_deployment() -> None:
    found = planned(situation(other_venue="elder"))
    assert found.step == Step()
    assert found.hold == "Venue elder, which is older, tunes venue-api"


def test_without_a_deployment_there_is_nothing_to_plan() -> None:
    found = planned(situation(deployment=None))
    assert found.hold == "there is no Deployment venue-api"


def test_as_long_as_nobody_knows_what_the_database_allows_nothing_grows() -> None:
    spec = SPEC.replace(api=SPEC.api.replace(db_pool_size=Bounds(min=6, max=6)))
    found = planned(situation(spec, database=None))
    assert found.step == Step()
    assert "how many connections" in found.next_step


def test_a_cap_above_what_the_server_allows_lets_nothing_grow_while_the_server_is_silent() -> None:
    spec = SPEC.replace(
        api=SPEC.api.replace(replicas=Bounds(min=2, max=2), db_pool_size=Bounds(min=9, max=9)),
        connections=ConnectionsSpec(cap=90),
    )
    server = OBSERVATION.database
    assert server is not None
    small = server.replace(max_connections=40)
    assert not planned(situation(spec, database=small)).feasible
    silent = planned(situation(spec, database=small.replace(read_at=NOW - 60)))
    assert silent.step == Step()
    assert silent.budget is None


def test_where_sessions_do_not_fit_pools_stay_as_they_are() -> None:
    spec = SPEC.replace(
        api=SPEC.api.replace(workers_per_pod=Bounds(min=1, max=8)),
        engine=EngineSpec(stateful_set="venue-engine", server_threads=Bounds(min=16, max=16)),
    )
    running = planned(situation()).target
    assert running is not None
    target = planned(situation(spec, Memory(target=running.replace(workers=2)))).target
    assert target is not None
    assert target.replicas * target.workers < 2 * 2
    assert (target.db_pool_size, target.db_pool_overflow) == (3, 1)


# --- Metrics --------------------------------------------------------------------------------------

BUSY = LOAD.replace(cpu_cores=0.95)
WANTED_LONG = Memory(high_since=NOW - 60)


def test_a_load_above_its_target_for_long_enough_asks_for_more_workers() -> None:
    busy = report(load=BUSY)
    found = planned(situation(memory=WANTED_LONG, pods=(pod("a", busy), pod("b", busy))))
    assert found.target is not None
    assert (found.target.workers, found.target.replicas) == (2, 2)
    assert found.reason == "workers use 95% of a processor: more workers"
    assert found.memory.changed_at == NOW


def test_old_metrics_change_nothing_and_say_so() -> None:
    old = report(load=BUSY, read_at=NOW - 60)
    found = planned(situation(memory=WANTED_LONG, pods=(pod("a", old), pod("b", old))))
    assert not found.fresh
    assert found.stale_because == "metrics are 60 s old"
    assert found.settled


def test_where_most_pods_say_nothing_the_load_is_not_known() -> None:
    pods = (pod("a", report(load=BUSY)), pod("b", None), pod("c", None))
    three = DEPLOYMENT.replace(replicas=3)
    found = planned(situation(memory=WANTED_LONG, deployment=three, pods=pods))
    assert not found.fresh
    assert found.stale_because == "2 of 3 pods do not say how they are: it does not answer"
    assert found.memory.changed_at is None


def test_a_pod_that_answers_nonsense_is_not_averaged_in() -> None:
    pods = (pod("a", report()), pod("b", report()), pod("c", None, problem="NaN"))
    found = planned(situation(deployment=DEPLOYMENT.replace(replicas=3), pods=pods))
    assert found.load["cpuPercent"] == pytest.approx(40)
    assert found.load["ordersPerSecond"] == pytest.approx(1000)


# --- Modes ----------------------------------------------------------------------------------------


def test_in_plan_mode_the_same_is_planned_and_said_to_be_no_more_than_that() -> None:
    spec = SPEC.replace(api=SPEC.api.replace(db_pool_size=Bounds(min=2, max=2)))
    auto = planned(situation(spec))
    would = planned(situation(spec.replace(mode=Mode.PLAN)))
    assert would.step == auto.step != Step()
    assert would.next_step == f"in mode Auto would write: {auto.next_step}"


def test_every_plan_explains_itself() -> None:
    for of in (situation(), situation(engine=None), situation(database=None)):
        found = planned(of)
        assert found.binding
        assert found.next_step
        assert found.reason
    names = [one.name for one in planned(situation()).inputs]
    assert names[0] == "ordersPerSecond"
    assert all(one.age_seconds == 1 for one in planned(situation()).inputs)
