"""Turns a pod's /metrics into a report, and refuses figures that cannot be true.

    text ─ read ▸ Reading ─ report_of (with an earlier Reading of the same pod) ▸ PodReport

A text that lacks a figure, has an impossible one, or counters that went back, is InvalidMetrics as
a whole: if a pod is wrong about one figure, the others are not believed either.
"""

import math
from collections.abc import Collection, Iterable
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from openvenue_operator.model import Database, PodLoad, PodReport

ORDER_ENTRY = "POST /v2/orders"
BATCH_ENTRY = "POST /v2/orders:batch"
REFUSALS = {
    "openvenue_api_engine_refused_total": ("busy", "unary_busy"),
    # Named told and cut before rejected and aborted.
    "openvenue_api_connections_refused_total": ("rejected", "aborted", "told", "cut"),
}
"""Work that workers refused at their own limits; more workers raise these limits."""

WORKERS_MAX = 64
CONNECTIONS_MAX = 262_143  # PostgreSQL's own bound of max_connections
COUNT_MAX = float(1 << 53)
CORES_MAX = 1024.0
CLOCK_SKEW_MAX_S = 60.0
SECONDS_MIN = 0.9
"""Between two readings, since the API's own figures are up to a second old."""
OBSERVATIONS_MIN = 50
"""For a 99th percentile: with fewer, it is the worst observation."""


class InvalidMetrics(ValueError):
    """A pod's answer cannot be used; the message says why."""


class Distribution(NamedTuple):
    """A histogram: upper bounds in seconds, and how many observations do not exceed each."""

    bounds: tuple[float, ...]
    counts: tuple[float, ...]

    @property
    def total(self) -> float:
        """Number of observations."""
        return self.counts[-1] if self.counts else 0.0

    def since(self, earlier: "Distribution") -> "Distribution":
        """Return the observations after `earlier`; maybe none."""
        if not earlier.bounds:
            return self
        if self.bounds != earlier.bounds:
            raise InvalidMetrics("a histogram has other buckets than before")
        counts = tuple(
            now - before for now, before in zip(self.counts, earlier.counts, strict=True)
        )
        if any(count < 0 for count in counts) or list(counts) != sorted(counts):
            raise InvalidMetrics("a histogram went back")
        return Distribution(self.bounds, counts)

    def quantile(self, share: float) -> float:
        """Return the value that `share` of the observations do not exceed; 0 if there are none.

        Interpolated within its bucket, as PromQL's histogram_quantile does; beyond the last finite
        bound, that bound.
        """
        if not self.counts or self.counts[-1] == 0:
            return 0.0
        rank = share * self.counts[-1]
        below, lower = 0.0, 0.0
        for bound, count in zip(self.bounds, self.counts, strict=True):
            if count >= rank:
                if math.isinf(bound):
                    return lower
                return lower + (bound - lower) * (rank - below) / (count - below)
            below, lower = count, bound
        return lower


_NOTHING = Distribution((), ())


class Reading(NamedTuple):
    """One pod's metrics at one time, checked."""

    read_at: float
    workers: int
    workers_wanted: int
    workers_leaving: int
    generations: tuple[int, ...]
    db_pool_size: int
    db_pool_overflow: int
    db_connections: int
    db_in_use: int
    in_flight: float
    orders: float
    """Entered alone; in batches:"""
    batch_orders: float
    requests: float
    cpu_s: float
    lag: Distribution
    pool_wait: Distribution
    order_latency: Distribution
    projection_wait: Distribution
    refused: float
    database: Database | None


