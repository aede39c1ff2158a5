"""The way to a target, step by step: first everything that shrinks, only then what grows.

At every moment in between, the connections that all pods may come to hold are within the budget
(`budget`), whatever a rollout of the Deployment does meanwhile.
"""

from openvenue_operator import messages
from openvenue_operator.budget import per_pod, pods_at_most, rest
from openvenue_operator.context import Context, differs
from openvenue_operator.model import (
    Allocation,
    Lateness,
    Observation,
    Pod,
    Step,
    Tuning,
)
from openvenue_operator.phrases import count

NUDGE_AGAIN_S = 5.0
REPLICAS_FACTOR = 2
REPLICAS_STEP = 4
"""Pods grow at a time by a factor or by this number, once the last ones are ready."""


def next_step(target: Allocation, context: Context) -> tuple[Step, str]:
    """Return the next writes, and a description of them or of the wait."""
    observation, deployment, running = (
        context.observation,
        context.deployment,
        context.running,
    )
    current, present = context.current, context.attendance
    goal = context.tuning_of(target)
    shrunk = context.tuning_of(_smaller(current, target))
    # The first one is always written: pods may run other settings than their Deployment's.
    if observation.applied is None or differs(shrunk, running):
        fewer = target.replicas if target.replicas < deployment.replicas else None
        goes_on = per_pod(goal) > per_pod(shrunk) or goal.grpc_channels > shrunk.grpc_channels
        tuning = shrunk if goes_on else goal
        step = Step(tuning=_numbered(tuning, observation), replicas=fewer)
        return step, messages.step_in_words(step)
    if deployment.replicas > target.replicas and context.has_replicas:
        step = Step(replicas=target.replicas)
        return step, messages.step_in_words(step)

    nudged = _to_nudge(context)
    if context.may_hold > per_pod(running) and not _all_late_are_overdue(context):
        behind = [one for one in present.late if one.reason is not Lateness.MISSING]
        wait = f"waits for {messages.pods_in_words(behind)} to take over generation"
        return Step(nudge=nudged), f"{wait} {running.generation}{messages.details(behind)}"
    grows = Step(
        tuning=_numbered(goal, observation) if differs(goal, running) else None,
        replicas=_more_replicas(target, context),
        server_threads=target.server_threads
        if target.server_threads > current.server_threads
        else None,
    )
    if not grows.empty:
        if not is_within_reach(target, context):
            most, total = _worst_case(target, context)
            wait = f"waits for pods to stop: {most} of them could hold {total} connections"
            return Step(nudge=nudged), wait
        return grows, messages.step_in_words(grows)
    if nudged:
        has = f"has {count(len(nudged), 'pod')} read generation {running.generation}"
        return Step(nudge=nudged), has
    if not context.in_place(target):
        return Step(), messages.absence(context, target)
    if target.server_threads < current.server_threads:
        step = Step(server_threads=target.server_threads)
        return step, messages.step_in_words(step)
    return Step(), messages.AT_REST


def is_within_reach(target: Allocation, context: Context) -> bool:
    """True if the budget has room for the target now, with what any pod may still hold."""
    goal, running = context.tuning_of(target), context.running
    grows = per_pod(goal) > per_pod(running) or target.replicas > context.deployment.replicas
    if context.limit is None or not (grows or differs(goal, running)):
        return True
    return _worst_case(target, context)[1] <= context.limit


def bounded(replicas: int, current: int) -> int:
    """Return the next number of pods: a mistake in a bound must not start a hundred."""
    return min(replicas, max(REPLICAS_FACTOR * current, current + REPLICAS_STEP))


def _worst_case(target: Allocation, context: Context) -> tuple[int, int]:
    """Return how many pods there may be on the way to a target, and what they may hold."""
    pods = context.observation.pods
    most = pods_at_most(context.deployment, target.replicas, pods)
    each = max(context.may_hold, per_pod(context.tuning_of(target)))
    return most, most * each + rest(context.spec)


def _all_late_are_overdue(context: Context) -> bool:
    """True if all pods that have not shrunk yet are overdue, so that nothing waits for them.

    Growth then counts with what they may still hold.
    """
    late = context.attendance.late
    terminating = any(pod.terminating for pod in context.observation.pods)
    return bool(late) and all(one.overdue for one in late) and not terminating


def _more_replicas(target: Allocation, context: Context) -> int | None:
    """Return the number of pods to ask for now, if the target has more than are ready."""
    current, present = context.deployment.replicas, context.attendance
    if target.replicas <= current or not context.has_replicas:
        return None
    if present.starting or present.without_room:
        return None
    return bounded(target.replicas, current)


def may_restore_replicas(kept: Allocation, context: Context) -> bool:
    """True if the planned number of pods may be restored while the budget is unknown.

    That many had room once none held more than was planned, and while none drained.
    """
    replicas = context.deployment.replicas
    if not context.has_replicas or replicas == kept.replicas:
        return False
    draining = any(pod.terminating for pod in context.observation.pods)
    return replicas > kept.replicas or (
        not draining and context.may_hold <= kept.connections_per_pod
    )


def _to_nudge(context: Context) -> tuple[str, ...]:
    """Return pods that run an older generation and were not nudged, or long ago."""
    applied, now = context.observation.applied, context.now
    if applied is None:
        return ()

    def is_behind(pod: Pod) -> bool:
        return (
            not pod.terminating
            and pod.report is not None
            and any(generation != applied.generation for generation in pod.report.generations)
        )

    def was_told(pod: Pod) -> bool:
        return (
            pod.nudged_generation == applied.generation
            and pod.nudged_at is not None
            and now - pod.nudged_at < NUDGE_AGAIN_S
        )

    return tuple(
        pod.name for pod in context.observation.pods if is_behind(pod) and not was_told(pod)
    )


def _smaller(current: Allocation, target: Allocation) -> Allocation:
    """Return the smaller of each setting: nothing grows on the way to it."""
    pool = min(current, target, key=lambda one: one.db_pool_size + one.db_pool_overflow)
    return target.replace(
        replicas=min(current.replicas, target.replicas),
        workers=min(current.workers, target.workers),
        db_pool_size=pool.db_pool_size,
        db_pool_overflow=pool.db_pool_overflow,
        grpc_channels=min(current.grpc_channels, target.grpc_channels),
    )


def _numbered(tuning: Tuning, observation: Observation) -> Tuning:
    """Give a tuning a generation that no pod has seen."""
    seen = [
        generation
        for pod in observation.pods
        if pod.report is not None
        for generation in pod.report.generations
    ]
    applied = observation.applied.generation if observation.applied else 0
    return tuning.replace(generation=max([applied, *seen]) + 1)
