"""A Venue's status, made from a plan: what is well, what is not, and what happens next.

The API server leaves out what is null, so whatever may be has that as its default; and it makes
null of an object that has become empty, so those that may be empty are left out as well.

It fits a screen: what people read is in words, one line each, and no two say the same. A condition
that is well has no message. What the operator itself reads again is one line of JSON.

It is written only where it says something new: an idle venue's stays as it is, and of one under
load the figures are renewed from time to time, where they have moved by more than their noise.
"""

import json
import re
from datetime import UTC, datetime
from typing import Any

import msgspec

from openvenue_operator.budget import in_words
from openvenue_operator.model import (
    Allocation,
    Memory,
    Observation,
    Plan,
    Value,
    VenueSpec,
)

FIGURES_INTERVAL_S = 30.0
"""Where nothing but figures has moved, the status is written at most so often."""
NOISE_SHARE = 0.15
"""A figure that has moved by less than this share of itself has not moved."""
NOISE_FLOOR = 5.0
"""Nor has one that has moved by less than this: orders a second, milliseconds, percent."""

_Found = tuple[str, bool | None, str, str | None]
"""A condition's type, status, reason and message."""
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_FIGURES = re.compile(r"\d+")


class Condition(Value, frozen=True, kw_only=True):
    """A condition in Kubernetes' form."""

    type: str
    status: str
    """True, False or Unknown."""
    reason: str
    message: str | None = None
    last_transition_time: str
    observed_generation: int


class ApiStatus(Value, frozen=True, kw_only=True):
    """The API as it runs, and what it bears."""

    pods: str
    """Ready of wanted."""
    generation: str
    """Of the applied tuning (0: none yet), and which pods of all run it."""
    workers: int
    """A pod."""
    pool: str
    """Kept and further connections of a worker."""
    channels: int
    """A worker."""
    orders_per_second: int | None = None
    """None: not known now."""
    p99_ms: int | None = None


class PlanStatus(Value, frozen=True, kw_only=True):
    """What the operator is about, and why."""

    next_step: str
    binding: str
    reason: str
    target: str | None = None
    worst_case: str | None = None
    inputs: dict[str, str] | None = None
    """By name: the figure, its target and how old it is; what the database says of itself."""
    made_at: str | None = None
    """None where nothing was observed."""


class Remembered(Value, frozen=True, kw_only=True):
    """What outlives the process of what the law remembers; the rest begins anew."""

    pool_short_at: int | None = None
    may_hold: int | None = None
    changed_at: float | None = None
    target: Allocation | None = None


class Status(Value, frozen=True, kw_only=True):
    """`status` of a Venue."""

    observed_generation: int
    api: ApiStatus | None = None
    connections: str
    """Database connections that the venue's pods hold, of the budget."""
    conditions: tuple[Condition, ...]
    plan: PlanStatus
    memory: str | None = None
    """`Remembered`, as JSON."""


def status_of(
    spec: VenueSpec, observation: Observation, plan: Plan, previous: Status | None, now: float
) -> Status:
    """Say how a venue is. Conditions keep the time at which they last changed."""
    current = plan.current
    deployment = observation.deployment
    ready = sum(pod.ready and not pod.terminating for pod in observation.pods)
    reports = [pod.report for pod in observation.pods if pod.report is not None]
    used = sum(report.db_connections for report in reports) if reports else None
    budget = plan.budget.limit if plan.budget else None
    return Status(
        observed_generation=observation.generation,
        api=None
        if current is None or deployment is None
        else ApiStatus(
            pods=f"{ready}/{deployment.replicas}",
            generation=f"{observation.applied.generation if observation.applied else 0}, "
            f"run by {plan.running} of {plan.pods}",
            workers=current.workers,
            pool=f"{current.db_pool_size}+{current.db_pool_overflow}",
            channels=current.grpc_channels,
            orders_per_second=round(plan.load["ordersPerSecond"]) if plan.load else None,
            p99_ms=round(plan.load["p99Ms"]) if plan.load else None,
        ),
        connections=f"{_or_unknown(used)}/{_or_unknown(budget)}",
        conditions=_conditions(observation, plan, ready, previous, now),
        plan=plan_status(plan, now),
        memory=_memory_text(plan.memory),
    )


def plan_status(plan: Plan, now: float) -> PlanStatus:
    """Say what is to be done, and why: `status.plan`."""
    return PlanStatus(
        next_step=plan.next_step,
        binding=plan.binding,
        reason=plan.reason,
        target=None if plan.target is None else _target_in_words(plan.target),
        worst_case=None if plan.budget is None else in_words(plan.budget),
        inputs=_inputs_in_words(plan, now) or None,
        made_at=_time(now),
    )


def remembered(status: Status | None) -> Memory:
    """What the last operator left: its target and when it changed it.

    Not since when the load was high or low, which nobody has followed in between.
    """
    if status is None or status.memory is None:
        return Memory()
    try:
        left = msgspec.json.decode(status.memory, type=Remembered)
    except msgspec.MsgspecError:  # Somebody has edited it.
        return Memory()
    return Memory(
        pool_short_at=left.pool_short_at,
        may_hold=left.may_hold,
        changed_at=left.changed_at,
        target=left.target,
    )


def _memory_text(memory: Memory) -> str | None:
    kept = Remembered(
        pool_short_at=memory.pool_short_at,
        may_hold=memory.may_hold,
        changed_at=memory.changed_at,
        target=memory.target,
    )
    return None if kept == Remembered() else json.dumps(json_form(kept), separators=(",", ":"))


