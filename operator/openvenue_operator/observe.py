"""Gathers the input of a plan: the cluster's objects, and the reports of pods and engine.

It only reads, each time anew, so no cache can be stale. Beside the `Observation` it returns the
`Addresses` of the observed objects, for `apply`.
"""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from lightkube import ApiError, AsyncClient, operators
from lightkube.resources.apps_v1 import Deployment as DeploymentResource
from lightkube.resources.autoscaling_v2 import HorizontalPodAutoscaler
from lightkube.resources.core_v1 import ConfigMap
from lightkube.resources.core_v1 import Pod as PodResource
from openvenue.settings import Settings

from openvenue_operator.cluster import Venue
from openvenue_operator.engine import EngineClient
from openvenue_operator.model import (
    Database,
    Deployment,
    Observation,
    Tuning,
)
from openvenue_operator.observe_pods import (
    API_PORT_NAME,
    ENGINE_PORT,
    ENGINE_PORT_NAME,
    address_of,
    container_of,
    engine_pod_of,
    metrics_urls_of,
    pod_of,
    restarts_of,
)
from openvenue_operator.scrape import Scraper, Target
from openvenue_operator.spec import VenueSpec

TUNING_KEY = "tuning.json"
PART_OF_LABEL = ("app.kubernetes.io/part-of", "openvenue")
"""A right to write Venues must not be a right to scale other workloads."""

# An object as the client decodes it. The client's types make every field optional; the API server's
# schemas do not.
Live = Any


class VenueObject(NamedTuple):
    """A Venue in the cluster."""

    namespace: str
    name: str
    uid: str
    generation: int
    spec: VenueSpec
    status: Mapping[str, Any]
    older: str | None
    """Name of an older Venue for the same Deployment."""


class Addresses(NamedTuple):
    """Identities of the observed objects; writes go to these and to no later ones."""

    deployment_uid: str | None
    tuning_version: str | None
    """resourceVersion of the tuning ConfigMap; None: there was none."""
    pod_uids: Mapping[str, str]
    """By name."""
    engine: str | None
    """host:port"""


class InvalidSpec(ValueError):
    """A Venue's spec that this operator cannot read."""


async def find_venue(client: AsyncClient, namespace: str, name: str) -> VenueObject | None:
    """Return a Venue; None if there is none. Raises InvalidSpec."""
    venues = [
        venue
        for venue in await _list(client, Venue, namespace)
        if not venue.metadata.deletionTimestamp
    ]
    found = next((venue for venue in venues if venue.metadata.name == name), None)
    if found is None:
        return None
    try:
        spec = msgspec.convert(found["spec"], VenueSpec)
    except (KeyError, msgspec.ValidationError) as error:
        raise InvalidSpec(f"spec of Venue {name}: {error}") from error
    rivals = [venue for venue in venues if _deployment_of(venue) == spec.api.deployment]
    eldest = min(rivals, key=_age)
    return VenueObject(
        namespace=namespace,
        name=name,
        uid=found.metadata.uid,
        generation=found.metadata.generation,
        spec=spec,
        status=found.get("status") or {},
        older=None if eldest is found else eldest.metadata.name,
    )


async def observe(
    client: AsyncClient, scraper: Scraper, engine: EngineClient, venue: VenueObject
) -> tuple[Observation, Addresses]:
    """Observe everything that belongs to a Venue. Raises the client's errors."""
    namespace, spec = venue.namespace, venue.spec
    live, autoscalers, tuning, engine_pod = await asyncio.gather(
        _get(client, DeploymentResource, spec.api.deployment, namespace),
        _list(client, HorizontalPodAutoscaler, namespace),
        _get(client, ConfigMap, tuning_name(spec), namespace),
        _get(client, PodResource, f"{spec.engine.stateful_set}-0", namespace),
    )
    engine_address = address_of(engine_pod, ENGINE_PORT_NAME, ENGINE_PORT) if engine_pod else None
    pods: list[Live] = []
    if live is not None:
        pods = [
            pod
            for pod in await _list(client, PodResource, namespace, _labels(live.spec.selector))
            # An ended pod holds no connections, even if its object still exists.
            if (pod.status.phase if pod.status else None) not in ("Succeeded", "Failed")
        ]
    answers, engine_settings = await asyncio.gather(
        scraper.read_all(
            Target(pod.metadata.uid, restarts_of(pod), metrics_urls_of(pod)) for pod in pods
        ),
        engine.settings(engine_address),
    )
    observation = Observation(
        generation=venue.generation,
        deployment=_deployment(live, autoscalers) if live else None,
        pods=tuple(pod_of(pod, answers[pod.metadata.uid]) for pod in pods),
        applied=_tuning(tuning),
        started_with=started_with(live) if live else None,
        database=_freshest(answer.database for answer in answers.values()),
        engine=engine_settings,
        other_venue=venue.older,
        engine_pod=engine_pod_of(engine_pod) if engine_pod else None,
    )
    addresses = Addresses(
        deployment_uid=live.metadata.uid if live else None,
        tuning_version=tuning.metadata.resourceVersion if tuning else None,
        pod_uids={pod.metadata.name: pod.metadata.uid for pod in pods},
        engine=engine_address,
    )
    return observation, addresses


def tuning_name(spec: VenueSpec) -> str:
    """Return the name of the ConfigMap from which the API's pods read their tuning."""
    return f"{spec.api.deployment}-tuning"


