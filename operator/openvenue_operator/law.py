"""The tuning law: how many workers and connections the measured load asks for.

Derived in docs/tuning.md. In short: what scales with the number of workers (processor time,
requests under way) says in proportion how many are needed. What does not (latencies, which rise
without bound as a worker fills up) only says that more are needed, one at a time, and only where
the workers are nearly as busy as they may be: no worker makes a slow disk, or a node whose
processors others use, faster. A dead band, a time for which a wish must last, a bound on each
change and a pause after it keep the number from swinging.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from openvenue_operator.model import Allocation, ApiSpec, Input, Memory, Pod, PodLoad, VenueSpec

IN_FLIGHT_MAX = 4096
"""Requests that one worker may have at the engine, unless the chart's values say otherwise."""
GROWTH_MAX = 2.0
"""No change makes more of the workers than this factor."""
SPARE_SHARE = 0.5
"""There are fewer workers only where they stay below this share of the processor's target.

Late answers count from the dead band on, which begins no lower: so a steady load, whatever its
answers take, never has the number go down and up again."""
LATE_RATIO = 1.25
"""Demand that a late answer stands for, relative to what there is."""
POOL_GROWTH = 1.5
"""A pool in which queries wait too long becomes this much larger, or by one."""


class Load(NamedTuple):
    """What the pods that report bear together."""

    pods: int
    workers: int
    age_s: float
    orders_per_s: float
    cpu_percent: float
    """Of one processor, a worker."""
    in_flight_percent: float
    event_loop_lag_ms: float
    p99_ms: float
    pool_wait_ms: float
    connections_in_use: float
    """A worker."""

    def inputs(self, spec: VenueSpec) -> tuple[Input, ...]:
        """The figures beside their targets."""
        targets = spec.tuning.targets
        figures: tuple[tuple[str, float, float | None], ...] = (
            ("ordersPerSecond", self.orders_per_s, None),
            ("cpuPercent", self.cpu_percent, targets.cpu_percent),
            ("inFlightPercent", self.in_flight_percent, targets.in_flight_percent),
            ("eventLoopLagMs", self.event_loop_lag_ms, targets.event_loop_lag_ms),
            ("p99Ms", self.p99_ms, targets.p99_ms),
            ("poolWaitMs", self.pool_wait_ms, targets.pool_wait_ms),
            ("connectionsInUse", self.connections_in_use, None),
        )
        return tuple(
            Input(
                name=name,
                value=round(value, 1),
                target=None if target is None else float(target),
                age_seconds=round(self.age_s, 1),
            )
            for name, value, target in figures
        )


class Demand(NamedTuple):
    """What the load asks for, relative to what there is."""

    proportional: float
    """By what scales with the number of workers; 1: as many as there are."""
    ratio: float
    """By that, and by answers that are late."""
    because: str
    """Which figure says so."""
    pool_short: bool
    pool_idle: bool


class Wish(NamedTuple):
    """What the law would have: another allocation, and why."""

    allocation: Allocation
    reason: str
    memory: Memory
    """As it is once the wish has been granted."""


def load_of(pods: Iterable[Pod], now: float) -> Load | None:
    """Sum up the ready pods that report a load; None where none does."""
    found: list[tuple[float, PodLoad, int, int]] = [
        (now - pod.report.read_at, pod.report.load, pod.report.workers, pod.report.db_in_use)
        for pod in pods
        if pod.ready
        and not pod.terminating
        and pod.report is not None
        and pod.report.load is not None
        and pod.report.workers > 0
    ]
    if not found:
        return None
    loads = [load for _age, load, _workers, _in_use in found]
    workers = sum(workers for _age, _load, workers, _in_use in found)
    orders_per_s = sum(load.orders_per_s for load in loads)

    def of_orders(figure: Callable[[PodLoad], float]) -> float:
        if orders_per_s <= 0:
            return max(map(figure, loads))
        return sum(figure(load) * load.orders_per_s for load in loads) / orders_per_s

    return Load(
        pods=len(found),
        workers=workers,
        age_s=max(age for age, *_rest in found),
        orders_per_s=orders_per_s,
        cpu_percent=100 * sum(load.cpu_cores for load in loads) / workers,
        in_flight_percent=100 * sum(load.in_flight for load in loads) / (workers * IN_FLIGHT_MAX),
        event_loop_lag_ms=of_orders(lambda load: load.event_loop_lag_ms),
        p99_ms=of_orders(lambda load: load.p99_ms),
        pool_wait_ms=max(load.pool_wait_ms for load in loads),
        connections_in_use=sum(in_use for *_rest, in_use in found) / workers,
    )


