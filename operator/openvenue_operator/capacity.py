"""Fits allocations into the spec's bounds, the budget, and the engine's threads."""

from openvenue_operator import policy
from openvenue_operator.budget import fits, sessions_at_most
from openvenue_operator.context import Context
from openvenue_operator.model import Allocation
from openvenue_operator.spec import Bounds, VenueSpec

OTHER_SESSIONS = 2
"""Engine sessions that are not the API's: operator and command line."""
SESSIONS_SHARE = 2
"""One in this many of the engine's threads may hold a session."""
SESSIONS_PER_PEER_SHARE = 4
"""One in this many of the engine's threads may hold a session of one pod."""


def within_bounds(allocation: Allocation, spec: VenueSpec) -> Allocation:
    """Return an allocation with each number brought within its bounds."""
    api = spec.api
    return allocation.replace(
        replicas=_clamp(allocation.replicas, api.replicas),
        workers=_clamp(allocation.workers, api.workers_per_pod),
        db_pool_size=_clamp(allocation.db_pool_size, api.db_pool_size),
        db_pool_overflow=_clamp(allocation.db_pool_overflow, api.db_pool_overflow),
        grpc_channels=_clamp(allocation.grpc_channels, api.grpc_channels),
    )


def least_of(spec: VenueSpec, current: Allocation) -> Allocation:
    """Return the smallest allocation within the bounds."""
    api = spec.api
    return current.replace(
        replicas=api.replicas.min,
        workers=api.workers_per_pod.min,
        db_pool_size=api.db_pool_size.min,
        db_pool_overflow=api.db_pool_overflow.min,
        grpc_channels=api.grpc_channels.min,
    )


def fitted(asked: Allocation, context: Context) -> Allocation:
    """Reduce an allocation until it fits: overflow first, then pools, then workers and pods.

    If sessions do not fit: channels first, then workers and pods.
    """
    api = context.spec.api
    while not has_room(asked, context):
        has_sessions = _has_sessions(asked, context)
        if not has_sessions and asked.grpc_channels > api.grpc_channels.min:
            asked = asked.replace(grpc_channels=asked.grpc_channels - 1)
        elif has_sessions and asked.db_pool_overflow > api.db_pool_overflow.min:
            asked = asked.replace(db_pool_overflow=asked.db_pool_overflow - 1)
        elif has_sessions and asked.db_pool_size > api.db_pool_size.min:
            asked = asked.replace(db_pool_size=asked.db_pool_size - 1)
        else:
            fewer = policy.fewer_workers(asked, api)
            if fewer is None:
                return least_of(context.spec, asked)
            asked = fewer
    return asked


def has_room(allocation: Allocation, context: Context) -> bool:
    """True if budget and engine threads suffice for it, also in a rollout."""
    spec, deployment, bound = context.spec, context.deployment, context.limit
    return (bound is None or fits(allocation, deployment, spec, bound)) and _has_sessions(
        allocation, context
    )


def _has_sessions(allocation: Allocation, context: Context) -> bool:
    return threads_needed(allocation, context) <= context.spec.engine.server_threads.max


def threads_needed(allocation: Allocation, context: Context) -> int:
    """Return the engine threads needed for the largest possible number of sessions."""
    sessions = sessions_at_most(allocation, context.deployment) + OTHER_SESSIONS
    of_one_pod = allocation.workers * allocation.grpc_channels
    return max(SESSIONS_SHARE * sessions, SESSIONS_PER_PEER_SHARE * of_one_pod)


def threads_for(allocation: Allocation, context: Context) -> int:
    """Return the same, within the bounds of the spec."""
    return _clamp(threads_needed(allocation, context), context.spec.engine.server_threads)


def is_asked_for(kept: Allocation | None, asked: Allocation, context: Context) -> bool:
    """True if the kept target is also what the spec asks for, as far as that is known.

    The database's limit is unknown here: of the budget, only the cap is known.
    """
    spec, engine = context.spec, context.observation.engine
    cap, headroom = spec.connections.cap, spec.connections.headroom
    return (
        kept == asked
        and (engine is None or engine.server_threads == threads_for(asked, context))
        and (cap is None or fits(asked, context.deployment, spec, cap - headroom))
    )


def _clamp(value: int, bounds: Bounds) -> int:
    return min(max(value, bounds.min), bounds.max)