def started_with(deployment: Live) -> Tuning | None:
    """Return the tuning of pods without a tuning file, from their environment; None if invalid.

    Also None if it cannot be read, because a value comes from a Secret, a ConfigMap or a field.
    """
    given = _environment(deployment)
    fields = {
        name: given.get(f"OPENVENUE_{name.upper()}", Settings.model_fields[name].default)
        for name in Tuning.__struct_fields__
        if name != "generation"
    }
    try:
        return msgspec.convert({**fields, "generation": 0}, Tuning, strict=False)
    except msgspec.ValidationError:
        return None


def _environment(deployment: Live) -> dict[str, str | None]:
    """Return the API container's variables; None: a reference. `envFrom` is ignored."""
    pod_spec = deployment.spec.template.spec
    container = container_of(pod_spec.containers, API_PORT_NAME) or pod_spec.containers[0]
    return {
        variable.name: None if variable.valueFrom else variable.value or ""
        for variable in container.env or ()
        if variable.valueFrom or variable.value
    }


def _in_flight_max(deployment: Live) -> int:
    """Return the number of requests that a worker may have at the engine."""
    given = _environment(deployment).get("OPENVENUE_ENGINE_IN_FLIGHT_MAX")
    default = int(Settings.model_fields["engine_in_flight_max"].default)
    return int(given) if given and given.isdecimal() and int(given) > 0 else default


async def _get(client: AsyncClient, resource: type[Any], name: str, namespace: str) -> Live:
    """Return an object, or None if there is none."""
    try:
        return await client.get(resource, name, namespace=namespace)
    except ApiError as error:
        if error.status.code == 404:
            return None
        raise


async def _list(
    client: AsyncClient, resource: type[Any], namespace: str, labels: Any = None
) -> list[Live]:
    return [item async for item in client.list(resource, namespace=namespace, labels=labels)]


def _labels(selector: Live) -> Any:
    """Convert a selector into the client's form."""
    wanted: list[tuple[str, Any]] = list((selector.matchLabels or {}).items())
    for expression in selector.matchExpressions or ():
        values = expression.values or []
        operator = {
            "In": operators.in_(values),
            "NotIn": operators.not_in(values),
            "Exists": operators.exists(),
            "DoesNotExist": operators.not_exists(),
        }[expression.operator]
        wanted.append((expression.key, operator))
    return wanted


def _deployment(live: Live, autoscalers: Sequence[Live]) -> Deployment:
    spec, status = live.spec, live.status
    scaler = next(
        (
            one
            for one in autoscalers
            if one.spec.scaleTargetRef.kind == "Deployment"
            and one.spec.scaleTargetRef.name == live.metadata.name
        ),
        None,
    )
    replicas = 1 if spec.replicas is None else spec.replicas
    surge, unavailable = _rolling(spec, replicas)
    updated = (status.updatedReplicas if status else None) or 0
    existing = (status.replicas if status else None) or 0
    seen = (status.observedGeneration if status else None) or 0
    label, value = PART_OF_LABEL
    return Deployment(
        name=live.metadata.name,
        part_of_venue=(live.metadata.labels or {}).get(label) == value,
        in_flight_max=_in_flight_max(live),
        uid=live.metadata.uid,
        replicas=replicas,
        max_surge=surge,
        max_unavailable=unavailable,
        min_ready_seconds=spec.minReadySeconds or 0,
        grace_seconds=_or(spec.template.spec.terminationGracePeriodSeconds, 30),
        # The same rule as that of `kubectl rollout status`.
        rolling_out=(live.metadata.generation or 0) > seen
        or updated < replicas
        or existing > updated,
        autoscaler_max=scaler.spec.maxReplicas if scaler else None,
        autoscaler_min=_or(scaler.spec.minReplicas, 1) if scaler else None,
    )


def _rolling(spec: Live, replicas: int) -> tuple[int, int]:
    """Return a rollout's surge and unavailable pods, as the Deployment's controller counts them."""
    strategy = spec.strategy
    if strategy is not None and strategy.type == "Recreate":
        return 0, replicas
    rolling = strategy.rollingUpdate if strategy else None
    surge = _resolve(_or(rolling.maxSurge if rolling else None, "25%"), replicas, math.ceil)
    unavailable = _resolve(
        _or(rolling.maxUnavailable if rolling else None, "25%"), replicas, math.floor
    )
    return surge, unavailable if surge or unavailable else 1


def _resolve(value: int | str, replicas: int, rounded: Callable[[float], int]) -> int:
    if isinstance(value, str) and value.endswith("%"):
        return rounded(int(value[:-1]) * replicas / 100)
    return int(value)


def _or(value: Any, default: Any) -> Any:
    return default if value is None else value


def _tuning(config_map: Live) -> Tuning | None:
    """Return the ConfigMap's tuning; None if there is none that can be used."""
    if config_map is None:
        return None
    try:
        return msgspec.json.decode((config_map.data or {}).get(TUNING_KEY, ""), type=Tuning)
    except msgspec.MsgspecError:
        return None


def _freshest(facts: Any) -> Database | None:
    return max((one for one in facts if one is not None), key=lambda one: one.read_at, default=None)


def _deployment_of(venue: Live) -> str | None:
    api = (venue.get("spec") or {}).get("api") or {}
    deployment = api.get("deployment")
    return deployment if isinstance(deployment, str) else None


def _age(venue: Live) -> tuple[Any, str]:
    return venue.metadata.creationTimestamp, venue.metadata.name
