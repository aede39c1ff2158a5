"""A plan in words: its writes, its bounds, and its clashes."""

from collections.abc import Sequence

from openvenue_operator import capacity, policy
from openvenue_operator.budget import fits, limit_in_words, pods_at_most, rest
from openvenue_operator.context import Context
from openvenue_operator.model import (
    Allocation,
    Deployment,
    Lateness,
    LatePod,
    Memory,
    Step,
)
from openvenue_operator.phrases import at, count
from openvenue_operator.spec import Mode, VenueSpec

AT_REST = "nothing: all pods run the target"
NOTED_AFTER_S = 10.0
"""Something asked for is mentioned only after this time, so that noise is not written down."""


def clash(least: Allocation, context: Context) -> str:
    """Return the numbers that clash, and what would fit."""
    spec, observation, deployment = context.spec, context.observation, context.deployment
    holds, bound = context.may_hold, context.limit
    if bound is None or fits(least, deployment, spec, bound):
        needed = capacity.threads_needed(least, context)
        return (
            f"the least that the bounds allow needs {needed} engine threads, "
            f"engine.serverThreads.max is {spec.engine.server_threads.max}: raise it"
        )
    most = pods_at_most(deployment, least.replicas)
    total = most * least.connections_per_pod + rest(spec)
    fewer = next(
        (
            replicas
            for replicas in range(least.replicas - 1, 0, -1)
            if fits(least.replace(replicas=replicas), deployment, spec, bound)
        ),
        None,
    )
    remedy = "" if fewer is None else f"lower api.replicas.min to {fewer}, or "
    if deployment.autoscaler_max is not None:
        remedy = "lower the autoscaler's maxReplicas, or "
    return (
        f"the least that the bounds allow is {count(most, 'pod')} at a time "
        f"({_least_pods(deployment)}) "
        f"with {count(least.workers, 'worker')} of {least.db_pool_size}+{least.db_pool_overflow} "
        f"connections, and {rest(spec)} for projector, streams and migration: {total} "
        f"connections, but the budget is {bound} ({limit_in_words(spec, observation, holds)}): "
        f"{remedy}raise the budget by {total - bound}"
    )


def _least_pods(deployment: Deployment) -> str:
    if deployment.autoscaler_max is not None:
        return (
            f"the autoscaler's maximum of {deployment.autoscaler_max}, a rollout's, and those that "
            "it lets go"
        )
    return "those of api.replicas.min, and a rollout's"


def load_in_words(
    demand: policy.Demand,
    bearing: Allocation,
    bearing_spec: VenueSpec,
    memory: Memory,
    context: Context,
) -> str:
    """Return what keeps the number of workers, or the pools, from being larger or smaller."""
    api, bounds = bearing_spec.api, context.spec.api
    if policy.is_high(demand, bearing_spec):
        if policy.more_workers(bearing, bearing.replicas * bearing.workers + 1, api) != bearing:
            return f"the load: {demand.because}"
        return f"{_most_workers(memory, context)}, though {demand.because}"
    if not demand.pool_short:
        return f"the load: {demand.because}"
    if memory.pool_held_until is not None:
        return (
            f"the database, of which larger pools had no more queries answered: none until "
            f"{at(memory.pool_held_until)}, though {demand.pool_because}"
        )
    is_full = bearing.db_pool_size >= bounds.db_pool_size.max
    if is_full and bearing.db_pool_overflow >= bounds.db_pool_overflow.max:
        return (
            f"api.dbPoolSize.max of {bounds.db_pool_size.max} and api.dbPoolOverflow.max of "
            f"{bounds.db_pool_overflow.max}, though {demand.pool_because}"
        )
    return f"the load: {demand.pool_because}"


def _most_workers(memory: Memory, context: Context) -> str:
    """Return why there cannot be more workers."""
    api, present = context.spec.api, context.attendance
    workers = f"api.workersPerPod.max of {api.workers_per_pod.max}"
    if present.overdue:
        return f"{pods_in_words(present.overdue)}, overdue{details(present.overdue)}, and {workers}"
    if memory.pods_at_most is not None and memory.pods_at_most < api.replicas.max:
        until = at(memory.pods_at_most_until or 0)
        room = count(memory.pods_at_most, "pod")
        return f"the nodes' room for {room} (more are tried at {until}) and {workers}"
    return f"api.replicas.max of {api.replicas.max} and {workers}"


