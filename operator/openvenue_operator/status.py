"""A Venue's status, made from a plan: what is well, what is not, and what happens next.

The API server leaves out what is null, so whatever may be has that as its default; and it makes
null of an object that has become empty, so those that may be empty are left out as well.

What people read is in words, one line each; beside them are the same figures as numbers, for
programs. What the operator itself reads again is one line of JSON.

It is written only where it says something new: an idle venue's stays as it is, and of one under
load the figures are renewed from time to time, where they have moved by more than their noise.
"""

import json
import re
from typing import Any

import msgspec

from openvenue_operator.budget import in_words
from openvenue_operator.conditions import (
    Condition,
    conditions_of,
    paused,
    ready_pods,
    rfc3339,
    seconds_of,
)
from openvenue_operator.model import (
    Allocation,
    Memory,
    Observation,
    Plan,
)
from openvenue_operator.phrases import count
from openvenue_operator.spec import Value, VenueSpec

FIGURES_INTERVAL_S = 30.0
"""Where nothing but figures has moved, the status is written at most so often."""
NOISE_SHARE = 0.15
"""A figure that has moved by less than this share of itself has not moved."""
NOISE_FLOOR = 5.0
"""Nor has one that has moved by less than this: orders a second, milliseconds, percent."""

LATE_PODS_MAX = 10
"""Of the pods that are late, so many are named."""

_FIGURES = re.compile(r"\d+")


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
    replicas: int | None = None
    """Pods that are wanted. This and what follows are None in the status of older versions."""
    ready_replicas: int | None = None
    tuned_replicas: int | None = None
    """Pods that run the applied tuning."""
    tuning_generation: int | None = None
    """Of the applied tuning; 0: none yet."""
    db_pool_size: int | None = None
    db_pool_overflow: int | None = None
    orders_per_second: int | None = None
    """None: not known now."""
    p99_ms: int | None = None


class ConnectionBudget(Value, frozen=True, kw_only=True):
    """Database connections of the venue; what is None is not known."""

    used: int | None = None
    """That its API's pods hold."""
    limit: int | None = None
    """That the venue may hold."""
    worst_case: int | None = None
    """That it may come to hold before the next step."""


class EngineStatus(Value, frozen=True, kw_only=True):
    """The engine as it runs."""

    ready: bool
    restarts: int
    server_threads: int | None = None
    """None: it does not say."""


class LatePodStatus(Value, frozen=True, kw_only=True):
    """A pod that does not run what it should."""

    name: str
    reason: str
    message: str
    since: str
    overdue: bool
    """Nothing waits for it any more."""


class PlanStatus(Value, frozen=True, kw_only=True):
    """What the operator is about, and why."""

    next_step: str
    binding: str
    reason: str
    target: str | None = None
    allocation: Allocation | None = None
    """The target in numbers."""
    worst_case: str | None = None
    inputs: dict[str, str] | None = None
    """By name: the figure, its target and how old it is; what the database says of itself."""
    made_at: str | None = None
    """None where nothing was observed."""


class Remembered(Value, frozen=True, kw_only=True):
    """What outlives the process of what the policy remembers; the rest begins anew."""

    pool_short_at: int | None = None
    pool_short_seen_at: float | None = None
    pool_held_until: float | None = None
    pods_at_most: int | None = None
    pods_at_most_until: float | None = None
    may_hold: int | None = None
    changed_at: float | None = None
    target: Allocation | None = None
    reason: str | None = None
    reached: bool | None = None
    """True or absent."""


class Status(Value, frozen=True, kw_only=True):
    """`status` of a Venue."""

    observed_generation: int
    api: ApiStatus | None = None
    engine: EngineStatus | None = None
    connections: str
    """Database connections that the venue's pods hold, of the budget."""
    connection_budget: ConnectionBudget | None = None
    conditions: tuple[Condition, ...]
    late_pods: tuple[LatePodStatus, ...] | None = None
    """The first of them; None: there are none."""
    plan: PlanStatus
    memory: str | None = None
    """`Remembered`, as JSON."""


