"""The way to a target, step by step: whatever shrinks first, and only then what grows.

At every moment in between, the connections that all pods may come to hold are within the budget
(`budget`), whatever the rollout of the Deployment does meanwhile.
"""

from openvenue_operator import words
from openvenue_operator.budget import per_pod, pods_at_most, rest, runs
from openvenue_operator.model import Allocation, Observation, Pod, Step, Tuning
from openvenue_operator.situation import Situation, differs

NUDGE_AGAIN_S = 5.0


def next_step(target: Allocation, situation: Situation) -> tuple[Step, str]:
    """Return what to write now, and what that or the waiting is about."""
    spec, observation, deployment, running, holds, bound, _now = situation
    current = situation.current
    goal = situation.tuning_of(target)
    shrunk = situation.tuning_of(_smaller(current, target))
    # The first is written in any case: pods may run something else than their Deployment says.
    if observation.applied is None or differs(shrunk, running):
        fewer = target.replicas if target.replicas < deployment.replicas else None
        goes_on = per_pod(goal) > per_pod(shrunk) or goal.grpc_channels > shrunk.grpc_channels
        tuning = shrunk if goes_on else goal
        step = Step(tuning=_numbered(tuning, observation), replicas=fewer)
        return step, words.step_in_words(step)
    if deployment.replicas > target.replicas and situation.has_replicas:
        step = Step(replicas=target.replicas)
        return step, words.step_in_words(step)

    nudged = _to_nudge(situation)
    if holds > per_pod(running):
        behind = sum(not runs(pod, running) for pod in observation.pods)
        wait = f"waits for {behind} pods to take over generation {running.generation}"
        return Step(nudge=nudged), wait
    grows = Step(
        tuning=_numbered(goal, observation) if differs(goal, running) else None,
        replicas=target.replicas
        if target.replicas > deployment.replicas and situation.has_replicas
        else None,
        server_threads=target.server_threads
        if target.server_threads > current.server_threads
        else None,
    )
    if not grows.empty:
        most = pods_at_most(deployment, target.replicas, observation.pods)
        total = most * max(holds, per_pod(goal)) + rest(spec)
        if bound is not None and total > bound:
            wait = f"waits for pods to stop: {most} of them could hold {total} connections"
            return Step(nudge=nudged), wait
        return grows, words.step_in_words(grows)
    if nudged:
        return Step(nudge=nudged), f"has {len(nudged)} pods read generation {running.generation}"
    if not situation.in_place(target):
        return Step(), "waits for pods to start or stop"
    if target.server_threads < current.server_threads:
        step = Step(server_threads=target.server_threads)
        return step, words.step_in_words(step)
    return Step(), words.AT_REST


def may_restore_replicas(kept: Allocation, situation: Situation) -> bool:
    """Whether to have as many pods again as were planned, while nobody knows the budget.

    More of them had room as soon as none held more than was planned, and beside none that drain.
    """
    replicas = situation.deployment.replicas
    if not situation.has_replicas or replicas == kept.replicas:
        return False
    draining = any(pod.terminating for pod in situation.observation.pods)
    return replicas > kept.replicas or (
        not draining and situation.may_hold <= kept.connections_per_pod
    )


def _to_nudge(situation: Situation) -> tuple[str, ...]:
    """Pods that run an older generation than the applied one and were not told, or long ago."""
    applied, now = situation.observation.applied, situation.now
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
        pod.name for pod in situation.observation.pods if is_behind(pod) and not was_told(pod)
    )


def _smaller(current: Allocation, target: Allocation) -> Allocation:
    """Whatever either has less of: on the way from one to the other, nothing grows by it."""
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
