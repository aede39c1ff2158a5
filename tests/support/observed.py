"""Builders of observations to plan from, in few words."""

from typing import Any

from openvenue_operator.model import (
    Allocation,
    Database,
    Deployment,
    Engine,
    EnginePod,
    Memory,
    Observation,
    Plan,
    Pod,
    PodLoad,
    PodReport,
    Situation,
    Tuning,
)
from openvenue_operator.offline import plan_of
from openvenue_operator.spec import ApiSpec, Bounds, EngineSpec, VenueSpec

IDLE = PodLoad(
    seconds=10,
    orders_per_s=0,
    requests_per_s=1,
    cpu_cores=0.01,
    event_loop_lag_ms=1,
    pool_wait_ms=0,
    p99_ms=1,
    in_flight=0,
)


NOW = 1_800_000_000.0


def exactly(value: int) -> Bounds:
    return Bounds(min=value, max=value)


def spec(**fields: Any) -> VenueSpec:
    """Return a spec with wide bounds; fields of `api` may be given directly."""
    api = {name: fields.pop(name) for name in ApiSpec.__struct_fields__ if name in fields}
    bounds: dict[str, Any] = {
        "replicas": Bounds(min=1, max=4),
        "workers_per_pod": Bounds(min=1, max=2),
        "db_pool_size": Bounds(min=2, max=10),
        "db_pool_overflow": Bounds(min=0, max=5),
        "grpc_channels": Bounds(min=1, max=2),
    }
    return VenueSpec(
        **{
            "api": ApiSpec(deployment="api", **(bounds | api)),
            "engine": EngineSpec(stateful_set="engine"),
            **fields,
        }
    )


SPEC = spec()


def tuning(generation: int = 1, **fields: Any) -> Tuning:
    known: dict[str, Any] = {
        "workers": 1,
        "db_pool_size": 5,
        "db_pool_overflow": 0,
        "grpc_channels": 1,
        "log_level": "WARNING",
    }
    return Tuning(generation=generation, **(known | fields))


def load(**figures: float) -> PodLoad:
    return IDLE.replace(**({"orders_per_s": 100.0} | figures))


def pod(name: str = "api-1", runs: Tuning | None = None, **fields: Any) -> Pod:
    """Return a ready pod that runs a tuning under almost no load."""
    running = runs or tuning()
    report: dict[str, Any] = {
        "read_at": NOW,
        "workers": running.workers,
        "workers_wanted": running.workers,
        "workers_leaving": 0,
        "generations": (running.generation,) * running.workers,
        "db_pool_size": running.workers * running.db_pool_size,
        "db_pool_overflow": running.workers * running.db_pool_overflow,
        "db_connections": running.workers,
        "load": load(),
    }
    given = {key: fields.pop(key) for key in PodReport.__struct_fields__ if key in fields}
    known: dict[str, Any] = {
        "name": name,
        "uid": name,
        "created_at": NOW - 100,
        "ready": True,
        "terminating": False,
        "restarts": 0,
        "nudged_generation": None,
        "report": PodReport(**(report | given)),
    }
    return Pod(**(known | fields))


def silent(name: str = "silent", **fields: Any) -> Pod:
    """Return a pod without a report."""
    return pod(name, **({"report": None, "problem": "answers nonsense"} | fields))


def deployment(replicas: int = 1, **fields: Any) -> Deployment:
    """Return a Deployment like the chart's."""
    known: dict[str, Any] = {
        "uid": "uid",
        "replicas": replicas,
        "max_surge": 1,
        "max_unavailable": 0,
        "min_ready_seconds": 31,
        "grace_seconds": 31,
        "rolling_out": False,
        "autoscaler_max": None,
    }
    return Deployment(**(known | fields))


def database(**fields: Any) -> Database:
    known: dict[str, Any] = {
        "read_at": NOW,
        "max_connections": 100,
        "reserved_connections": 3,
        "used_connections": 0,
    }
    return Database(**(known | fields))


def observation(*pods: Pod, **fields: Any) -> Observation:
    """Return an observation of a venue whose pods all run the applied tuning."""
    known: dict[str, Any] = {
        "generation": 1,
        "deployment": deployment(len(pods) or 1),
        "pods": pods,
        "applied": tuning(),
        "started_with": tuning(0),
        "database": database(),
        "engine": Engine(server_threads=64),
        "other_venue": None,
        "engine_pod": EnginePod(name="engine-0", ready=True, restarts=0, since=NOW - 100),
    }
    return Observation(**(known | fields))


def allocation(**fields: int) -> Allocation:
    known: dict[str, int] = {
        "replicas": 1,
        "workers": 1,
        "db_pool_size": 5,
        "db_pool_overflow": 0,
        "grpc_channels": 1,
        "server_threads": 64,
    }
    return Allocation(**(known | fields))


def target(**fields: int) -> Memory:
    """Return a memory with a plan and an unknown load."""
    return Memory(target=allocation(**fields))


def situation(
    *pods: Pod,
    spec: VenueSpec = SPEC,
    memory: Memory | None = None,
    now: float = NOW,
    **fields: Any,
) -> Situation:
    """Return a situation with these pods, unchanged for long."""
    seen = observation(*pods, **fields)
    live, applied = seen.deployment, seen.applied
    if memory is None and live is not None and applied is not None:
        memory = target(
            replicas=live.replicas,
            workers=applied.workers,
            db_pool_size=applied.db_pool_size,
            db_pool_overflow=applied.db_pool_overflow,
            grpc_channels=applied.grpc_channels,
        )
    return Situation(spec=spec, observation=seen, memory=memory or Memory(), now=now)


def planned(*pods: Pod, **fields: Any) -> Plan:
    """Return the plan for a venue with these pods, unchanged for long."""
    return plan_of(situation(*pods, **fields))