def status_of(
    spec: VenueSpec, observation: Observation, plan: Plan, previous: Status | None, now: float
) -> Status:
    """Say how a venue is. Conditions keep the time at which they last changed."""
    reports = [pod.report for pod in observation.pods if pod.report is not None]
    used = sum(report.db_connections for report in reports) if reports else None
    budget = plan.budget
    engine = observation.engine_pod
    return Status(
        observed_generation=observation.generation,
        api=_api_status(observation, plan),
        engine=None
        if engine is None
        else EngineStatus(
            ready=engine.ready,
            restarts=engine.restarts,
            server_threads=observation.engine.server_threads if observation.engine else None,
        ),
        connections=f"{_or_unknown(used)}/{_or_unknown(budget.limit if budget else None)}",
        connection_budget=ConnectionBudget(
            used=used,
            limit=budget.limit if budget else None,
            worst_case=budget.total if budget else None,
        )
        if budget or used is not None
        else None,
        conditions=conditions_of(observation, plan, previous.conditions if previous else (), now),
        late_pods=tuple(
            LatePodStatus(
                name=one.name,
                reason=one.reason.value,
                message=one.message,
                since=rfc3339(one.since),
                overdue=one.overdue,
            )
            for one in plan.late[:LATE_PODS_MAX]
        )
        or None,
        plan=plan_status(plan, now),
        memory=_memory_text(plan.memory),
    )


def paused_status(previous: Status | None, generation: int, now: float) -> Status:
    """Say that the operator leaves the venue alone; what was last known stays."""
    said = PlanStatus(
        next_step="nothing: mode is Paused", binding="mode Paused", reason="mode Paused"
    )
    if previous is None:
        return Status(
            observed_generation=generation,
            connections="?/?",
            conditions=paused((), generation, now),
            plan=said,
        )
    return previous.replace(
        observed_generation=generation,
        conditions=paused(previous.conditions, generation, now),
        plan=previous.plan.replace(next_step=said.next_step, binding=said.binding),
    )


def _api_status(observation: Observation, plan: Plan) -> ApiStatus | None:
    current, deployment = plan.current, observation.deployment
    if current is None or deployment is None:
        return None
    ready = ready_pods(observation)
    generation = observation.applied.generation if observation.applied else 0
    return ApiStatus(
        pods=f"{ready}/{deployment.replicas}",
        generation=f"{generation}, run by {plan.running} of {plan.pods}",
        workers=current.workers,
        pool=f"{current.db_pool_size}+{current.db_pool_overflow}",
        channels=current.grpc_channels,
        replicas=deployment.replicas,
        ready_replicas=ready,
        tuned_replicas=plan.running,
        tuning_generation=generation,
        db_pool_size=current.db_pool_size,
        db_pool_overflow=current.db_pool_overflow,
        orders_per_second=round(plan.load["ordersPerSecond"]) if plan.load else None,
        p99_ms=round(plan.load["p99Ms"]) if plan.load else None,
    )


def plan_status(plan: Plan, now: float) -> PlanStatus:
    """Say what is to be done, and why: `status.plan`."""
    return PlanStatus(
        next_step=plan.next_step,
        binding=plan.binding,
        reason=plan.reason,
        target=None if plan.target is None else _target_in_words(plan.target),
        allocation=plan.target,
        worst_case=None if plan.budget is None else in_words(plan.budget),
        inputs=_inputs_in_words(plan, now) or None,
        made_at=rfc3339(now),
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
    kept = {name: getattr(left, name) for name in Remembered.__struct_fields__}
    return Memory(**{**kept, "reached": bool(left.reached)})


def _memory_text(memory: Memory) -> str | None:
    kept = Remembered(
        **{name: getattr(memory, name) or None for name in Remembered.__struct_fields__}
    )
    return None if kept == Remembered() else json.dumps(json_form(kept), separators=(",", ":"))


def _target_in_words(target: Allocation) -> str:
    return (
        f"{count(target.replicas, 'pod')} x {count(target.workers, 'worker')} x "
        f"({target.db_pool_size}+{target.db_pool_overflow}), "
        f"{count(target.grpc_channels, 'channel')}; "
        f"{count(target.server_threads, 'engine thread')}"
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
    if now - seconds_of(previous.plan.made_at) < FIGURES_INTERVAL_S:
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
        status.engine,
        [
            (one.name, one.reason, one.overdue, _without_figures(one.message))
            for one in status.late_pods or ()
        ],
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
    api, held = status.api, status.connection_budget
    return [
        float((held and held.used) or 0),
        float((held and held.limit) or 0),
        float((api and api.orders_per_second) or 0),
        float((api and api.p99_ms) or 0),
    ]


def _has_moved(before: float, after: float) -> bool:
    return abs(after - before) > max(NOISE_FLOOR, NOISE_SHARE * abs(before))


def _or_unknown(figure: int | None) -> str:
    return "?" if figure is None else str(figure)