def demand_of(
    load: Load, current: Allocation, spec: VenueSpec, pool_short_at: int | None
) -> Demand:
    """Hold a load against its targets. In pools of `pool_short_at` queries had to wait."""
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
    if cpu >= 1 - spec.tuning.dead_band_percent / 100:
        if load.event_loop_lag_ms > targets.event_loop_lag_ms:
            figures.append((LATE_RATIO, f"event loops are {load.event_loop_lag_ms:.0f} ms late"))
        if load.p99_ms > targets.p99_ms:
            figures.append((LATE_RATIO, f"99% of orders take up to {load.p99_ms:.0f} ms"))
    ratio, because = max(figures)
    held = current.db_pool_size + current.db_pool_overflow
    return Demand(
        proportional=proportional,
        ratio=ratio,
        because=because,
        pool_short=load.pool_wait_ms > targets.pool_wait_ms,
        # One connection of each worker always listens; one more is room for a query.
        pool_idle=load.pool_wait_ms <= targets.pool_wait_ms / 2
        and load.connections_in_use + 1 < held - 1
        and (pool_short_at is None or held - 1 > pool_short_at),
    )


def watched(
    demand: Demand | None, current: Allocation, spec: VenueSpec, memory: Memory, now: float
) -> Memory:
    """Return the memory in which it is noted since when what is asked for; by None, nothing is."""
    if demand is None:
        return memory.replace(
            high_since=None, low_since=None, pool_high_since=None, pool_low_since=None
        )
    fewer = fewer_workers(current, spec.api)
    borne = demand.proportional * current.replicas * current.workers
    return memory.replace(
        high_since=_since(memory.high_since, is_high(demand, spec), now),
        low_since=_since(
            memory.low_since,
            fewer is not None and borne < SPARE_SHARE * fewer.replicas * fewer.workers,
            now,
        ),
        pool_high_since=_since(memory.pool_high_since, demand.pool_short, now),
        pool_low_since=_since(memory.pool_low_since, demand.pool_idle, now),
    )


def is_high(demand: Demand, spec: VenueSpec) -> bool:
    """Whether more workers are asked for."""
    return demand.ratio > 1 + spec.tuning.dead_band_percent / 100


def wishes(
    demand: Demand, current: Allocation, spec: VenueSpec, memory: Memory, now: float
) -> Iterator[Wish]:
    """What was asked for long enough, the most pressing first; nothing while it cools down.

    One of them is to be granted, the first for which there is room.
    """
    tuning, api = spec.tuning, spec.api
    if memory.changed_at is not None and now - memory.changed_at < tuning.cooldown_seconds:
        return
    if _lasted(memory.high_since, tuning.up_window_seconds, now):
        workers = current.replicas * current.workers
        wanted = math.ceil(workers * min(demand.ratio, GROWTH_MAX))
        more = more_workers(current, max(wanted, workers + 1), api)
        if more != current:
            yield _decided(more, f"{demand.because}: more workers", memory, now)
    if _lasted(memory.pool_high_since, tuning.up_window_seconds, now):
        larger = _larger_pool(current, api)
        if larger != current:
            short_at = current.db_pool_size + current.db_pool_overflow
            known = memory.replace(pool_short_at=short_at)
            yield _decided(larger, "queries wait for connections: larger pools", known, now)
    fewer = fewer_workers(current, api)
    if fewer is not None and _lasted(memory.low_since, tuning.down_window_seconds, now):
        reason = f"{demand.because}, which fewer workers can bear: fewer workers"
        yield _decided(fewer, reason, memory, now)
    if _lasted(memory.pool_low_since, tuning.down_window_seconds, now):
        smaller = _smaller_pool(current, api)
        if smaller != current:
            yield _decided(smaller, "connections lie idle: smaller pools", memory, now)


def more_workers(current: Allocation, workers: int, api: ApiSpec) -> Allocation:
    """Return the smallest allocation with at least so many workers, or as many as may be.

    Workers of the pods that are there come first: they start in a second, without a rollout. And
    there is no less of anything: what shrinks does so first, and nothing may while more is needed.
    """
    replicas = min(
        max(math.ceil(workers / api.workers_per_pod.max), current.replicas), api.replicas.max
    )
    each = min(max(math.ceil(workers / replicas), current.workers), api.workers_per_pod.max)
    return current.replace(replicas=replicas, workers=each)


def fewer_workers(current: Allocation, api: ApiSpec) -> Allocation | None:
    """Return the allocation with a pod less, or a worker less in each; None where none may be.

    Whichever leaves more workers.
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
    """When a condition that holds began to hold."""
    if not holds:
        return None
    return now if since is None else min(since, now)


def _lasted(since: float | None, seconds: float, now: float) -> bool:
    return since is not None and now - since >= seconds


def _decided(allocation: Allocation, reason: str, memory: Memory, now: float) -> Wish:
    """A change: what was asked for until now was asked of the allocation before it."""
    return Wish(
        allocation,
        reason,
        memory.replace(
            high_since=None,
            low_since=None,
            pool_high_since=None,
            pool_low_since=None,
            changed_at=now,
        ),
    )
