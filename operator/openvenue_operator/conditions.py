"""The conditions of a Venue: their types, their reasons, and the rule for each.

A condition has no message if it is well, or if another one says the same.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple

from openvenue_operator import messages
from openvenue_operator.budget import in_words
from openvenue_operator.model import Observation, Plan
from openvenue_operator.phrases import at, count
from openvenue_operator.spec import Value

TIME = "%Y-%m-%dT%H:%M:%SZ"


class Type(StrEnum):
    """Subject of a condition."""

    READY = "Ready"
    ENGINE_READY = "EngineReady"
    PROGRESSING = "Progressing"
    DEGRADED = "Degraded"
    BUDGET_SATISFIED = "BudgetSatisfied"
    METRICS_FRESH = "MetricsFresh"
    TUNED = "Tuned"


class Reason(StrEnum):
    """Cause of a condition's state, in a word for programs."""

    PODS_READY = "PodsReady"
    NO_POD_READY = "NoPodReady"
    ENGINE_POD_READY = "PodReady"
    ENGINE_POD_NOT_READY = "PodNotReady"
    NO_ENGINE_POD = "NoPod"
    SETTLED = "Settled"
    CHANGING = "Changing"
    PAUSED = "Paused"
    WELL = "Well"
    INFEASIBLE = "Infeasible"
    HELD = "Held"
    OBSTACLE = "Obstacle"
    POD_OVERDUE = "PodOverdue"
    WITHIN = "Within"
    EXCEEDED = "Exceeded"
    UNKNOWN = "Unknown"
    FRESH = "Fresh"
    STALE = "Stale"
    TARGET_RUNS = "TargetRuns"
    TARGET_DOES_NOT_RUN = "TargetDoesNotRun"


class Condition(Value, frozen=True, kw_only=True):
    """A condition in Kubernetes' form."""

    type: str
    status: str
    """True, False or Unknown."""
    reason: str
    message: str | None = None
    last_transition_time: str
    observed_generation: int


class Found(NamedTuple):
    """A condition without the time of its last change."""

    type: Type
    state: bool | None
    """None: unknown."""
    reason: Reason
    message: str | None


def conditions_of(
    observation: Observation, plan: Plan, before: Sequence[Condition], now: float
) -> tuple[Condition, ...]:
    """Return the conditions in the order of reading.

    Unchanged ones keep the time of their last change from `before`.
    """
    found = (
        _ready(observation),
        _engine_ready(observation),
        _progressing(plan, observation),
        _degraded(plan, observation),
        _budget_satisfied(plan),
        _metrics_fresh(plan),
        _tuned(plan, observation),
    )
    return tuple(_condition(one, observation.generation, before, now) for one in found)


def paused(before: Sequence[Condition], generation: int, now: float) -> tuple[Condition, ...]:
    """Return the conditions of a Venue that the operator leaves alone from now on."""
    found = Found(Type.PROGRESSING, False, Reason.PAUSED, "mode is Paused: nothing is done")
    condition = _condition(found, generation, before, now)
    others = [one for one in before if one.type != Type.PROGRESSING]
    return (*others, condition)


def rfc3339(now: float) -> str:
    """Return a time in the API server's form, to the second."""
    return datetime.fromtimestamp(now, UTC).strftime(TIME)


def seconds_of(time: str | None) -> float:
    """Return the Unix seconds of a time from `rfc3339`; for None the distant past."""
    if time is None:
        return 0.0
    return datetime.strptime(time, TIME).replace(tzinfo=UTC).timestamp()


def ready_pods(observation: Observation) -> int:
    """Return the number of pods that get clients."""
    return sum(pod.ready and not pod.terminating for pod in observation.pods)


def _problem(plan: Plan, observation: Observation) -> str | None:
    return plan.problem or observation.obstacle


