"""A plan in words: what it writes, what bounds it, and what clashes."""

from openvenue_operator import law, room
from openvenue_operator.budget import fits, limit_in_words, pods_at_most, rest
from openvenue_operator.model import Allocation, Deployment, Memory, Mode, Step, VenueSpec
from openvenue_operator.situation import Situation

AT_REST = "nothing: all pods run the target"


def clash(least: Allocation, situation: Situation) -> str:
    """Which numbers clash, and what would fit."""
    spec, observation, deployment, _running, holds, bound, _now = situation
    if bound is None or fits(least, deployment, spec, bound):
        needed = room.threads_needed(least, situation)
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
        f"the least that the bounds allow is {most} pods at a time ({_pods_in_words(deployment)}) "
        f"with {least.workers} workers of {least.db_pool_size}+{least.db_pool_overflow} "
        f"connections, and {rest(spec)} for projector and migration: {total} connections, but the "
        f"budget is {bound} ({limit_in_words(spec, observation, holds)}): "
        f"{remedy}raise the budget by {total - bound}"
    )


def _pods_in_words(deployment: Deployment) -> str:
    if deployment.autoscaler_max is not None:
        return (
            f"the autoscaler's maximum of {deployment.autoscaler_max}, a rollout's, and those that "
            "it lets go"
        )
    return "those of api.replicas.min, and a rollout's"


def load_in_words(demand: law.Demand, allocation: Allocation, spec: VenueSpec) -> str:
    """What the load says of the number of workers."""
    at_most = allocation.replicas * allocation.workers >= (
        spec.api.replicas.max * spec.api.workers_per_pod.max
    )
    if at_most and law.is_high(demand, spec):
        return (
            f"api.replicas.max of {spec.api.replicas.max} and api.workersPerPod.max of "
            f"{spec.api.workers_per_pod.max}, though {demand.because}"
        )
    return f"the load: {demand.because}"


def excess(allocation: Allocation, situation: Situation) -> str:
    """What an allocation exceeds."""
    spec, observation, deployment, _running, holds, bound, _now = situation
    if bound is not None and not fits(allocation, deployment, spec, bound):
        return f"the budget of {bound} connections ({limit_in_words(spec, observation, holds)})"
    return f"engine.serverThreads.max of {spec.engine.server_threads.max}"


def reason(memory: Memory, asked: Allocation, current: Allocation) -> str:
    """Why the target is what it is, where the load did not change it."""
    if memory.target is None:
        return "the first plan: what runs, within the bounds"
    if memory.target != asked:
        return "the bounds of the spec have changed"
    if asked != current:
        return "what runs is not yet, or no longer, what was planned"
    return "the load is as it was"


def step_in_words(step: Step) -> str:
    """What a step writes."""
    parts = []
    if step.server_threads is not None:
        parts.append(f"{step.server_threads} engine threads")
    if step.tuning is not None:
        tuning = step.tuning
        parts.append(
            f"generation {tuning.generation}: {tuning.workers} workers x "
            f"({tuning.db_pool_size}+{tuning.db_pool_overflow}), {tuning.grpc_channels} channels"
        )
    if step.replicas is not None:
        parts.append(f"{step.replicas} pods")
    return "; ".join(parts)


def told(situation: Situation, next_step: str, step: Step, stale_because: str | None) -> str:
    """What is next, and where that is nothing, or not for the first time, why."""
    obstacle = situation.observation.obstacle
    if next_step == AT_REST and stale_because is not None:
        return f"{next_step}; holds, for {stale_because}"
    if step.empty:
        return next_step
    if situation.spec.mode is not Mode.AUTO:
        return f"in mode Auto would write: {next_step}"
    return next_step if obstacle is None else f"tries again: {next_step}; {obstacle}"