def _target_in_words(target: Allocation) -> str:
    return (
        f"{target.replicas} pods x {target.workers} workers x ({target.db_pool_size}+"
        f"{target.db_pool_overflow}), {target.grpc_channels} channels; "
        f"{target.server_threads} engine threads"
    )


def _inputs_in_words(plan: Plan, now: float) -> dict[str, str]:
    """Say each figure with its target and age, the database's own in one line."""
    said = {}
    for one in plan.inputs:
        target = "" if one.target is None else f" of {_number(one.target)}"
        said[one.name] = f"{_number(one.value)}{target}, {one.age_seconds:.0f} s old"
    if (database := plan.database) is not None:
        said["databaseConnections"] = (
            f"{database.used_connections} of {database.max_connections}, "
            f"{database.reserved_connections} reserved, {now - database.read_at:.0f} s old"
        )
    return said


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def json_form(value: msgspec.Struct) -> Any:
    """Return a value as an object of the API server, where nothing is null: it is absent."""
    return _without_nulls(msgspec.to_builtins(value))


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(one) for key, one in value.items() if one is not None}
    if isinstance(value, list | tuple):
        return [_without_nulls(one) for one in value]
    return value


def status_needs_write(previous: Status | None, status: Status, now: float) -> bool:
    """Whether a status says something that the one before it does not."""
    if previous is None or _told(previous) != _told(status):
        return True
    if now - _seconds(previous.plan.made_at) < FIGURES_INTERVAL_S:
        return False
    return any(
        _has_moved(before, after)
        for before, after in zip(_figures(previous), _figures(status), strict=True)
    )


def _told(status: Status) -> Any:
    """What is worth a write whenever it changes: all but figures, and times that only go on."""
    plan = status.plan
    return (
        status.observed_generation,
        status.api and status.api.replace(orders_per_second=None, p99_ms=None),
        status.connections.endswith("/?"),
        status.api is None or status.api.orders_per_second is None,
        [
            (one.type, one.status, one.reason, _without_figures(one.message or ""))
            for one in status.conditions
        ],
        (_without_figures(plan.next_step), plan.target),
        # The limit goes with what others hold of the database.
        plan.worst_case and plan.worst_case.rpartition(" of ")[0],
        status.memory,
    )


def _without_figures(words: str) -> str:
    return _FIGURES.sub("#", words)


def _figures(status: Status) -> list[float]:
    api = status.api
    return [
        *(0.0 if part == "?" else float(part) for part in status.connections.split("/")),
        float((api and api.orders_per_second) or 0),
        float((api and api.p99_ms) or 0),
    ]


def _has_moved(before: float, after: float) -> bool:
    return abs(after - before) > max(NOISE_FLOOR, NOISE_SHARE * abs(before))


def _conditions(
    observation: Observation, plan: Plan, ready: int, previous: Status | None, now: float
) -> tuple[Condition, ...]:
    """Return the conditions, in the order in which one looks at them.

    One that is well, or says what another says, has no message.
    """
    problem = plan.problem or observation.obstacle
    wanted = observation.deployment.replicas if observation.deployment else 0
    progressing = not plan.settled and plan.hold is None and problem is None
    found: list[_Found] = [
        (
            "Ready",
            ready > 0,
            "PodsReady" if ready else "NoPodReady",
            None if ready else f"0 of {wanted} pods",
        ),
        (
            "Progressing",
            progressing,
            "Settled" if plan.settled else "Changing",
            plan.next_step if progressing else None,
        ),
        _degraded(problem, ready, wanted, plan),
        _budget_satisfied(plan),
        (
            "MetricsFresh",
            plan.fresh,
            "Fresh" if plan.fresh else "Stale",
            plan.stale_because,
        ),
        (
            "Tuned",
            plan.settled and problem is None,
            "TargetRuns" if plan.settled else "TargetDoesNotRun",
            None,
        ),
    ]
    before = {one.type: one for one in previous.conditions} if previous else {}
    return tuple(
        _condition(kind, state, reason, message, observation.generation, before.get(kind), now)
        for kind, state, reason, message in found
    )


def _degraded(problem: str | None, ready: int, wanted: int, plan: Plan) -> _Found:
    if plan.problem is not None and plan.hold is None:
        return "Degraded", True, "Infeasible", "BudgetSatisfied says which numbers clash"
    if problem is not None:
        return "Degraded", True, "Held" if plan.hold else "Obstacle", problem
    settled = plan.settled or ready >= wanted
    return "Degraded", False, "Well" if settled else "Changing", None


def _budget_satisfied(plan: Plan) -> _Found:
    budget = plan.budget
    if budget is None:
        return "BudgetSatisfied", None, "Unknown", "no pod tells what the database allows"
    if plan.problem is not None and plan.hold is None:
        return "BudgetSatisfied", False, "Infeasible", plan.problem
    if budget.total <= budget.limit:
        return "BudgetSatisfied", True, "Within", None
    return "BudgetSatisfied", False, "Exceeded", in_words(budget)


def _condition(
    kind: str,
    state: bool | None,
    reason: str,
    message: str | None,
    generation: int,
    before: Condition | None,
    now: float,
) -> Condition:
    status = "Unknown" if state is None else str(state)
    unchanged = before is not None and before.status == status
    return Condition(
        type=kind,
        status=status,
        reason=reason,
        message=message,
        last_transition_time=before.last_transition_time if before and unchanged else _time(now),
        observed_generation=generation,
    )


def _or_unknown(figure: int | None) -> str:
    return "?" if figure is None else str(figure)


def _time(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).strftime(_TIME)


def _seconds(time: str | None) -> float:
    """Unix seconds of a time that `_time` made; the distant past of none."""
    if time is None:
        return 0.0
    return datetime.strptime(time, _TIME).replace(tzinfo=UTC).timestamp()