def _ready(observation: Observation) -> Found:
    if ready_pods(observation) > 0:
        return Found(Type.READY, True, Reason.PODS_READY, None)
    wanted = observation.deployment.replicas if observation.deployment else 0
    return Found(Type.READY, False, Reason.NO_POD_READY, f"0 of {count(wanted, 'pod')}")


def _engine_ready(observation: Observation) -> Found:
    pod = observation.engine_pod
    if pod is None:
        return Found(Type.ENGINE_READY, False, Reason.NO_ENGINE_POD, "the engine has no pod")
    if pod.ready:
        return Found(Type.ENGINE_READY, True, Reason.ENGINE_POD_READY, None)
    restarts = f", {count(pod.restarts, 'restart')}" if pod.restarts else ""
    message = f"{pod.name}: {pod.waits_for}{restarts}; since {at(pod.since)}"
    return Found(Type.ENGINE_READY, False, Reason.ENGINE_POD_NOT_READY, message)


def _progressing(plan: Plan, observation: Observation) -> Found:
    if plan.settled:
        return Found(Type.PROGRESSING, False, Reason.SETTLED, None)
    if plan.hold is not None or _problem(plan, observation) is not None:
        return Found(Type.PROGRESSING, False, Reason.CHANGING, None)
    if plan.overdue and plan.step.empty:
        return Found(Type.PROGRESSING, False, Reason.POD_OVERDUE, None)
    return Found(Type.PROGRESSING, True, Reason.CHANGING, plan.next_step)


def _degraded(plan: Plan, observation: Observation) -> Found:
    problem = _problem(plan, observation)
    if plan.hold is not None:
        return Found(Type.DEGRADED, True, Reason.HELD, plan.hold)
    if plan.problem is not None:
        message = "BudgetSatisfied says which numbers clash"
        return Found(Type.DEGRADED, True, Reason.INFEASIBLE, message)
    if problem is not None:
        return Found(Type.DEGRADED, True, Reason.OBSTACLE, problem)
    if plan.overdue:
        message = f"{messages.pods_in_words(plan.overdue)}{messages.details(plan.overdue)}"
        return Found(Type.DEGRADED, True, Reason.POD_OVERDUE, message)
    wanted = observation.deployment.replicas if observation.deployment else 0
    is_well = plan.settled or ready_pods(observation) >= wanted
    return Found(Type.DEGRADED, False, Reason.WELL if is_well else Reason.CHANGING, None)


def _budget_satisfied(plan: Plan) -> Found:
    budget = plan.budget
    if budget is None:
        message = "no pod tells what the database allows"
        return Found(Type.BUDGET_SATISFIED, None, Reason.UNKNOWN, message)
    if plan.problem is not None and plan.hold is None:
        return Found(Type.BUDGET_SATISFIED, False, Reason.INFEASIBLE, plan.problem)
    if budget.total <= budget.limit:
        return Found(Type.BUDGET_SATISFIED, True, Reason.WITHIN, None)
    return Found(Type.BUDGET_SATISFIED, False, Reason.EXCEEDED, in_words(budget))


def _metrics_fresh(plan: Plan) -> Found:
    reason = Reason.FRESH if plan.fresh else Reason.STALE
    return Found(Type.METRICS_FRESH, plan.fresh, reason, plan.stale_because)


def _tuned(plan: Plan, observation: Observation) -> Found:
    reason = Reason.TARGET_RUNS if plan.settled else Reason.TARGET_DOES_NOT_RUN
    state = plan.settled and _problem(plan, observation) is None
    return Found(Type.TUNED, state, reason, None)


def _condition(found: Found, generation: int, before: Sequence[Condition], now: float) -> Condition:
    status = "Unknown" if found.state is None else str(found.state)
    same = next((one for one in before if (one.type, one.status) == (found.type, status)), None)
    return Condition(
        type=found.type.value,
        status=status,
        reason=found.reason.value,
        message=found.message,
        last_transition_time=same.last_transition_time if same else rfc3339(now),
        observed_generation=generation,
    )
