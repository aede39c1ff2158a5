"""A Venue's status, made from a plan: its state, its problems, and what happens next.

The API server drops nulls, so every optional field has null as its default; and it turns an object
that has become empty into null, so such objects are left out as well.

People read words, one line each; programs read the same figures as numbers beside them. The
operator's own memory is one line of JSON.

The status is written only if it says something new: an idle venue's stays as it is, and under load
the figures are renewed at intervals, if they have moved by more than their noise.
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
"""If only figures have moved, the status is written at most this often."""
NOISE_SHARE = 0.15
"""A figure that has moved by less than this share of itself counts as unchanged."""
NOISE_FLOOR = 5.0
"""So does one that has moved by less than this: orders a second, milliseconds, percent."""

LATE_PODS_MAX = 10
"""Number of late pods that are named."""

_FIGURES = re.compile(r"\d+")


class ApiStatus(Value, frozen=True, kw_only=True):
    """The running API and its load."""

    pods: str
    """Ready pods of those wanted."""
    generation: str
    """Generation of the applied tuning (0: none yet), and how many pods of all run it."""
    workers: int
    """Per pod."""
    pool: str
    """Kept and further connections of a worker."""
    channels: int
    """Per worker."""
    replicas: int | None = None
    """Wanted pods. Older versions' status has None here and below."""
    ready_replicas: int | None = None
    tuned_replicas: int | None = None
    """Pods that run the applied tuning."""
    tuning_generation: int | None = None
    """Generation of the applied tuning; 0: none yet."""
    db_pool_size: int | None = None
    db_pool_overflow: int | None = None
    orders_per_second: int | None = None
    """None: unknown."""
    p99_ms: int | None = None


class ConnectionBudget(Value, frozen=True, kw_only=True):
    """Database connections of the venue; None: unknown."""

    used: int | None = None
    """Held by the API's pods."""
    limit: int | None = None
    """Allowed for the venue."""
    worst_case: int | None = None
    """Possible before the next step."""


class EngineStatus(Value, frozen=True, kw_only=True):
    """The running engine."""

    ready: bool
    restarts: int
    server_threads: int | None = None
    """None: unknown."""


class LatePodStatus(Value, frozen=True, kw_only=True):
    """A late pod."""

    name: str
    reason: str
    message: str
    since: str
    overdue: bool
    """Nothing waits for it any more."""


class PlanStatus(Value, frozen=True, kw_only=True):
    """The operator's plan and its reasons."""

    next_step: str
    binding: str
    reason: str
    target: str | None = None
    allocation: Allocation | None = None
    """The target in numbers."""
    worst_case: str | None = None
    inputs: dict[str, str] | None = None
    """Figures by name, each with target and age; and the database's own."""
    made_at: str | None = None
    """None if nothing was observed."""


class Remembered(Value, frozen=True, kw_only=True):
    """The part of the policy's memory that outlives the process; the rest starts anew."""

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
    """Return the venue's status. Conditions keep the time of their last change."""
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
    """Return the status of a venue that the operator leaves alone; last known figures stay."""
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
    """Return `status.plan`: the next step, and why."""
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
    """Return the last operator's memory: its target and when it changed it.

    Not since when the load was high or low, because no operator has watched it in between.
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
    """Return each figure with its target and age, and the database's figures in one line."""
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
    """Return a value as an object of the API server, without nulls."""
    return _without_nulls(msgspec.to_builtins(value))


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(one) for key, one in value.items() if one is not None}
    if isinstance(value, list | tuple):
        return [_without_nulls(one) for one in value]
    return value


def status_needs_write(previous: Status | None, status: Status, now: float) -> bool:
    """True if a status says something that the one before it does not."""
    if previous is None or _told(previous) != _told(status):
        return True
    if now - seconds_of(previous.plan.made_at) < FIGURES_INTERVAL_S:
        return False
    return any(
        _has_moved(before, after)
        for before, after in zip(_figures(previous), _figures(status), strict=True)
    )


def _told(status: Status) -> Any:
    """Return the parts whose changes are worth a write: no figures, and no times that only go
    on."""
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
        # The limit changes with what others hold of the database.
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
