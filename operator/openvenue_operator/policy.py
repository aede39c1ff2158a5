"""The tuning policy: the number of workers and connections that the measured load needs.

Derived in docs/tuning.md. In short: figures that scale with the number of workers (processor time,
requests under way) show in proportion how many are needed. Others (latencies, which rise without
bound as a worker fills up) only show that more are needed, one at a time, and only if the workers
are nearly as busy as they may be: more workers speed up neither a slow disk nor a node whose
processors others use. A dead band, a time for which a wish must last, a bound on each change and a
pause after it keep the number from swinging.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from openvenue_operator.load import Load
from openvenue_operator.model import Allocation, Memory, PoolTrial
from openvenue_operator.spec import ApiSpec, VenueSpec

GROWTH_MAX = 2.0
"""Largest factor of workers in one change, unless work is turned away."""
REFUSED_GROWTH_MAX = 4.0
"""The same if work is turned away: its amount is known."""
SATURATED_PERCENT = 95.0
"""Of a processor: a worker cannot use more, so further demand is unknown."""
SPARE_SHARE_MAX = 0.8
LATE_RATIO = 1.25
"""Demand of a late answer, relative to the workers that there are."""
POOL_GROWTH = 1.5
"""A pool in which queries wait too long grows by this factor, or by one."""
POOL_SHORT_S = 86_400.0
"""How long a size with which queries had to wait is remembered."""
POOL_HELD_S = 1800.0
"""How long pools are not enlarged again after that did not help."""
POOL_HELPED_QUERIES = 1.1
"""Larger pools have helped if this factor of queries is made,"""
POOL_HELPED_WAIT = 0.7
"""or if queries wait no longer than this share of the time before."""
NO_ROOM_S = 900.0
"""How long no more pods are asked for after some found no room."""
PROJECTION_LATE_MS = 250.0
"""Reads that wait this long for the projection say nothing about pools."""


class Demand(NamedTuple):
    """Demand of the load, relative to the allocation."""

    borne: float
    """Demand in workers at the target load, from figures that scale with the number of workers.

    Silent pods count as fully used."""
    ratio: float
    """Factor of workers that is needed, also by late answers and refusals.

    Silent pods count as idle."""
    because: str
    """The figure that determines it."""
    pool_short: bool
    pool_idle: bool
    pool_because: str = ""
    """Explanation if pools are short."""
    queries_per_s: float = 0.0
    pool_wait_ms: float = 0.0


class Wish(NamedTuple):
    """Another allocation that the policy asks for, and why."""

    allocation: Allocation
    reason: str
    memory: Memory
    """Memory once the wish has been granted."""


def demand_of(load: Load, current: Allocation, spec: VenueSpec, memory: Memory) -> Demand:
    """Compare a load with its targets.

    `current` has the pods that bear the load or will soon; the load is that of reporting pods.
    """
    targets = spec.tuning.targets
    cpu = load.cpu_percent / targets.cpu_percent
    figures = [
        (cpu, f"workers use {load.cpu_percent:.0f}% of a processor"),
        (
            load.in_flight_percent / targets.in_flight_percent,
            f"{load.in_flight_percent:.0f}% of what may be under way is",
        ),
    ]
    proportional = max(ratio for ratio, _because in figures)
    if load.cpu_percent >= SATURATED_PERCENT:
        because = f"workers use all of a processor ({load.cpu_percent:.0f}%)"
        figures.append((max(cpu, GROWTH_MAX), because))
    if cpu >= 1 - spec.tuning.dead_band_percent / 100:
        if load.event_loop_lag_ms > targets.event_loop_lag_ms:
            figures.append((LATE_RATIO, f"event loops are {load.event_loop_lag_ms:.0f} ms late"))
        if load.p99_ms > targets.p99_ms:
            figures.append((LATE_RATIO, f"99% of orders take up to {load.p99_ms:.0f} ms"))
    most = GROWTH_MAX
    if load.refused_share > 0:
        # Refused work would have needed as much per request as the rest.
        wanted = max(1.0, proportional) / (1 - min(load.refused_share, 0.99))
        proportional = max(proportional, wanted)
        because = f"{100 * load.refused_share:.0f}% of all requests are turned away"
        figures.append((wanted, because))
        most = REFUSED_GROWTH_MAX
    ratio, because = max(figures)
    missing = max(0, current.replicas - load.pods)
    held = current.db_pool_size + current.db_pool_overflow
    is_short = load.pool_wait_ms > targets.pool_wait_ms
    return Demand(
        borne=proportional * load.pods * current.workers + missing * current.workers,
        ratio=min(ratio, most) * load.pods / current.replicas,
        because=because,
        # A late projection delays reads, and in older versions their connections.
        pool_short=is_short and load.projection_wait_ms < PROJECTION_LATE_MS,
        # One connection of each worker always listens; one more is room for a query.
        pool_idle=missing == 0
        and load.pool_wait_ms <= targets.pool_wait_ms / 2
        and load.connections_in_use + 1 < held - 1
        and (memory.pool_short_at is None or held - 1 > memory.pool_short_at),
        pool_because=f"queries wait {load.pool_wait_ms:.0f} ms of {targets.pool_wait_ms} "
        "for a connection",
        queries_per_s=load.queries_per_s,
        pool_wait_ms=load.pool_wait_ms,
    )


def spare_share(spec: VenueSpec) -> float:
    """Return the share of the target below which the remaining workers have to stay.

    Late answers count inside the dead band, which begins above it. So under a steady load, however
    late its answers, the number never goes down and up again.
    """
    return min(SPARE_SHARE_MAX, 0.95 * (1 - spec.tuning.dead_band_percent / 100))


def watched(
    demand: Demand | None, current: Allocation, spec: VenueSpec, memory: Memory, now: float
) -> Memory:
    """Return a memory that notes since when something is asked for; None: nothing is."""
    if demand is None:
        return memory.replace(
            high_since=None, low_since=None, pool_high_since=None, pool_low_since=None
        )
    fewer = fewer_workers(current, spec.api)
    if not demand.pool_short:
        memory = memory.replace(pool_trial=None)
    return memory.replace(
        high_since=_since(memory.high_since, is_high(demand, spec), now),
        low_since=_since(
            memory.low_since,
            fewer is not None and demand.borne < spare_share(spec) * fewer.replicas * fewer.workers,
            now,
        ),
        pool_high_since=_since(memory.pool_high_since, demand.pool_short, now),
        pool_low_since=_since(memory.pool_low_since, demand.pool_idle, now),
    )


def forgetful(memory: Memory, now: float) -> Memory:
    """Forget old entries; treat times in the future as now."""
    if memory.changed_at is not None and memory.changed_at > now:
        memory = memory.replace(changed_at=now)
    if memory.pool_short_at is not None:
        # The version before stored no time.
        seen_at = min(now if memory.pool_short_seen_at is None else memory.pool_short_seen_at, now)
        memory = memory.replace(pool_short_seen_at=seen_at)
        if now - seen_at >= POOL_SHORT_S:
            memory = memory.replace(pool_short_at=None, pool_short_seen_at=None)
    if memory.pool_held_until is not None and not 0 < memory.pool_held_until - now <= POOL_HELD_S:
        memory = memory.replace(pool_held_until=None)
    until = memory.pods_at_most_until
    if until is not None and not 0 < until - now <= NO_ROOM_S:
        memory = memory.replace(pods_at_most=None, pods_at_most_until=None)
    return memory


def is_high(demand: Demand, spec: VenueSpec) -> bool:
    """True if the load asks for more workers."""
    return demand.ratio > 1 + spec.tuning.dead_band_percent / 100


def wishes(
    demand: Demand, current: Allocation, spec: VenueSpec, memory: Memory, now: float
) -> Iterator[Wish]:
    """Return wishes that lasted long enough, the most pressing first; none during the cooldown.

    The caller grants the first one for which there is room.
    """
    tuning, api = spec.tuning, spec.api
    if memory.changed_at is not None and now - memory.changed_at < tuning.cooldown_seconds:
        return
    if _lasted(memory.high_since, tuning.up_window_seconds, now):
        workers = current.replicas * current.workers
        wanted = math.ceil(workers * demand.ratio)
        more = more_workers(current, max(wanted, workers + 1), api)
        if more != current:
            yield _decided(more, f"{demand.because}: more workers", memory, now, pool_trial=None)
    if _lasted(memory.pool_high_since, tuning.up_window_seconds, now):
        if _was_in_vain(demand, current, memory):
            yield _without_what_did_not_help(current, api, memory, now)
            return
        larger = _larger_pool(current, api)
        if larger != current and memory.pool_held_until is None:
            known = memory.replace(
                pool_short_at=current.db_pool_size + current.db_pool_overflow,
                pool_short_seen_at=now,
                pool_trial=PoolTrial(
                    db_pool_size=current.db_pool_size,
                    db_pool_overflow=current.db_pool_overflow,
                    queries_per_s=demand.queries_per_s,
                    wait_ms=demand.pool_wait_ms,
                ),
            )
            yield _decided(larger, f"{demand.pool_because}: larger pools", known, now)
    fewer = fewer_workers(current, api)
    if fewer is not None and _lasted(memory.low_since, tuning.down_window_seconds, now):
        reason = f"{demand.because}, which fewer workers can bear: fewer workers"
        yield _decided(fewer, reason, memory, now, pool_trial=None)
    if _lasted(memory.pool_low_since, tuning.down_window_seconds, now):
        smaller = _smaller_pool(current, api)
        if smaller != current:
            yield _decided(smaller, "connections lie idle: smaller pools", memory, now)


def _was_in_vain(demand: Demand, current: Allocation, memory: Memory) -> bool:
    """True if larger pools neither had more queries made nor let them wait less.

    Then the database is at its limit, and more queries at a time slow it down.
    """
    trial = memory.pool_trial
    return (
        trial is not None
        and memory.pool_held_until is None
        and trial.queries_per_s > 0
        and _held(current) > trial.db_pool_size + trial.db_pool_overflow
        and demand.queries_per_s < POOL_HELPED_QUERIES * trial.queries_per_s
        and demand.pool_wait_ms > POOL_HELPED_WAIT * trial.wait_ms
    )


def _without_what_did_not_help(
    current: Allocation, api: ApiSpec, memory: Memory, now: float
) -> Wish:
    trial = memory.pool_trial
    assert trial is not None, "nothing was tried"
    before = current.replace(
        db_pool_size=max(trial.db_pool_size, api.db_pool_size.min),
        db_pool_overflow=max(trial.db_pool_overflow, api.db_pool_overflow.min),
    )
    held = memory.replace(pool_trial=None, pool_held_until=now + POOL_HELD_S)
    reason = "larger pools answered no more queries, so it is the database that is slow: as before"
    return _decided(before, reason, held, now)


def _held(allocation: Allocation) -> int:
    return allocation.db_pool_size + allocation.db_pool_overflow


def more_workers(current: Allocation, workers: int, api: ApiSpec) -> Allocation:
    """Return the smallest allocation with at least `workers`, or as many as may be.

    Workers of existing pods come first: they start in a second, without a rollout. Nothing shrinks:
    that would have to come first, and nothing may shrink while more is needed.
    """
    replicas = min(
        max(math.ceil(workers / api.workers_per_pod.max), current.replicas), api.replicas.max
    )
    each = min(max(math.ceil(workers / replicas), current.workers), api.workers_per_pod.max)
    return current.replace(replicas=replicas, workers=each)


def fewer_workers(current: Allocation, api: ApiSpec) -> Allocation | None:
    """Return the allocation with a pod less, or a worker less in each; None if neither may be.

    It chooses the one that leaves more workers.
    """
    smaller = []
    if current.replicas > api.replicas.min:
        smaller.append(current.replace(replicas=current.replicas - 1))
    if current.workers > api.workers_per_pod.min:
        smaller.append(current.replace(workers=current.workers - 1))
    return max(smaller, key=lambda one: one.replicas * one.workers, default=None)


def _larger_pool(current: Allocation, api: ApiSpec) -> Allocation:
    size = min(
        max(math.ceil(current.db_pool_size * POOL_GROWTH), current.db_pool_size + 1),
        api.db_pool_size.max,
    )
    if size > current.db_pool_size:
        return current.replace(db_pool_size=size)
    overflow = min(current.db_pool_overflow + 1, api.db_pool_overflow.max)
    return current.replace(db_pool_overflow=overflow)


def _smaller_pool(current: Allocation, api: ApiSpec) -> Allocation:
    if current.db_pool_overflow > api.db_pool_overflow.min:
        return current.replace(db_pool_overflow=current.db_pool_overflow - 1)
    return current.replace(db_pool_size=max(current.db_pool_size - 1, api.db_pool_size.min))


def _since(since: float | None, holds: bool, now: float) -> float | None:
    """Return when a condition that holds began to hold."""
    if not holds:
        return None
    return now if since is None else min(since, now)


def _lasted(since: float | None, seconds: float, now: float) -> bool:
    return since is not None and now - since >= seconds


def _decided(
    allocation: Allocation, reason: str, memory: Memory, now: float, **changes: Any
) -> Wish:
    """Return a changed target: earlier times of asking were about the allocation before it."""
    return Wish(
        allocation,
        reason,
        memory.replace(
            high_since=None,
            low_since=None,
            pool_high_since=None,
            pool_low_since=None,
            changed_at=now,
            reason=reason,
            reached=False,
            **changes,
        ),
    )
