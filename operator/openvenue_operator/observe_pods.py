"""Reads pods from the API server: their metrics' addresses, and why one is not ready."""

from collections.abc import Sequence
from typing import Any

from openvenue_operator.cluster import NUDGE_ANNOTATION
from openvenue_operator.model import EnginePod, Pod
from openvenue_operator.scrape import Answer

OPERATIONS_PORT_NAME = "operations"
"""The port of a pod's metrics; older versions serve them on the API's port."""
API_PORT_NAME = "http"
API_PORT = 8000
ENGINE_PORT_NAME = "grpc"
ENGINE_PORT = 7070
WORDS_MAX = 200

# A pod as the client decodes it. The client's types make every field optional; the API server's
# schemas do not.
Live = Any


def pod_of(pod: Live, answer: Answer) -> Pod:
    generation, at = nudged((pod.metadata.annotations or {}).get(NUDGE_ANNOTATION))
    ends_by = pod.metadata.deletionTimestamp
    return Pod(
        name=pod.metadata.name,
        uid=pod.metadata.uid,
        created_at=pod.metadata.creationTimestamp.timestamp(),
        ready=_is_ready(pod),
        terminating=ends_by is not None,
        restarts=restarts_of(pod),
        nudged_generation=generation,
        nudged_at=at,
        report=answer.report,
        problem=answer.problem,
        scheduled=bool(pod.spec.nodeName or (pod.status and pod.status.podIP)),
        unready_since=None if _is_ready(pod) else _turned_at(pod),
        waits_for=None if _is_ready(pod) else _waits_for(pod),
        ends_by=ends_by.timestamp() if ends_by else None,
    )


def engine_pod_of(pod: Live) -> EnginePod:
    ready = _is_ready(pod) and pod.metadata.deletionTimestamp is None
    return EnginePod(
        name=pod.metadata.name,
        ready=ready,
        restarts=restarts_of(pod),
        since=_turned_at(pod),
        waits_for=None if ready else _waits_for(pod) or "is not ready",
    )


def _conditions(pod: Live) -> dict[str, Live]:
    return {one.type: one for one in (pod.status.conditions if pod.status else None) or ()}


def _is_ready(pod: Live) -> bool:
    ready = _conditions(pod).get("Ready")
    return ready is not None and ready.status == "True"


def _turned_at(pod: Live) -> float:
    """Return since when it is ready, or not ready."""
    ready = _conditions(pod).get("Ready")
    at = ready.lastTransitionTime if ready is not None else None
    return float((at or pod.metadata.creationTimestamp).timestamp())


def _waits_for(pod: Live) -> str | None:
    """Return why a pod is not ready, in Kubernetes' words, without parts that change each time."""
    conditions = _conditions(pod)
    scheduled, ready = conditions.get("PodScheduled"), conditions.get("Ready")
    if scheduled is not None and scheduled.status != "True":
        # The second part, the scheduler's attempts to make room, is long.
        return str(scheduled.message or scheduled.reason).partition(". preemption:")[0][:WORDS_MAX]
    statuses = pod.status and [
        *(pod.status.initContainerStatuses or ()),
        *(pod.status.containerStatuses or ()),
    ]
    for container in statuses or ():
        waiting = container.state.waiting if container.state else None
        if waiting is None or not waiting.reason:
            continue
        ended = container.lastState.terminated if container.lastState else None
        if ended is not None:
            return f"{waiting.reason}, exit status {ended.exitCode} ({ended.reason})"
        return str(waiting.reason)
    if ready is not None and ready.message:
        return str(ready.message)[:WORDS_MAX]
    return str(pod.status.phase) if pod.status and pod.status.phase else None


def restarts_of(pod: Live) -> int:
    containers = (pod.status.containerStatuses if pod.status else None) or ()
    return sum(container.restartCount for container in containers)


def metrics_urls_of(pod: Live) -> tuple[str, ...]:
    """Return the URLs to try in turn: an older image may not serve the port that its chart
    names."""
    addresses = [address_of(pod, API_PORT_NAME, API_PORT)]
    if container_of(pod.spec.containers, OPERATIONS_PORT_NAME):
        addresses.insert(0, address_of(pod, OPERATIONS_PORT_NAME, 0))
    return tuple(f"http://{address}/metrics" for address in addresses if address)


def address_of(pod: Live, port_name: str, default_port: int) -> str | None:
    """Return host:port of a pod's named port."""
    host = pod.status.podIP if pod.status else None
    if not host:
        return None
    container = container_of(pod.spec.containers, port_name)
    port = next(
        (port.containerPort for port in container.ports if port.name == port_name)
        if container
        else iter(()),
        default_port,
    )
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def container_of(containers: Sequence[Live], port_name: str) -> Live:
    for container in containers:
        if any(port.name == port_name for port in container.ports or ()):
            return container
    return None


def nudge_value(generation: int, now: float) -> str:
    """Return the annotation: a generation and the time, so that it can be set again."""
    return f"{generation}.{int(now)}"


def nudged(annotation: str | None) -> tuple[int | None, float | None]:
    """Parse generation and time of the annotation; None if it is invalid."""
    generation, _dot, at = (annotation or "").partition(".")
    if not generation.isdecimal():
        return None, None
    return int(generation), float(at) if at.isdecimal() else None
