"""The load of a venue: the sum of its pods' reports, compared with its targets."""

from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import NamedTuple

from openvenue_operator.model import Input, Pod, PodLoad
from openvenue_operator.spec import VenueSpec

IN_FLIGHT_MAX = 4096
"""Requests that one worker may have at the engine, unless the Deployment sets another number."""


class Load(NamedTuple):
    """Total load of the reporting pods."""

    pods: int
    workers: int
    age_s: float
    orders_per_s: float
    """Alone and in batches."""
    cpu_percent: float
    """Of one processor, per worker."""
    in_flight_percent: float
    event_loop_lag_ms: float
    p99_ms: float
    pool_wait_ms: float
    connections_in_use: float
    """Per worker."""
    refused_share: float = 0.0
    """Share of all requests that workers turned away."""
    queries_per_s: float = 0.0
    """Per worker."""
    projection_wait_ms: float = 0.0

    def inputs(self, spec: VenueSpec) -> tuple[Input, ...]:
        """Return the figures with their targets."""
        targets = spec.tuning.targets
        figures: tuple[tuple[str, float, float | None], ...] = (
            ("ordersPerSecond", self.orders_per_s, None),
            ("cpuPercent", self.cpu_percent, targets.cpu_percent),
            ("inFlightPercent", self.in_flight_percent, targets.in_flight_percent),
            ("eventLoopLagMs", self.event_loop_lag_ms, targets.event_loop_lag_ms),
            ("p99Ms", self.p99_ms, targets.p99_ms),
            ("poolWaitMs", self.pool_wait_ms, targets.pool_wait_ms),
            ("refusedPercent", 100 * self.refused_share, None),
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


def load_of(pods: Iterable[Pod], now: float, in_flight_max: int = IN_FLIGHT_MAX) -> Load | None:
    """Sum up the ready pods that report a load; None if none does."""
    found: list[tuple[float, PodLoad, int, int]] = [
        (pod.report.read_at, pod.report.load, pod.report.workers, pod.report.db_in_use)
        for pod in pods
        if pod.ready
        and not pod.terminating
        and pod.report is not None
        and pod.report.load is not None
        and pod.report.workers > 0
    ]
    if not found:
        return None
    loads = [load for _read_at, load, *_rest in found]
    workers = sum(count for *_rest, count, _in_use in found)
    refused = sum(load.refused_per_s for load in loads)
    offered = refused + sum(load.requests_per_s for load in loads)

    return Load(
        pods=len(found),
        workers=workers,
        age_s=now - min(read_at for read_at, *_rest in found),
        orders_per_s=sum(map(_orders_per_s, loads)),
        cpu_percent=100 * sum(load.cpu_cores for load in loads) / workers,
        in_flight_percent=100 * sum(load.in_flight for load in loads) / (workers * in_flight_max),
        event_loop_lag_ms=_average(
            [(_orders_per_s(load), load.event_loop_lag_ms) for load in loads]
        ),
        # A batch takes the time of its size: only single orders tell how late answers are.
        p99_ms=_average([(load.orders_per_s, load.p99_ms) for load in loads]),
        pool_wait_ms=max(load.pool_wait_ms for load in loads),
        connections_in_use=sum(in_use for *_rest, in_use in found) / workers,
        refused_share=refused / offered if refused else 0.0,
        queries_per_s=sum(load.queries_per_s for load in loads) / workers,
        projection_wait_ms=max(load.projection_wait_ms for load in loads),
    )


def _orders_per_s(load: PodLoad) -> float:
    return load.orders_per_s + load.batch_orders_per_s


def _average(weighed: Sequence[tuple[float, float]]) -> float:
    """Return the average of values by their weights; the plain one if nothing has weight."""
    whole = sum(weight for weight, _ in weighed)
    if not whole:
        return fmean(value for _, value in weighed)
    return sum(weight * value for weight, value in weighed) / whole
