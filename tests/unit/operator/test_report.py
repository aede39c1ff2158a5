"""Changes that are worth an Event, and the form of messages to the API server."""

from typing import Any

import msgspec
from openvenue_operator.model import (
    Deployment,
    Engine,
    Observation,
    Step,
    Tuning,
)
from openvenue_operator.report import changes, fitting_note, turns
from openvenue_operator.spec import ApiSpec, EngineSpec, VenueSpec
from openvenue_operator.status import Remembered, json_form

SPEC = VenueSpec(api=ApiSpec(deployment="api"), engine=EngineSpec(stateful_set="engine"))
TUNING = Tuning(
    generation=3, workers=2, db_pool_size=3, db_pool_overflow=1, grpc_channels=1, log_level="INFO"
)
OBSERVED = Observation(
    generation=1,
    deployment=Deployment(
        uid="uid",
        replicas=2,
        max_surge=1,
        max_unavailable=0,
        min_ready_seconds=0,
        grace_seconds=30,
        rolling_out=False,
        autoscaler_max=None,
    ),
    pods=(),
    applied=TUNING,
    started_with=None,
    database=None,
    engine=Engine(server_threads=64),
    other_venue=None,
)


def status(**conditions: str) -> dict[str, Any]:
    return {
        "conditions": [
            {"type": name, "status": value, "reason": f"{name}Reason", "message": "why"}
            for name, value in conditions.items()
        ]
    }


def test_a_condition_that_turns_is_told_with_its_reason() -> None:
    (bad,) = turns(status(MetricsFresh="True"), status(MetricsFresh="False"))
    assert (bad.kind, bad.reason) == ("Warning", "MetricsFreshReason")
    assert bad.note == "MetricsFresh is False: why"
    (good,) = turns(status(Degraded="True"), status(Degraded="False"))
    assert good.kind == "Normal"


def test_a_condition_that_stays_is_not_told_again() -> None:
    assert turns(status(Degraded="True"), status(Degraded="True")) == []


def test_at_first_only_bad_conditions_make_events() -> None:
    after = status(Ready="True", Degraded="False", BudgetSatisfied="False", MetricsFresh="True")
    assert [one.reason for one in turns({}, after)] == ["BudgetSatisfiedReason"]


def test_every_venues_first_conditions_make_no_event() -> None:
    after = {
        "conditions": [
            {"type": "Ready", "status": "False", "reason": "NoPodReady"},
            {"type": "EngineReady", "status": "False", "reason": "PodNotReady"},
            {"type": "BudgetSatisfied", "status": "Unknown", "reason": "Unknown"},
            {"type": "MetricsFresh", "status": "False", "reason": "Stale"},
        ]
    }
    assert turns({}, after) == []
    assert len(turns(status(Ready="True"), after)) == 1


def test_effects_of_changes_make_no_further_event() -> None:
    assert turns(status(Tuned="True"), status(Tuned="False", Progressing="True")) == []


def test_changes_say_from_what_to_what_and_why() -> None:
    step = Step(
        tuning=msgspec.structs.replace(TUNING, generation=4, workers=3, log_level="DEBUG"),
        replicas=4,
        server_threads=128,
        nudge=("pod",),
    )
    found = {one.reason: one.note for one in changes(OBSERVED, step, "too much work", SPEC)}
    assert found == {
        "TuningChanged": "generation 4: workers 2 to 3, log_level INFO to DEBUG: too much work",
        "Scaled": "api from 2 to 4 pods: too much work",
        "EngineTuned": "threads from 64 to 128: for the sessions that there may be",
    }


def test_a_step_that_only_nudges_changes_nothing() -> None:
    assert changes(OBSERVED, Step(nudge=("pod",)), "", SPEC) == []


def test_null_fields_are_absent() -> None:
    form = json_form(Remembered(changed_at=1.5))
    assert form == {"changedAt": 1.5}


def test_a_note_is_cut_to_what_the_api_server_takes_and_never_within_a_character() -> None:
    assert fitting_note("short") == "short"
    assert fitting_note("x" * 1023 + "€") == "x" * 1023
    assert len(fitting_note("€" * 1000).encode()) == 1023
