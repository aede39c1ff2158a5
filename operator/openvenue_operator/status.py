"""A Venue's status, made from a plan: what is well, what is not, and what happens next.

The API server leaves out what is null, so whatever may be has that as its default; and it makes
null of an object that has become empty, so those that may be empty are left out as well.

It is written only where it says something new: an idle venue's stays as it is, and of one under
load the figures are renewed from time to time, where they have moved by more than their noise.
"""

import re
from datetime import UTC, datetime
from typing import Any

import msgspec

from openvenue_operator.budget import in_words
from openvenue_operator.model import (
    Allocation,
    Budget,
    Input,
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

_FIGURES = re.compile(r"\d+")


class Condition(Value, frozen=True, kw_only=True):
    """A condition in Kubernetes' form."""

    type: str
    status: str
    """True, False or Unknown."""
    reason: str
    message: str
    last_transition_time: str
    observed_generation: int


class ApiStatus(Value, frozen=True, kw_only=True):
    """The API as it runs."""

    pods: str
    """Ready of wanted."""
    on_generation: str
    """Pods that run the applied tuning, of all."""
    generation: int
    """Of the applied tuning; 0: none yet."""
    workers: int
    """A pod."""
    pool: str
    """Kept and further connections of a worker."""
    channels: int
    """A worker."""


class ConnectionsStatus(Value, frozen=True, kw_only=True):
    """The database connections."""

    used: int | None = None
    """That the venue's pods hold."""
    budget: int | None = None
    text: str
    """Both, for people."""


class LoadStatus(Value, frozen=True, kw_only=True):
    """What the API bears."""

    orders_per_second: int
    p99_ms: int


class PlanStatus(Value, frozen=True, kw_only=True):
    """What the operator is about, and why."""

    next_step: str
    binding: str
    reason: str
    target: Allocation | None = None
    worst_case: Budget | None = None
    inputs: tuple[Input, ...]
    made_at: str | None = None
    """None where nothing was observed."""


class Status(Value, frozen=True, kw_only=True):
    """`status` of a Venue."""

    observed_generation: int
    written_at: float
    api: ApiStatus | None = None
    connections: ConnectionsStatus
    load: LoadStatus | None = None
    conditions: tuple[Condition, ...]
    plan: PlanStatus
    memory: Memory | None = None


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
        written_at=now,
        api=None
        if current is None or deployment is None
        else ApiStatus(
            pods=f"{ready}/{deployment.replicas}",
            on_generation=f"{plan.running}/{plan.pods}",
            generation=observation.applied.generation if observation.applied else 0,
            workers=current.workers,
            pool=f"{current.db_pool_size}+{current.db_pool_overflow}",
            channels=current.grpc_channels,
        ),
        connections=ConnectionsStatus(
            used=used, budget=budget, text=f"{_or_unknown(used)}/{_or_unknown(budget)}"
        ),
        load=LoadStatus(
            orders_per_second=round(plan.load["ordersPerSecond"]), p99_ms=round(plan.load["p99Ms"])
        )
        if plan.load
        else None,
        conditions=_conditions(observation, plan, ready, previous, now),
        plan=plan_status(plan, now),
        memory=None if plan.memory == Memory() else plan.memory,
    )


def plan_status(plan: Plan, now: float) -> PlanStatus:
    """Say what is to be done, and why: `status.plan`."""
    return PlanStatus(
        next_step=plan.next_step,
        binding=plan.binding,
        reason=plan.reason,
        target=plan.target,
        worst_case=plan.budget,
        inputs=plan.inputs,
        made_at=_time(now),
    )


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
    if now - previous.written_at < FIGURES_INTERVAL_S:
        return False
    return any(
        _has_moved(before, after)
        for before, after in zip(_figures(previous), _figures(status), strict=True)
    )


def _told(status: Status) -> Any:
    """What is worth a write whenever it changes: all but figures, and times that only go on.

    Of what the law remembers, the beginnings of its windows may be lost: they begin again.
    """
    memory = status.memory or Memory()
    plan = status.plan
    return (
        status.observed_generation,
        status.api,
        status.connections.budget is None,
        status.load is None,
        [
            (one.type, one.status, one.reason, _without_figures(one.message))
            for one in status.conditions
        ],
        (_without_figures(plan.next_step), plan.target),
        plan.worst_case and plan.worst_case.replace(limit=0),
        (memory.changed_at, memory.target, memory.may_hold, memory.pool_short_at),
    )


def _without_figures(words: str) -> str:
    return _FIGURES.sub("#", words)


def _figures(status: Status) -> list[float]:
    return [
        float(status.connections.used or 0),
        float(status.connections.budget or 0),
        float(status.load.orders_per_second if status.load else 0),
        float(status.load.p99_ms if status.load else 0),
    ]


def _has_moved(before: float, after: float) -> bool:
    return abs(after - before) > max(NOISE_FLOOR, NOISE_SHARE * abs(before))


def _conditions(
    observation: Observation, plan: Plan, ready: int, previous: Status | None, now: float
) -> tuple[Condition, ...]:
    """Return the conditions, in the order in which one looks at them."""
    problem = plan.problem or observation.obstacle
    wanted = observation.deployment.replicas if observation.deployment else 0
    found = [
        ("Ready", ready > 0, "PodsReady" if ready else "NoPodReady", f"{ready} of {wanted} pods"),
        (
            "Progressing",
            not plan.settled and plan.hold is None and problem is None,
            "Settled" if plan.settled else "Changing",
            plan.next_step,
        ),
        _degraded(problem, ready, wanted, plan),
        _budget_satisfied(plan),
        (
            "MetricsFresh",
            plan.fresh,
            "Fresh" if plan.fresh else "Stale",
            plan.stale_because or "metrics of the pods are there, and young enough to tune by",
        ),
        (
            "Tuned",
            plan.settled and problem is None,
            "TargetRuns" if plan.settled else "TargetDoesNotRun",
            plan.next_step,
        ),
    ]
    before = {one.type: one for one in previous.conditions} if previous else {}
    return tuple(
        _condition(kind, state, reason, message, observation.generation, before.get(kind), now)
        for kind, state, reason, message in found
    )


def _degraded(
    problem: str | None, ready: int, wanted: int, plan: Plan
) -> tuple[str, bool, str, str]:
    if problem is not None:
        reason = "Held" if plan.hold else "Infeasible" if plan.problem else "Obstacle"
        return "Degraded", True, reason, problem
    if plan.settled or ready >= wanted:
        return "Degraded", False, "Well", "nothing is wrong"
    return "Degraded", False, "Changing", f"{ready} of {wanted} pods are ready"


def _budget_satisfied(plan: Plan) -> tuple[str, bool | None, str, str]:
    budget = plan.budget
    if budget is None:
        return "BudgetSatisfied", None, "Unknown", "no pod tells what the database allows"
    if plan.problem is not None and plan.hold is None:
        return "BudgetSatisfied", False, "Infeasible", plan.problem
    within = budget.total <= budget.limit
    return "BudgetSatisfied", within, "Within" if within else "Exceeded", in_words(budget)


def _condition(
    kind: str,
    state: bool | None,
    reason: str,
    message: str,
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
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
