"""A Venue's status describes its state, and is written only if it says something new."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
import yaml
from openvenue_operator.conditions import Condition
from openvenue_operator.model import EnginePod, Memory, Observation
from openvenue_operator.plan import plan
from openvenue_operator.spec import Mode, VenueSpec
from openvenue_operator.status import (
    FIGURES_INTERVAL_S,
    Status,
    json_form,
    paused_status,
    remembered,
    status_needs_write,
    status_of,
)

from tests.support.observed import (
    NOW,
    SPEC,
    allocation,
    database,
    deployment,
    exactly,
    load,
    observation,
    pod,
    silent,
    spec,
    tuning,
)

AT_REST = Memory(target=allocation(), may_hold=5)


def status(
    *pods: Any,
    spec: VenueSpec = spec(),  # noqa: B008
    previous: Status | None = None,
    memory: Memory = AT_REST,
    now: float = NOW,
    **fields: Any,
) -> Status:
    """Return the status of a venue with these pods."""
    seen: Observation = observation(*pods, **fields)
    found = plan(spec, seen, memory, now)
    return status_of(spec, seen, found, previous, now)


def condition(of: Status, kind: str) -> Condition:
    return next(one for one in of.conditions if one.type == kind)


def states(of: Status) -> dict[str, str]:
    return {one.type: one.status for one in of.conditions}


WELL = {
    "Ready": "True",
    "EngineReady": "True",
    "Progressing": "False",
    "Degraded": "False",
    "BudgetSatisfied": "True",
    "MetricsFresh": "True",
    "Tuned": "True",
}


# --- Conditions -----------------------------------------------------------------------------------


def test_a_venue_at_rest_is_well() -> None:
    assert states(status(pod())) == WELL


@pytest.mark.parametrize(
    ("pods", "fields", "differs"),
    [
        # A change under way.
        ((pod(),), {"spec": spec(db_pool_size=exactly(3))}, {"Progressing": "True", "Tuned": ""}),
        # A pod that does not start.
        (
            (pod(), silent(ready=False)),
            {"deployment": deployment(2), "memory": Memory(target=allocation(replicas=2))},
            {"Progressing": "True", "Degraded": "", "Tuned": ""},
        ),
        # No pod at all.
        (
            (),
            {"deployment": deployment(1)},
            {"Ready": "False", "Progressing": "True", "MetricsFresh": "False", "Tuned": ""},
        ),
        # Minima that do not fit.
        (
            (pod(),),
            {"spec": spec(replicas=exactly(4)), "database": database(max_connections=20)},
            {"Degraded": "True", "BudgetSatisfied": "False", "Tuned": ""},
        ),
        # An unknown database.
        ((pod(),), {"database": None}, {"BudgetSatisfied": "Unknown"}),
        # A spec that asks for something else and was never considered.
        (
            (pod(),),
            {"database": None, "spec": spec(replicas=exactly(2))},
            {"BudgetSatisfied": "Unknown", "Progressing": "True", "Tuned": ""},
        ),
        # Old metrics.
        ((pod(read_at=NOW - 60),), {}, {"MetricsFresh": "False"}),
        # Another Venue's Deployment.
        (
            (pod(),),
            {"other_venue": "elder"},
            {
                "Degraded": "True",
                "BudgetSatisfied": "Unknown",
                "MetricsFresh": "False",
                "Tuned": "",
            },
        ),
        # A step that could not be written.
        ((pod(),), {"obstacle": "helm owns spec.replicas"}, {"Degraded": "True", "Tuned": ""}),
        # More connections than allowed, until everything has shrunk that must.
        (
            (pod(runs=tuning(db_pool_size=9)),),
            {
                "applied": tuning(db_pool_size=9),
                "database": database(max_connections=25),
                "memory": Memory(target=allocation(db_pool_size=9)),
            },
            {"Progressing": "True", "BudgetSatisfied": "False", "Tuned": ""},
        ),
    ],
)
def test_each_condition_says_what_it_is_about(
    pods: tuple[Any, ...], fields: dict[str, Any], differs: dict[str, str]
) -> None:
    expected = {name: state or "False" for name, state in (WELL | differs).items()}
    assert states(status(*pods, **fields)) == expected


def test_degraded_is_not_said_of_a_pod_that_starts() -> None:
    starting = silent(ready=False)
    memory = Memory(target=allocation(replicas=2))
    found = status(pod(), starting, deployment=deployment(2), memory=memory)
    assert condition(found, "Degraded").reason == "Changing"
    assert (found.api and found.api.pods) == "1/2"


def test_each_is_about_the_generation_that_was_planned_for() -> None:
    found = status(pod(), generation=7)
    assert found.observed_generation == 7
    assert {one.observed_generation for one in found.conditions} == {7}


def test_a_condition_keeps_the_time_at_which_it_last_turned() -> None:
    def at(seconds: float) -> str:
        return datetime.fromtimestamp(NOW + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    first = status(pod())
    later = status(pod(read_at=NOW + 60), previous=first, now=NOW + 60)
    stale = status(pod(), previous=later, now=NOW + 120)
    assert condition(later, "MetricsFresh").last_transition_time == at(0)
    assert condition(stale, "MetricsFresh").last_transition_time == at(120)
    assert condition(stale, "Ready").last_transition_time == at(0)


# --- Figures --------------------------------------------------------------------------------------


def test_it_shows_the_running_api_and_its_load() -> None:
    runs = tuning(3, workers=2, db_pool_overflow=1)
    found = status(
        pod("1", runs, load=load(orders_per_s=410.4, p99_ms=12.4), db_connections=7),
        silent("2"),
        applied=runs,
        deployment=deployment(2),
    )
    form = json_form(found)
    assert form["api"] == {
        "pods": "2/2",
        "generation": "3, run by 1 of 2",
        "workers": 2,
        "pool": "5+1",
        "channels": 1,
        "replicas": 2,
        "readyReplicas": 2,
        "tunedReplicas": 1,
        "tuningGeneration": 3,
        "dbPoolSize": 5,
        "dbPoolOverflow": 1,
        "ordersPerSecond": 410,
        "p99Ms": 12,
    }
    assert form["connections"] == "7/94"
    assert form["connectionBudget"] == {"used": 7, "limit": 94, "worstCase": 51}
    assert form["engine"] == {"ready": True, "restarts": 0, "serverThreads": 64}


def test_its_plan_is_in_words_with_what_it_was_made_from_and_how_old_that_was() -> None:
    runs = tuning(3, workers=2, db_pool_overflow=1)
    busy = load(orders_per_s=410.44, cpu_cores=1.6, p99_ms=12.4, pool_wait_ms=0.5, in_flight=82)
    found = status(
        pod(runs=runs, load=busy, read_at=NOW - 3, db_in_use=3),
        applied=runs,
        memory=Memory(target=allocation(workers=2, db_pool_overflow=1)),
        database=database(used_connections=23, read_at=NOW - 4.6),
    )
    form = json_form(found.plan)
    assert form["target"] == "1 pod x 2 workers x (5+1), 1 channel; 64 engine threads"
    assert form["allocation"] == {
        "replicas": 1,
        "workers": 2,
        "dbPoolSize": 5,
        "dbPoolOverflow": 1,
        "grpcChannels": 1,
        "serverThreads": 64,
    }
    assert form["worstCase"] == "3 pods at most x 12 + 3 = 39 connections of 89"
    assert form["inputs"] == {
        "ordersPerSecond": "410.4, 3 s old",
        "cpuPercent": "80 of 70, 3 s old",
        "inFlightPercent": "1 of 50, 3 s old",
        "eventLoopLagMs": "1 of 20, 3 s old",
        "p99Ms": "12.4 of 50, 3 s old",
        "poolWaitMs": "0.5 of 5, 3 s old",
        "refusedPercent": "0, 3 s old",
        "connectionsInUse": "1.5, 3 s old",
        "databaseConnections": "23 of 100, 3 reserved, 5 s old",
    }


def test_figures_that_grow_old_are_the_last_known_ones_with_their_age() -> None:
    known = plan(SPEC, observation(pod(load=load(cpu_cores=0.5))), AT_REST, NOW).memory
    nothing: dict[str, Any] = {"memory": known, "now": NOW + 90, "database": None}
    for found in (
        status(silent(), **nothing),
        status(**nothing),
        status(pod(load=load(cpu_cores=0.5)), **nothing),
    ):
        assert condition(found, "MetricsFresh").status == "False"
        assert found.plan.inputs is not None
        assert found.plan.inputs["cpuPercent"] == "50 of 70, 90 s old"
        assert found.plan.inputs["databaseConnections"] == "0 of 100, 3 reserved, 90 s old"
        assert found.api is not None
        assert found.api.orders_per_second is None


def test_the_durable_memory_comes_back_and_windows_do_not() -> None:
    memory = Memory(
        target=allocation(),
        changed_at=NOW - 10.25,
        may_hold=5,
        pool_short_at=4,
        pool_short_seen_at=NOW - 50,
        pool_held_until=NOW + 50,
        pods_at_most=4,
        pods_at_most_until=NOW + 60,
        reason="larger pools",
        reached=True,
        high_since=NOW - 5,
        pool_low_since=NOW - 5,
    )
    written = status(pod(load=load(cpu_cores=1)), memory=memory)
    lost = {"high_since": None, "pool_low_since": None}
    assert remembered(written) == memory.replace(**lost)
    assert remembered(None) == Memory()
    assert remembered(written.replace(memory="{")) == Memory()


@pytest.mark.parametrize(
    "found",
    [
        status(pod()),
        status(pod(), other_venue="elder"),
        status(deployment=None),
        status(pod(load=None), database=None, memory=Memory()),
    ],
)
def test_it_comes_back_from_the_api_server_as_it_was(found: Status) -> None:
    assert msgspec.convert(json.loads(json.dumps(json_form(found))), Status) == found


@pytest.mark.parametrize(
    ("fields", "lines"),
    [
        ({}, 90),
        ({"spec": spec(replicas=exactly(4))}, 90),
        ({"spec": spec(workers_per_pod=exactly(2), mode=Mode.PLAN)}, 90),
        ({"now": NOW + 60}, 90),
        ({"spec": spec(replicas=exactly(4)), "database": database(max_connections=15)}, 98),
    ],
)
def test_it_fits_two_screens(fields: dict[str, Any], lines: int) -> None:
    memory = AT_REST.replace(target=allocation(replicas=2), changed_at=NOW - 123.45678)
    found = status(pod(), pod("2"), **{"memory": memory, **fields})
    # As wide as `kubectl get --output yaml` prints it.
    shown = yaml.safe_dump({"status": json_form(found)}, width=80)
    assert len(shown.splitlines()) <= lines, shown


def test_a_condition_that_is_well_says_no_more() -> None:
    assert [one.message for one in status(pod()).conditions] == [None] * 7


def test_a_spec_that_does_not_fit_is_told_by_the_condition_and_as_the_next_step() -> None:
    clash: dict[str, Any] = {
        "spec": spec(replicas=exactly(4)),
        "database": database(max_connections=20),
    }
    found = status(pod(), **clash)
    said = condition(found, "BudgetSatisfied").message
    assert said is not None
    assert "raise the budget by" in said
    assert found.plan.next_step == f"nothing: {said}"
    assert condition(found, "Degraded").reason == "Infeasible"


# --- When it is written ---------------------------------------------------------------------------


def test_the_first_one_is_written() -> None:
    assert status_needs_write(None, status(pod()), NOW)


def test_at_rest_it_is_not_written_however_often_one_looks() -> None:
    written = status(pod())
    for seconds in range(0, 4000, 2):
        now = NOW + seconds
        idle = pod(read_at=now - seconds % 5, db_connections=1 + seconds % 3)
        seen = database(read_at=now, used_connections=5 + seconds % 4)
        found = status(idle, previous=written, now=now, database=seen)
        assert not status_needs_write(written, found, now)


def test_under_load_noise_is_not_written_and_what_moves_is_from_time_to_time() -> None:
    def under(orders_per_s: float, after_s: float) -> Status:
        now = NOW + after_s
        busy = pod(read_at=now, load=load(orders_per_s=orders_per_s))
        return status(busy, now=now, database=database(read_at=now))

    written = under(1000, 0)
    later_s = FIGURES_INTERVAL_S
    assert not status_needs_write(written, under(1149, later_s), NOW + later_s)
    assert status_needs_write(written, under(1151, later_s), NOW + later_s)
    assert not status_needs_write(written, under(9000, later_s - 1), NOW + later_s - 1)


def test_changes_of_others_connections_are_noise_too() -> None:
    def beside(others: int, after_s: float = 0, **fields: Any) -> Status:
        return status(pod(), database=database(used_connections=8 + others), **fields)

    written = beside(20)
    assert not status_needs_write(written, beside(22), NOW + 1)
    assert not status_needs_write(written, beside(24), NOW + 100)
    assert status_needs_write(written, beside(40), NOW + 100)
    clash: dict[str, Any] = {"spec": spec(replicas=exactly(20))}
    assert not status_needs_write(beside(60, **clash), beside(62, **clash), NOW + 1)


@pytest.mark.parametrize(
    "fields",
    [
        {"generation": 2},
        {"spec": spec(db_pool_size=exactly(3))},
        {"database": None},
        {"other_venue": "elder"},
        {"obstacle": "helm owns spec.replicas"},
        {"memory": AT_REST.replace(changed_at=NOW)},
        {"deployment": deployment(2)},
    ],
)
def test_whatever_else_changes_is_written_at_once(fields: dict[str, Any]) -> None:
    assert status_needs_write(status(pod()), status(pod(), **fields), NOW + 1)


def test_another_reason_for_old_metrics_is_written_and_their_age_is_not() -> None:
    def stale(*pods: Any, now: float) -> Status:
        return status(*pods, now=now, database=None)

    written = stale(pod(), now=NOW + 20)
    assert not status_needs_write(written, stale(pod(), now=NOW + 25), NOW + 25)
    assert status_needs_write(written, stale(pod(load=None), now=NOW + 25), NOW + 25)


# --- Pods that are late, the engine, and mode Paused ----------------------------------------------


def test_a_pod_that_is_late_is_named_and_after_its_deadline_the_venue_is_degraded() -> None:
    waits = {"scheduled": False, "waits_for": "0/1 nodes are available: 1 Insufficient cpu"}
    pending = silent("api-2", ready=False, unready_since=NOW - 250, **waits)
    fields: dict[str, Any] = {
        "deployment": deployment(2),
        "memory": Memory(target=allocation(replicas=2)),
        "spec": spec(replicas=exactly(2)),
    }
    early = status(pod(), pending, **fields)
    assert condition(early, "Degraded").status == "False"
    assert condition(early, "Progressing").status == "True"
    late = status(pod(read_at=NOW + 60), pending, now=NOW + 60, **fields)
    found = condition(late, "Degraded")
    assert (found.status, found.reason) == ("True", "PodOverdue")
    assert found.message == (
        "api-2 (Unschedulable: 0/1 nodes are available: 1 Insufficient cpu; since 07:55:50)"
    )
    assert condition(late, "Progressing").reason == "PodOverdue"
    (told,) = json_form(late)["latePods"]
    assert told == {
        "name": "api-2",
        "reason": "Unschedulable",
        "message": "0/1 nodes are available: 1 Insufficient cpu",
        "since": "2027-01-15T07:55:50Z",
        "overdue": True,
    }


def test_the_engine_has_a_condition_with_the_words_of_its_pod() -> None:
    crashing = EnginePod(
        name="engine-0",
        ready=False,
        restarts=5,
        since=NOW - 60,
        waits_for="CrashLoopBackOff, exit status 4 (Error)",
    )
    found = status(pod(), engine=None, engine_pod=crashing)
    said = condition(found, "EngineReady")
    assert (said.status, said.reason) == ("False", "PodNotReady")
    assert said.message == (
        "engine-0: CrashLoopBackOff, exit status 4 (Error), 5 restarts; since 07:59:00"
    )
    assert "engine-0 is not ready: CrashLoopBackOff" in found.plan.next_step
    assert condition(status(pod(), engine_pod=None), "EngineReady").reason == "NoPod"


def test_paused_is_said_as_the_next_step_once_and_what_was_known_stays() -> None:
    before = status(pod(), spec=spec(mode=Mode.PLAN, replicas=exactly(3)))
    assert before.plan.next_step.startswith("in mode Auto would write")
    found = paused_status(before, 7, NOW + 60)
    assert found.plan.next_step == "nothing: mode is Paused"
    assert found.observed_generation == 7
    assert condition(found, "Progressing").reason == "Paused"
    assert (found.api, found.memory) == (before.api, before.memory)
    assert paused_status(found, 7, NOW + 600) == found
    assert paused_status(None, 7, NOW).plan.next_step == "nothing: mode is Paused"


def test_a_pending_wish_says_since_when_and_when_it_comes() -> None:
    short = pod(load=load(pool_wait_ms=239))
    memory = AT_REST.replace(pool_high_since=NOW - 20, changed_at=NOW - 10)
    assert status(short, memory=memory).plan.next_step == (
        "larger pools: queries wait 239 ms of 5 for a connection, since 20 s; changes at 08:00:50 "
        "(cooldown)"
    )
    late = memory.replace(changed_at=NOW - 59)
    assert "changes at 08:00:10 (window)" in status(short, memory=late).plan.next_step


def test_a_bound_that_holds_is_named() -> None:
    short = pod(load=load(pool_wait_ms=100))
    full = spec(db_pool_size=exactly(5), db_pool_overflow=exactly(0))
    found = status(short, spec=full, memory=AT_REST.replace(pool_high_since=NOW - 100))
    said = (
        "api.dbPoolSize.max of 5 and api.dbPoolOverflow.max of 0, though queries wait 100 ms of 5 "
        "for a connection"
    )
    assert found.plan.binding == said
    assert found.plan.next_step == f"nothing: held by {said}"


def test_the_reason_of_the_last_change_is_kept() -> None:
    memory = AT_REST.replace(reason="queries wait: larger pools", reached=True)
    found = status(pod(), memory=memory)
    assert found.plan.reason == "queries wait: larger pools"
    assert remembered(found).reason == "queries wait: larger pools"


OLD = """{"observedGeneration": 4, "connections": "18/94", "api": {"pods": "2/2", "workers": 2,
"generation": "3, run by 2 of 2", "pool": "5+0", "channels": 1, "ordersPerSecond": 1850,
"p99Ms": 14}, "conditions": [{"type": "Ready", "status": "True", "reason": "PodsReady",
"lastTransitionTime": "2026-11-30T10:00:00Z", "observedGeneration": 4}], "plan": {"nextStep":
"nothing: all pods run the target", "binding": "the load: workers use 40% of a processor",
"reason": "the load is as it was", "target": "2 pods x 2 workers x (5+0), 1 channels; 64 engine
threads", "worstCase": "4 pods at most x 10 + 3 = 43 connections of 94", "inputs": {"cpuPercent":
"40 of 70, 3 s old"}, "madeAt": "2026-11-30T11:00:00Z"}, "memory":
"{\\"poolShortAt\\":4,\\"mayHold\\":10,\\"changedAt\\":1764496800.5,\\"target\\":{\\"replicas\\":2,\\"workers\\":2,\\"dbPoolSize\\":5,\\"dbPoolOverflow\\":0,\\"grpcChannels\\":1,\\"serverThreads\\":64}}"}
"""


def test_the_status_of_the_version_before_is_read() -> None:
    old = msgspec.convert(json.loads(OLD.replace("\n", " ")), Status)
    assert remembered(old) == Memory(
        pool_short_at=4,
        may_hold=10,
        changed_at=1764496800.5,
        target=allocation(replicas=2, workers=2),
    )
    assert status_needs_write(old, status(pod()), NOW)