def read(text: str, read_at: float) -> Reading:
    """Read the figures of a text in Prometheus' format. Raises InvalidMetrics."""
    samples = _Samples(text)
    requests = samples.all("openvenue_api_requests_total")
    return Reading(
        read_at=read_at,
        workers=samples.whole("openvenue_api_workers", WORKERS_MAX),
        workers_wanted=samples.whole("openvenue_api_workers_wanted", WORKERS_MAX),
        workers_leaving=samples.whole("openvenue_api_workers_leaving", COUNT_MAX),
        generations=tuple(
            sorted(
                _whole(sample, COUNT_MAX)
                for sample in samples.required("openvenue_api_tuning_generation")
            )
        ),
        db_pool_size=samples.whole("openvenue_api_db_pool_size", CONNECTIONS_MAX),
        db_pool_overflow=samples.whole("openvenue_api_db_pool_overflow_max", CONNECTIONS_MAX),
        db_connections=samples.whole("openvenue_api_db_pool_connections", CONNECTIONS_MAX),
        db_in_use=int(
            sum(
                _finite(sample, CONNECTIONS_MAX)
                for sample in samples.required("openvenue_api_db_pool_connections")
                if sample.labels.get("state") == "in_use"
            )
        ),
        in_flight=samples.sum("openvenue_api_engine_in_flight", COUNT_MAX),
        orders=_entered(requests, ORDER_ENTRY),
        # Versions without batches do not have it.
        batch_orders=_entered(samples.all("openvenue_api_batch_results_total"), BATCH_ENTRY),
        requests=sum(_finite(sample, COUNT_MAX) for sample in requests),
        cpu_s=samples.sum("openvenue_api_cpu_seconds_total", COUNT_MAX),
        lag=samples.distribution("openvenue_api_event_loop_lag_seconds"),
        pool_wait=samples.distribution("openvenue_api_db_pool_wait_seconds"),
        order_latency=samples.distribution("openvenue_api_request_seconds", ORDER_ENTRY),
        projection_wait=samples.distribution("openvenue_api_projection_wait_seconds"),
        refused=sum(
            samples.of_causes(name, causes, COUNT_MAX) for name, causes in REFUSALS.items()
        ),
        database=_database(samples, read_at),
    )


def report_of(reading: Reading, earlier: Reading | None) -> PodReport:
    """Return a pod's state and, if it was read before, its load. Raises InvalidMetrics."""
    return PodReport(
        read_at=reading.read_at,
        workers=reading.workers,
        workers_wanted=reading.workers_wanted,
        workers_leaving=reading.workers_leaving,
        generations=reading.generations,
        db_pool_size=reading.db_pool_size,
        db_pool_overflow=reading.db_pool_overflow,
        db_connections=reading.db_connections,
        db_in_use=reading.db_in_use,
        load=_load(reading, earlier) if earlier else None,
    )


def _load(now: Reading, before: Reading) -> PodLoad | None:
    seconds = now.read_at - before.read_at
    if seconds < SECONDS_MIN:
        return None

    def rate(later: float, earlier: float, what: str) -> float:
        if later < earlier:
            raise InvalidMetrics(f"{what} went back from {earlier:g} to {later:g}")
        return (later - earlier) / seconds

    cpu_cores = rate(now.cpu_s, before.cpu_s, "the processor time")
    if cpu_cores > CORES_MAX:
        raise InvalidMetrics(f"{cpu_cores:.0f} processors were used")
    return PodLoad(
        seconds=seconds,
        orders_per_s=rate(now.orders, before.orders, "the number of orders"),
        batch_orders_per_s=rate(
            now.batch_orders, before.batch_orders, "the number of orders in batches"
        ),
        requests_per_s=rate(now.requests, before.requests, "the number of requests"),
        cpu_cores=cpu_cores,
        event_loop_lag_ms=_p99_ms(now.lag.since(before.lag)),
        pool_wait_ms=_p99_ms(now.pool_wait.since(before.pool_wait)),
        p99_ms=_p99_ms(now.order_latency.since(before.order_latency)),
        in_flight=now.in_flight,
        refused_per_s=rate(now.refused, before.refused, "the number of refusals"),
        queries_per_s=now.pool_wait.since(before.pool_wait).total / seconds,
        projection_wait_ms=_p99_ms(now.projection_wait.since(before.projection_wait)),
    )


def _entered(samples: Iterable[Sample], route: str) -> float:
    """Return the number of orders that a route entered."""
    return sum(
        _finite(sample, COUNT_MAX)
        for sample in samples
        if sample.labels.get("route") == route and sample.labels.get("status") == "200"
    )


def _p99_ms(distribution: Distribution) -> float:
    """Return the 99th percentile in ms; 0 if there were too few observations."""
    return 1e3 * distribution.quantile(0.99) if distribution.total >= OBSERVATIONS_MIN else 0.0


