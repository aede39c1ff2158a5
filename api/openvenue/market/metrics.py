"""Prometheus metrics of the market process, in a registry of their own."""

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

ROUNDS = Counter("openvenue_market_rounds", "Rounds of decisions.", registry=REGISTRY)
ACTIONS = Counter(
    "openvenue_market_actions",
    "Orders, replacements and cancels. Late: the order had ended before. Refused: by the venue. "
    "Dropped: beyond the bound of a round.",
    ["agent", "outcome"],
    registry=REGISTRY,
)
SYMBOLS = Gauge("openvenue_market_symbols", "Instruments that it trades.", registry=REGISTRY)
ONE_SIDED = Gauge(
    "openvenue_market_one_sided",
    "Instruments whose book lacked bids or asks in the last round.",
    registry=REGISTRY,
)
FAILURES = Counter(
    "openvenue_market_failures",
    "Times it had to start over: the venue was away.",
    registry=REGISTRY,
)
DAY_LAPS = Counter(
    "openvenue_market_day_laps", "Starts of the recorded day that is replayed.", registry=REGISTRY
)
DAY_TIME = Gauge(
    "openvenue_market_day_time_seconds",
    "Time of the recorded day that is replayed, after midnight.",
    registry=REGISTRY,
)
OUTCOMES = ("done", "late", "refused", "dropped")
