"""The database's connections: how many the venue may hold, and how many it may come to hold.

It computes the worst case before the next step: the number of pods, and the connections of each.
All of it is arithmetic on an `Observation`.
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
    """Return the connections of projector, streams and migration."""
    connections = spec.connections
    return connections.projector + connections.stream + connections.migration


def limit(spec: VenueSpec, observation: Observation, may_hold: int) -> int | None:
    """Return the connections that the venue may hold; None if unknown.

    `may_hold` is the number that each of its pods may hold.
    """
    allowed = _allowed(spec, observation)
    if allowed is None:
        return None
    return allowed - max(spec.connections.headroom, _of_others(spec, observation, may_hold))


def limit_in_words(spec: VenueSpec, observation: Observation, may_hold: int) -> str:
    """Explain the limit."""
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
    """Return what the server allows, or the cap if that is less.

    A cap alone is not enough: the server may allow less.
    """
    database, cap = observation.database, spec.connections.cap
    if database is None:
        return None
    server = database.max_connections - database.reserved_connections
    return server if cap is None else min(cap, server)


def _of_others(spec: VenueSpec, observation: Observation, may_hold: int) -> int:
    """Return the connections beyond all that the venue may hold: certainly somebody else's."""
    if observation.database is None:
        return 0
    venues = len(observation.pods) * may_hold + rest(spec)
    return max(0, observation.database.used_connections - venues)


def pods_at_most(deployment: Deployment, replicas: int, pods: tuple[Pod, ...] = ()) -> int:
    """Return how many pods may hold connections at a time before the next step, with `replicas`.

    Pods that serve: a rollout adds `max_surge`. Pods that drain: if a new pod counts as available
    only after an old one's grace period (`min_ready_seconds`), at most `max_surge` +
    `max_unavailable` drain at a time in a rollout, and only after those that drain now have gone.
    Otherwise all existing pods may drain beside their successors. An autoscaler may scale down to
    its minimum and up again at once, while the removed pods still drain; it scales down again only
    after its stabilization window, when they have gone.
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
    """Return the use of connections in the worst case, with this many pods of this size."""
    most = pods_at_most(deployment, replicas, pods)
    return Budget(
        limit=limit,
        pods_at_most=most,
        connections_per_pod=connections_per_pod,
        rest=rest(spec),
        total=most * connections_per_pod + rest(spec),
    )


def in_words(budget: Budget) -> str:
    """Return the worst case's sum in words."""
    return (
        f"{count(budget.pods_at_most, 'pod')} at most x {budget.connections_per_pod} "
        f"+ {budget.rest} = {budget.total} connections of {budget.limit}"
    )


def per_pod(tuning: Tuning | None) -> int:
    """Return the connections that a pod with this tuning may hold."""
    if tuning is None:
        return 0
    return tuning.workers * (tuning.db_pool_size + tuning.db_pool_overflow)


def runs(pod: Pod, tuning: Tuning) -> bool:
    """True if a pod reports that all its workers run `tuning`, and no worker with another is
    left."""
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

    Once every pod runs the applied tuning, it counts alone. Until then, what pods report and what
    was `remembered` of earlier tunings count too. Before the first tuning, the start settings
    count.
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
    """True if every staying pod runs `tuning`, and leaving ones hold no more than it allows.

    A pod without a node holds nothing, and will read the applied tuning when it starts.
    """
    return all(
        (pod.report is not None and _holds(pod) <= per_pod(tuning))
        if pod.terminating
        else runs(pod, tuning)
        for pod in observation.pods
        if pod.scheduled
    )


def fits(allocation: Allocation, deployment: Deployment, spec: VenueSpec, limit: int) -> bool:
    """True if an allocation's worst case is within the limit, once present changes are over."""
    most = pods_at_most(deployment, allocation.replicas)
    return most * allocation.connections_per_pod + rest(spec) <= limit


def sessions_at_most(allocation: Allocation, deployment: Deployment) -> int:
    """Return the number of engine sessions that the API's pods may have at a time."""
    most = pods_at_most(deployment, allocation.replicas)
    return most * allocation.workers * allocation.grpc_channels


def _holds(pod: Pod) -> int:
    return pod.report.db_pool_size + pod.report.db_pool_overflow if pod.report else 0
