"""Prometheus metrics of the administration's process, in the registry of the stream's: the drop
copy follows the journal as the streams do, and its figures have their names."""

from prometheus_client import Counter, Gauge, Histogram

from openvenue.stream.metrics import REGISTRY

__all__ = ["DROP_COPIES", "REGISTRY", "REQUESTS", "REQUEST_SECONDS", "TOKENS_REFUSED"]

REQUESTS = Counter(
    "openvenue_admin_requests",
    "Requests answered, by route and status.",
    ["route", "status"],
    registry=REGISTRY,
)
REQUEST_SECONDS = Histogram(
    "openvenue_admin_request_seconds",
    "From a request's arrival to the end of its answer; a drop copy has no end.",
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30),
    registry=REGISTRY,
)
TOKENS_REFUSED = Counter(
    "openvenue_admin_tokens_refused", "Requests without a valid token.", registry=REGISTRY
)
DROP_COPIES = Gauge("openvenue_admin_drop_copies", "Drop copies that are open.", registry=REGISTRY)
