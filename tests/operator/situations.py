"""Situations to plan in: a venue that is well, of which a test changes what it is about."""

from typing import Any

from openvenue_operator.model import (
    ApiSpec,
    Bounds,
    Database,
    Deployment,
    Engine,
    EngineSpec,
    Memory,
    Observation,
    Pod,
    PodLoad,
    PodReport,
    Situation,
    Tuning,
    VenueSpec,
)

NOW = 1_800_000_000.0

LOAD = PodLoad(
    seconds=5,
    orders_per_s=500,
    requests_per_s=500,
    cpu_cores=0.4,
    event_loop_lag_ms=2,
    pool_wait_ms=1,
    p99_ms=8,
    in_flight=20,
)
TUNING = Tuning(
    generation=3,
    workers=1,
    db_pool_size=3,
    db_pool_overflow=1,
    grpc_channels=1,
    log_level="WARNING",
)
SPEC = VenueSpec(
    api=ApiSpec(deployment="venue-api", db_pool_size=Bounds(min=2, max=6)),
    engine=EngineSpec(stateful_set="venue-engine"),
)


def report(tuning: Tuning = TUNING, load: PodLoad | None = LOAD, **changes: Any) -> PodReport:
    """What a pod that runs `tuning` says."""
    said = PodReport(
        read_at=NOW - 1,
        workers=tuning.workers,
        workers_wanted=tuning.workers,
        workers_leaving=0,
        generations=(tuning.generation,) * tuning.workers,
        db_pool_size=tuning.workers * tuning.db_pool_size,
        db_pool_overflow=tuning.workers * tuning.db_pool_overflow,
        db_connections=tuning.workers * tuning.db_pool_size,
        db_in_use=1,
        load=load,
    )
    return said.replace(**changes)


def pod(name: str, said: PodReport | None, **changes: Any) -> Pod:
    """A ready pod that says so."""
    made = Pod(
        name=name,
        uid=name,
        created_at=NOW - 3600,
        ready=True,
        terminating=False,
        restarts=0,
        nudged_generation=None,
        report=said,
        problem=None if said else "it does not answer",
    )
    return made.replace(**changes)


DEPLOYMENT = Deployment(
    uid="deployment",
    replicas=2,
    max_surge=1,
    max_unavailable=0,
    min_ready_seconds=45,
    grace_seconds=30,
    rolling_out=False,
    autoscaler_max=None,
)
OBSERVATION = Observation(
    generation=1,
    deployment=DEPLOYMENT,
    pods=(pod("a", report()), pod("b", report())),
    applied=TUNING,
    started_with=TUNING.replace(generation=0),
    database=Database(
        read_at=NOW - 2, max_connections=100, reserved_connections=3, used_connections=9
    ),
    engine=Engine(server_threads=64),
    other_venue=None,
)


def situation(
    spec: VenueSpec = SPEC, memory: Memory | None = None, now: float = NOW, **changes: Any
) -> Situation:
    """A venue of two pods that run what was planned; `changes` are what is observed otherwise."""
    return Situation(
        spec=spec,
        observation=OBSERVATION.replace(**changes),
        memory=memory or Memory(),
        now=now,
    )
