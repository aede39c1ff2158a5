"""Prometheus metrics of the projector. Rates come from the counters."""

from prometheus_client import Counter, Gauge, Histogram

SEQUENCE = Gauge("openvenue_projector_sequence", "Last sequence number in the database.")
LAG_SEQUENCES = Gauge(
    "openvenue_projector_lag_sequences",
    "Durable journal entries that are not in the database; NaN: unknown, for want of a stream.",
)
LAG_SECONDS = Gauge(
    "openvenue_projector_lag_seconds",
    "How long the database has been missing entries, or may have been; 0: it holds all of them.",
)
ENTRIES = Counter("openvenue_projector_entries", "Journal entries projected.")
ROWS = Counter("openvenue_projector_rows", "Rows written.")
BATCH_ENTRIES = Histogram(
    "openvenue_projector_batch_entries",
    "Journal entries of a transaction.",
    buckets=(1, 4, 16, 64, 256, 1024, 4096, 16384),
)
TRANSACTION_SECONDS = Histogram(
    "openvenue_projector_transaction_seconds",
    "A transaction, commit included.",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)
FAILURES = Counter(
    "openvenue_projector_failures", "Times it had to start over, by what was away.", ["cause"]
)
ACTIVE = Gauge("openvenue_projector_active", "1: this process projects; 0: it waits or retries.")
