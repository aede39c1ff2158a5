"""The database's connections: how many the venue may hold, and how many it may come to hold.

Two questions, each answered for the worst that can happen before the next step: how many pods there
may be, and what each of them may hold. All of it is arithmetic on an `Observation`.
"""

from openvenue_operator.model import (
    Allocation,
    Budget,
    Deployment,
    Observation,
    Pod,
    Tuning,
)
from openvenue_operator.phrases import count
from openvenue_operator.spec import VenueSpec


def rest(spec: VenueSpec) -> int:
    """Connections of the venue's that are not the API's: projector and migration."""
    return spec.connections.projector + spec.connections.migration


def limit(spec: VenueSpec, observation: Observation, may_hold: int) -> int | None:
    """Connections that the venue may hold; None where nobody knows.

    `may_hold` is what its pods may hold each.
    """
    allowed = _allowed(spec, observation)
    if allowed is None:
        return None
    return allowed - max(spec.connections.headroom, _of_others(spec, observation, may_hold))


def limit_in_words(spec: VenueSpec, observation: Observation, may_hold: int) -> str:
    """Where the limit comes from."""
    database, cap = observation.database, spec.connections.cap
    headroom, others = spec.connections.headroom, _of_others(spec, observation, may_hold)
    free = f"{others} of others" if others > headroom else f"{headroom} headroom"
    if database is None:
        return "nobody knows what the database allows"
    if _allowed(spec, observation) == cap:
        return f"{cap} of connections.cap - {free}"
    return (
        f"{database.max_connections} of the server - {database.reserved_connections} reserved "
        f"- {free}"
    )


def _allowed(spec: VenueSpec, observation: Observation) -> int | None:
    """What the server allows, or the cap where that is less.

    A cap alone is not enough: the server may allow less than it.
    """
    database, cap = observation.database, spec.connections.cap
    if database is None:
        return None
    server = database.max_connections - database.reserved_connections
    return server if cap is None else min(cap, server)


def _of_others(spec: VenueSpec, observation: Observation, may_hold: int) -> int:
    """What the database counts beyond all that the venue may hold: somebody else's for certain."""
    if observation.database is None:
        return 0
    venues = len(observation.pods) * may_hold + rest(spec)
    return max(0, observation.database.used_connections - venues)


def pods_at_most(deployment: Deployment, replicas: int, pods: tuple[Pod, ...] = ()) -> int:
    """Pods that may hold connections at a time, with this many `replicas`, before the next step.

    Those that serve: a rollout adds `max_surge`. Those that drain: where a new pod counts as
    available only after an old one's grace period (`min_ready_seconds`), a rollout has no more than
    `max_surge` + `max_unavailable` of them at a time, and begins with them only after what drains
    now has gone; otherwise all that there are may drain beside their successors. An autoscaler may
    scale down to its least number and up again at once, while what it let go of drains still; down
    again it goes later than that, for it waits (its stabilization window) and never up.
    """
    draining = sum(pod.terminating for pod in pods)
    staying = len(pods) - draining
    wanted = max(replicas, deployment.autoscaler_max or 0)
    most = max(staying, wanted + deployment.max_surge)
    scaled_down = 0 if deployment.autoscaler_min is None else wanted - deployment.autoscaler_min
    if deployment.min_ready_seconds >= deployment.grace_seconds:
        by_rollout = deployment.max_surge + deployment.max_unavailable
        return most + max(by_rollout + scaled_down, draining + deployment.max_unavailable)
    return most + draining + scaled_down + most


def budget_of(
    spec: VenueSpec,
    deployment: Deployment,
    *,
    replicas: int,
    connections_per_pod: int,
    limit: int,
    pods: tuple[Pod, ...] = (),
) -> Budget:
    """Where the connections go in the worst case, with that many pods of that size."""
    most = pods_at_most(deployment, replicas, pods)
    return Budget(
        limit=limit,
        pods_at_most=most,
        connections_per_pod=connections_per_pod,
        rest=rest(spec),
        total=most * connections_per_pod + rest(spec),
    )


def in_words(budget: Budget) -> str:
    """The sum of the worst case."""
    return (
        f"{count(budget.pods_at_most, 'pod')} at most x {budget.connections_per_pod} "
        f"+ {budget.rest} = {budget.total} connections of {budget.limit}"
    )


def per_pod(tuning: Tuning | None) -> int:
    """Connections that a pod with this tuning may hold."""
    if tuning is None:
        return 0
    return tuning.workers * (tuning.db_pool_size + tuning.db_pool_overflow)


def runs(pod: Pod, tuning: Tuning) -> bool:
    """Whether a pod says that all its workers run `tuning`, and none is left that ran another."""
    report = pod.report
    return (
        report is not None
        and report.workers_leaving == 0
        and report.workers == tuning.workers
        and len(report.generations) == tuning.workers
        and all(generation == tuning.generation for generation in report.generations)
    )


def may_hold(observation: Observation, remembered: int | None) -> int:
    """Return the connections that any one pod may hold now.

    What is applied, once every pod runs it; until then also what pods say that they may hold, and
    what was `remembered` of the time before. Before the first tuning, what they start with.
    """
    applied = observation.applied
    says = [
        pod.report.db_pool_size + pod.report.db_pool_overflow
        for pod in observation.pods
        if pod.report is not None
    ]
    if applied is not None and all_run(observation, applied):
        return max([per_pod(applied), *says])
    return max([per_pod(applied or observation.started_with), remembered or 0, *says])


def all_run(observation: Observation, tuning: Tuning) -> bool:
    """Whether every pod that stays runs `tuning`, and those that go hold no more than it allows.

    A pod that no node has yet holds nothing, and will read what is applied when it starts.
    """
    return all(
        (pod.report is not None and _holds(pod) <= per_pod(tuning))
        if pod.terminating
        else runs(pod, tuning)
        for pod in observation.pods
        if pod.scheduled
    )


def fits(allocation: Allocation, deployment: Deployment, spec: VenueSpec, limit: int) -> bool:
    """Whether an allocation's worst case is within the limit, once what goes on now is over."""
    most = pods_at_most(deployment, allocation.replicas)
    return most * allocation.connections_per_pod + rest(spec) <= limit


def sessions_at_most(allocation: Allocation, deployment: Deployment) -> int:
    """Engine sessions that the API's pods may have at a time."""
    most = pods_at_most(deployment, allocation.replicas)
    return most * allocation.workers * allocation.grpc_channels


def _holds(pod: Pod) -> int:
    return pod.report.db_pool_size + pod.report.db_pool_overflow if pod.report else 0
