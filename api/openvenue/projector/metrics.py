"""Prometheus metrics of the projector. Rates come from the counters.

Each series names its projection. They have a registry of their own: the default one also holds the
metrics of an API worker, which come with the engine client.
"""

from typing import NamedTuple

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)

_PROJECTION = ["projection"]

SEQUENCE = Gauge(
    "openvenue_projector_sequence",
    "Last sequence number in the database.",
    _PROJECTION,
    registry=REGISTRY,
)
LAG_SEQUENCES = Gauge(
    "openvenue_projector_lag_sequences",
    "Durable journal entries that are not in the database; NaN: unknown, for want of a stream.",
    _PROJECTION,
    registry=REGISTRY,
)
LAG_SECONDS = Gauge(
    "openvenue_projector_lag_seconds",
    "How long the database has been missing entries, or may have been; 0: it holds all of them.",
    _PROJECTION,
    registry=REGISTRY,
)
ENTRIES = Counter(
    "openvenue_projector_entries", "Journal entries projected.", _PROJECTION, registry=REGISTRY
)
ROWS = Counter("openvenue_projector_rows", "Rows written.", _PROJECTION, registry=REGISTRY)
BATCH_ENTRIES = Histogram(
    "openvenue_projector_batch_entries",
    "Journal entries of a transaction.",
    _PROJECTION,
    buckets=(1, 4, 16, 64, 256, 1024, 4096, 16384),
    registry=REGISTRY,
)
TRANSACTION_SECONDS = Histogram(
    "openvenue_projector_transaction_seconds",
    "A transaction, commit included.",
    _PROJECTION,
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
    registry=REGISTRY,
)
FAILURES = Counter(
    "openvenue_projector_failures",
    "Times it had to start over, by what was away.",
    ["projection", "cause"],
    registry=REGISTRY,
)
ACTIVE = Gauge(
    "openvenue_projector_active",
    "1: this process projects; 0: it waits or retries.",
    _PROJECTION,
    registry=REGISTRY,
)

_CAUSES = ("engine", "connection", "offset", "schema", "fault")


class ProjectionMetrics(NamedTuple):
    """The series of one projection."""

    sequence: Gauge
    lag_sequences: Gauge
    lag_seconds: Gauge
    entries: Counter
    rows: Counter
    batch_entries: Histogram
    transaction_seconds: Histogram
    active: Gauge


def of_projection(name: str) -> ProjectionMetrics:
    """Return the series of a projection, its failures at zero."""
    for cause in _CAUSES:
        FAILURES.labels(name, cause)  # A rate misses an event with which its counter appears.
    return ProjectionMetrics(
        SEQUENCE.labels(name),
        LAG_SEQUENCES.labels(name),
        LAG_SECONDS.labels(name),
        ENTRIES.labels(name),
        ROWS.labels(name),
        BATCH_ENTRIES.labels(name),
        TRANSACTION_SECONDS.labels(name),
        ACTIVE.labels(name),
    )
