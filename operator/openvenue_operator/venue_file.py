"""Reads a Venue from a manifest, and refuses in sentences what the API server would refuse.

The bounds and rules are those of the custom resource's schema; a test compares them.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
import yaml

from openvenue_operator.budget import rest
from openvenue_operator.spec import Bounds, VenueSpec

MESSAGES_MAX = 5


class Range(NamedTuple):
    """Least and greatest value of a field."""

    least: int
    most: int


RANGES = {
    "api.replicas": Range(1, 1000),
    "api.workersPerPod": Range(1, 64),
    "api.dbPoolSize": Range(2, 500),
    "api.dbPoolOverflow": Range(0, 500),
    "api.grpcChannels": Range(1, 64),
    "engine.serverThreads": Range(16, 4096),
    "connections.cap": Range(5, 100_000),
    "connections.headroom": Range(0, 10_000),
    "connections.projector": Range(1, 1000),
    "connections.stream": Range(0, 1000),
    "connections.migration": Range(0, 100),
    "tuning.targets.cpuPercent": Range(1, 100),
    "tuning.targets.eventLoopLagMs": Range(1, 60_000),
    "tuning.targets.poolWaitMs": Range(1, 60_000),
    "tuning.targets.p99Ms": Range(1, 60_000),
    "tuning.targets.inFlightPercent": Range(1, 100),
    "tuning.upWindowSeconds": Range(1, 3600),
    "tuning.downWindowSeconds": Range(1, 86_400),
    "tuning.cooldownSeconds": Range(0, 86_400),
    "tuning.deadBandPercent": Range(0, 50),
    "tuning.maxMetricsAgeSeconds": Range(2, 600),
    "tuning.podDeadlineSeconds": Range(10, 86_400),
}
"""Range of each number of the spec; for those with `min` and `max`, of both."""
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


class BadVenue(ValueError):
    """The text has no Venue that an API server would take; the message says why."""


def read_spec(text: str) -> VenueSpec:
    """Return the spec of the one Venue among the manifests of a text. Raises BadVenue."""
    try:
        documents = list(yaml.safe_load_all(text))
    except yaml.YAMLError as error:
        raise BadVenue(f"not YAML: {' '.join(str(error).split())}") from error
    venues = [one for one in documents if isinstance(one, dict) and one.get("kind") == "Venue"]
    if len(venues) != 1:
        raise BadVenue(f"{len(venues)} objects of kind Venue where there must be one")
    given = venues[0].get("spec")
    try:
        spec = msgspec.convert(given, VenueSpec)
    except msgspec.ValidationError as error:
        raise BadVenue(f"spec: {error}") from error
    problems = [*_unknown(given, msgspec.to_builtins(spec)), *_violations(spec)]
    if problems:
        more = len(problems) - MESSAGES_MAX
        shown = problems[:MESSAGES_MAX] + ([f"and {more} more"] if more > 0 else [])
        raise BadVenue("; ".join(shown))
    return spec


def _unknown(given: Any, known: Any, path: str = "spec") -> Iterator[str]:
    """Return fields that no Venue has."""
    if not isinstance(given, dict):
        return
    for name, value in given.items():
        if not isinstance(known, dict) or name not in known:
            yield f"{path}.{name} is no field of a Venue"
        else:
            yield from _unknown(value, known[name], f"{path}.{name}")


def _violations(spec: VenueSpec) -> Iterator[str]:
    """Return the violations of the schema and its rules."""
    fields = msgspec.to_builtins(spec)
    for path, (least, most) in RANGES.items():
        value: Any = fields
        for name in path.split("."):
            value = value[name]
        named = {f"{path}.{name}": one for name, one in value.items()} if _is_bounds(value) else {}
        for where, number in (named or {path: value}).items():
            if number is not None and not least <= number <= most:
                yield f"spec.{where} is {number}, not between {least} and {most}"
        if named and value["min"] > value["max"]:
            yield f"spec.{path}: min must not be above max"
    if spec.api.log_level not in LOG_LEVELS:
        yield f"spec.api.logLevel is none of {', '.join(LOG_LEVELS)}"
    tuning, api, connections = spec.tuning, spec.api, spec.connections
    if tuning.up_window_seconds > tuning.down_window_seconds:
        yield "spec.tuning: upWindowSeconds must not be above downWindowSeconds"
    least_held = (
        api.replicas.min
        * api.workers_per_pod.min
        * (api.db_pool_size.min + api.db_pool_overflow.min)
    )
    needed = least_held + rest(spec) + connections.headroom
    if connections.cap is not None and needed > connections.cap:
        yield (
            f"the bounds do not fit connections.cap, which is {connections.cap} and must be at "
            f"least {needed}: replicas.min x workersPerPod.min x (dbPoolSize.min + "
            "dbPoolOverflow.min) + projector + stream + migration + headroom"
        )
    sessions_of_pod = api.workers_per_pod.min * api.grpc_channels.min
    threads = max(4 * sessions_of_pod, 2 * (api.replicas.min * sessions_of_pod + 2))
    if threads > spec.engine.server_threads.max:
        yield (
            f"engine.serverThreads.max is {spec.engine.server_threads.max} and must be at least "
            f"{threads}: half of them for replicas.min x workersPerPod.min x grpcChannels.min "
            "sessions and 2 others, a quarter for the sessions of one pod"
        )


def _is_bounds(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == set(Bounds.__struct_fields__)