def waiting(
    demand: policy.Demand,
    bearing: Allocation,
    memory: Memory,
    spec: VenueSpec,
    now: float,
    binding: str,
) -> str | None:
    """Return what is asked for but not done yet, since when, and its time; None if nothing is."""
    tuning = spec.tuning
    asked = (
        (memory.high_since, tuning.up_window_seconds, f"more workers: {demand.because}"),
        (memory.pool_high_since, tuning.up_window_seconds, f"larger pools: {demand.pool_because}"),
        (memory.low_since, tuning.down_window_seconds, f"fewer workers: {demand.because}"),
        (memory.pool_low_since, tuning.down_window_seconds, "smaller pools: connections lie idle"),
    )
    for since, window_s, what in asked:
        if since is None or now - since < NOTED_AFTER_S:
            continue
        if ", though " in binding or binding.startswith(("the budget", "engine.")):
            return f"nothing: held by {binding}"
        cooled_at = (memory.changed_at or 0) + tuning.cooldown_seconds
        due, why = max((since + window_s, "window"), (cooled_at, "cooldown"))
        if due <= now:
            continue
        return f"{what}, since {now - since:.0f} s; changes at {at(due)} ({why})"
    return None


def absence(context: Context, target: Allocation) -> str:
    """Return the pods that are waited for, or no longer, until the target runs everywhere."""
    present = context.attendance
    if present.overdue:
        return f"goes on without {pods_in_words(present.overdue)}{details(present.overdue)}"
    if present.late:
        return f"waits for {pods_in_words(present.late)}{details(present.late)}"
    going = [pod for pod in context.observation.pods if pod.terminating]
    if going:
        return f"waits for {count(len(going), 'pod')} to stop"
    if context.deployment.replicas != target.replicas:
        return f"waits for {count(target.replicas, 'pod')}: there are to be as many"
    return "waits for a rollout to end"


def pods_in_words(late: Sequence[LatePod]) -> str:
    """Name a pod, or give the number of pods."""
    return late[0].name if len(late) == 1 else count(len(late), "pod")


def details(late: Sequence[LatePod]) -> str:
    """Return why the longest late pod is late, and since when."""
    if not late:
        return ""
    first = late[0]
    if all(one.reason is Lateness.BEHIND for one in late):
        return f" (since {at(first.since)})"
    name = "" if len(late) == 1 else f"{first.name} "
    return f" ({name}{first.reason}: {first.message}; since {at(first.since)})"


def excess(allocation: Allocation, context: Context) -> str:
    """Return the limits that an allocation exceeds."""
    spec, observation, deployment = context.spec, context.observation, context.deployment
    holds, bound = context.may_hold, context.limit
    if bound is not None and not fits(allocation, deployment, spec, bound):
        return f"the budget of {bound} connections ({limit_in_words(spec, observation, holds)})"
    return f"engine.serverThreads.max of {spec.engine.server_threads.max}"


def step_in_words(step: Step) -> str:
    """Return the writes of a step."""
    parts = []
    if step.server_threads is not None:
        parts.append(f"{step.server_threads} engine threads")
    if step.tuning is not None:
        tuning = step.tuning
        parts.append(
            f"generation {tuning.generation}: {count(tuning.workers, 'worker')} x "
            f"({tuning.db_pool_size}+{tuning.db_pool_overflow}), "
            f"{count(tuning.grpc_channels, 'channel')}"
        )
    if step.replicas is not None:
        parts.append(count(step.replicas, "pod"))
    return "; ".join(parts)


def told(context: Context, next_step: str, step: Step, stale_because: str | None) -> str:
    """Return what is next; if it is nothing, or not for the first time, also why."""
    obstacle, engine = context.observation.obstacle, context.observation.engine_pod
    if engine is not None and not engine.ready and context.now - engine.since > NOTED_AFTER_S:
        next_step = f"{next_step}; {engine.name} is not ready: {engine.waits_for}"
    if next_step == AT_REST and stale_because is not None:
        return f"{next_step}; holds, for {stale_because}"
    if step.empty:
        return next_step
    if context.spec.mode is not Mode.AUTO:
        return f"in mode Auto would write: {next_step}"
    return next_step if obstacle is None else f"tries again: {next_step}; {obstacle}"
