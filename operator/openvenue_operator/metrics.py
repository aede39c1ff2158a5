"""Prometheus metrics of the operator."""

from contextlib import suppress

from prometheus_client import Counter, Gauge, Histogram

from openvenue_operator.model import Budget

TICKS = Counter(
    "openvenue_operator_ticks",
    "Reconciliations of a venue, by how they ended: settled, progressing, held, paused, "
    "standing_by, failed.",
    ["result"],
)
TICK_SECONDS = Histogram(
    "openvenue_operator_tick_seconds",
    "How long it took to reconcile a venue, with all that was written.",
    buckets=(0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20),
)
LAST_TICK = Gauge(
    "openvenue_operator_last_tick_timestamp_seconds",
    "When a venue was last reconciled to the end (Unix time); by namespace/name.",
    ["venue"],
)
WRITES = Counter(
    "openvenue_operator_writes",
    "Things written: tuning, replicas, nudge, engine, status, lease, event.",
    ["kind"],
)
API_CALLS = Counter(
    "openvenue_operator_api_calls",
    "Calls of the Kubernetes API but for the watch of Venues, by verb, resource and HTTP status.",
    ["verb", "resource", "status"],
)
SCRAPE_PROBLEMS = Counter(
    "openvenue_operator_scrape_problems", "Pods' metrics that could not be had or not be believed."
)
FEASIBLE = Gauge(
    "openvenue_operator_feasible",
    "1: the venue's spec fits into its connection budget; by namespace/name.",
    ["venue"],
)
CONNECTIONS = Gauge(
    "openvenue_operator_connections",
    "Database connections: the `budget`, and what the venue may come to hold (`worst_case`).",
    ["venue", "what"],
)

# Exported at zero from the start: a rate misses an event with which its counter appears.
for _counter, _values in (
    (TICKS, ("settled", "progressing", "held", "paused", "standing_by", "failed")),
    (WRITES, ("tuning", "replicas", "nudge", "engine", "status", "lease", "event")),
):
    for _value in _values:
        _counter.labels(_value)


def forget(venue: str) -> None:
    """Remove the metrics of a venue that is gone."""
    for gauge, *more in (
        (LAST_TICK,),
        (FEASIBLE,),
        (CONNECTIONS, "budget"),
        (CONNECTIONS, "worst_case"),
    ):
        with suppress(KeyError):
            gauge.remove(venue, *more)


def show_budget(venue: str, budget: Budget | None) -> None:
    """Export a venue's budget, or the last known one."""
    if budget is not None:
        CONNECTIONS.labels(venue, "budget").set(budget.limit)
        CONNECTIONS.labels(venue, "worst_case").set(budget.total)