def _database(samples: "_Samples", read_at: float) -> Database | None:
    """Return the database's figures; None while the pod has not read them."""
    observed_at = samples.sum(
        "openvenue_api_database_observed_timestamp_seconds", COUNT_MAX, optional=True
    )
    if observed_at == 0:
        return None
    if observed_at > read_at + CLOCK_SKEW_MAX_S:
        raise InvalidMetrics(f"the database was read {observed_at - read_at:.0f} s from now")
    most = samples.whole("openvenue_api_database_max_connections", CONNECTIONS_MAX)
    reserved = samples.whole("openvenue_api_database_reserved_connections", CONNECTIONS_MAX)
    if reserved >= most:
        raise InvalidMetrics(f"of {most} database connections {reserved} are reserved")
    return Database(
        read_at=min(observed_at, read_at),
        max_connections=most,
        reserved_connections=reserved,
        used_connections=samples.whole("openvenue_api_database_connections", CONNECTIONS_MAX),
    )


class _Samples:
    """A text's samples, by name."""

    def __init__(self, text: str) -> None:
        self._named: dict[str, list[Sample]] = {}
        try:
            for family in text_string_to_metric_families(text):
                for sample in family.samples:
                    self._named.setdefault(sample.name, []).append(sample)
        except Exception as error:
            # The parser expects valid texts; on others it fails in many ways.
            raise InvalidMetrics(f"not Prometheus' text format ({error})") from error

    def all(self, name: str) -> list[Sample]:
        """Return a name's samples, if any."""
        return self._named.get(name, [])

    def required(self, name: str) -> list[Sample]:
        """Return a name's samples, of which there must be some."""
        if name not in self._named:
            raise InvalidMetrics(f"{name} is missing")
        return self._named[name]

    def sum(self, name: str, most: float, *, optional: bool = False) -> float:
        """Return the sum of a name's samples, each between 0 and `most`."""
        samples = self.all(name) if optional else self.required(name)
        return sum(_finite(sample, most) for sample in samples)

    def of_causes(self, name: str, causes: Collection[str], most: float) -> float:
        """Return the sum of a name's samples that have one of these causes; 0 without any."""
        return sum(
            _finite(sample, most)
            for sample in self.all(name)
            if sample.labels.get("cause") in causes
        )

    def whole(self, name: str, most: float) -> int:
        """Return the sum of a name's samples, which are whole numbers between 0 and `most`."""
        total = sum(_whole(sample, most) for sample in self.required(name))
        if total > most:
            raise InvalidMetrics(f"{name} is {total}")
        return total

    def distribution(self, name: str, route: str | None = None) -> Distribution:
        """Return a histogram; empty if nothing was observed yet."""
        samples = [
            sample
            for sample in self.all(f"{name}_bucket")
            if route is None or sample.labels.get("route") == route
        ]
        if not samples:
            return _NOTHING
        buckets = sorted((_bound(sample), _finite(sample, COUNT_MAX)) for sample in samples)
        bounds = tuple(bound for bound, _count in buckets)
        counts = tuple(count for _bound, count in buckets)
        if len(set(bounds)) != len(bounds) or not math.isinf(bounds[-1]):
            raise InvalidMetrics(f"{name} has buckets twice, or no last one")
        if not _ascending(counts):
            raise InvalidMetrics(f"{name} has buckets that hold less than smaller ones")
        return Distribution(bounds, counts)


def _bound(sample: Sample) -> float:
    try:
        bound = float(sample.labels["le"])
    except (KeyError, ValueError) as error:
        raise InvalidMetrics(f"{sample.name} has a bucket without a bound") from error
    if math.isnan(bound) or bound < 0:
        raise InvalidMetrics(f"{sample.name} has a bucket up to {bound}")
    return bound


def _ascending(counts: Iterable[float]) -> bool:
    before = 0.0
    for count in counts:
        if count < before:
            return False
        before = count
    return True


def _finite(sample: Sample, most: float) -> float:
    value = float(sample.value)
    if not 0 <= value <= most:  # NaN is not
        raise InvalidMetrics(f"{sample.name} is {value:g}")
    return value


def _whole(sample: Sample, most: float) -> int:
    value = _finite(sample, most)
    if not value.is_integer():
        raise InvalidMetrics(f"{sample.name} is {value:g}")
    return int(value)
