"""The custom resource's spec, with its defaults; a test compares them with the chart's schema."""

from enum import StrEnum
from typing import Any, Self

import msgspec


class Value(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A value that compares by content and has a JSON form."""

    def replace(self, **changes: Any) -> Self:
        """Return a copy in which these fields differ."""
        return msgspec.structs.replace(self, **changes)


# --- The custom resource --------------------------------------------------------------------------


class Mode(StrEnum):
    """Mode of the operator."""

    AUTO = "Auto"
    PLAN = "Plan"
    PAUSED = "Paused"


class Bounds(Value, frozen=True, kw_only=True):
    """Least and greatest value, both allowed."""

    min: int
    max: int


class ApiSpec(Value, frozen=True, kw_only=True):
    """The API's Deployment and its bounds."""

    deployment: str
    replicas: Bounds = Bounds(min=1, max=4)
    workers_per_pod: Bounds = Bounds(min=1, max=2)
    db_pool_size: Bounds = Bounds(min=2, max=10)
    """Kept database connections of a worker."""
    db_pool_overflow: Bounds = Bounds(min=0, max=5)
    """Further connections of a worker under load."""
    grpc_channels: Bounds = Bounds(min=1, max=2)
    """Engine sessions of a worker."""
    log_level: str = "WARNING"


class EngineSpec(Value, frozen=True, kw_only=True):
    """The engine's StatefulSet."""

    stateful_set: str
    server_threads: Bounds = Bounds(min=64, max=256)
    """Threads of its gRPC server; half of them may hold sessions."""


class ConnectionsSpec(Value, frozen=True, kw_only=True):
    """The database connections: the cap, or the server's limit, less the headroom."""

    cap: int | None = None
    headroom: int = 3
    projector: int = 2
    stream: int = 0
    migration: int = 1


class Targets(Value, frozen=True, kw_only=True):
    """Targets of the load."""

    cpu_percent: int = 70
    """Of one processor, per worker."""
    event_loop_lag_ms: int = 20
    pool_wait_ms: int = 5
    p99_ms: int = 50
    in_flight_percent: int = 50
    """Of the requests that a worker may have at the engine."""


class TuningSpec(Value, frozen=True, kw_only=True):
    """The tuning policy's targets and times."""

    targets: Targets = Targets()
    up_window_seconds: int = 30
    down_window_seconds: int = 300
    cooldown_seconds: int = 60
    dead_band_percent: int = 10
    max_metrics_age_seconds: int = 15
    pod_deadline_seconds: int = 300
    """How long the operator waits for a late pod."""


class VenueSpec(Value, frozen=True, kw_only=True):
    """`spec` of a Venue."""

    mode: Mode = Mode.AUTO
    api: ApiSpec
    engine: EngineSpec
    connections: ConnectionsSpec = ConnectionsSpec()
    tuning: TuningSpec = TuningSpec()
