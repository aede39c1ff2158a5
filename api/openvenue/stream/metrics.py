"""Prometheus metrics of the stream process. Rates come from the counters.

They have a registry of their own: the default one also holds the metrics of an API worker.
"""

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    PlatformCollector,
    ProcessCollector,
)

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)

SEQUENCE = Gauge(
    "openvenue_stream_sequence", "Last journal entry that was sent on.", registry=REGISTRY
)
LAG_SEQUENCES = Gauge(
    "openvenue_stream_lag_sequences",
    "Durable journal entries that were not sent on when the last ones came.",
    registry=REGISTRY,
)
CONNECTIONS = Gauge("openvenue_stream_connections", "WebSockets that are open.", registry=REGISTRY)
MESSAGES = Counter(
    "openvenue_stream_messages", "Messages sent, one for each connection.", registry=REGISTRY
)
CONFLATED = Counter(
    "openvenue_stream_conflated",
    "Quotes and changes of books that a slow connection did not get, for a newer state.",
    registry=REGISTRY,
)
REFUSALS = Counter(
    "openvenue_stream_refusals", "Connections refused, by reason.", ["reason"], registry=REGISTRY
)
CLOSED = Counter(
    "openvenue_stream_closed", "Connections closed by the venue.", ["reason"], registry=REGISTRY
)
FAILURES = Counter(
    "openvenue_stream_failures",
    "Times it had to start over, by what was away.",
    ["cause"],
    registry=REGISTRY,
)

# At zero: a rate misses an event with which its counter appears.
for _cause in ("engine", "database"):
    FAILURES.labels(_cause)
for _reason in ("credentials", "unchecked", "connections", "key_connections", "address"):
    REFUSALS.labels(_reason)
for _reason in ("slow", "revoked", "restart", "silent", "address"):
    CLOSED.labels(_reason)
