"""Carries out a step, with one function per write. Each write may be repeated, or be the last.

The order is that of a growing venue: the engine's threads before the channels that use them, the
tuning that new pods read before the new pods, the nudge last. A step either shrinks or grows, so an
operator that ends between two writes leaves less than the budget allows.
"""

from collections.abc import Callable
from typing import NamedTuple

import msgspec
from lightkube import ApiError, AsyncClient
from lightkube.resources.apps_v1 import Deployment, DeploymentScale
from lightkube.resources.core_v1 import ConfigMap, Pod
from msgspec.structs import replace

from openvenue_operator import metrics
from openvenue_operator.cluster import FIELD_MANAGER, NUDGE_ANNOTATION, Contested, server_side_apply
from openvenue_operator.engine import EngineClient, EngineUnreachable
from openvenue_operator.model import Step, Tuning
from openvenue_operator.observe import (
    TUNING_KEY,
    Addresses,
    VenueObject,
    tuning_name,
)
from openvenue_operator.observe_pods import nudge_value

REFUSALS = (400, 403, 422)
"""Answers of the API server that stay the same until somebody changes something."""

_encode = msgspec.json.Encoder(order="sorted").encode


class Clients(NamedTuple):
    """The clients that carry out a step."""

    client: AsyncClient
    engine: EngineClient
    holds: Callable[[], bool] = lambda: True
    """True while the Venue's Lease is held; asked right before each write."""


class Outcome(NamedTuple):
    """How much of a step was carried out."""

    done: Step
    obstacle: str | None
    """The obstacle that kept the rest from being written, in words."""


async def apply_step(
    clients: Clients,
    venue: VenueObject,
    step: Step,
    addresses: Addresses,
    generation: int,
    now: float,
) -> Outcome:
    """Write the step until an obstacle comes.

    `generation` is that of the tuning that nudged pods should read. Raises the client's errors if
    the API server cannot be reached, or if what was observed has changed meanwhile: the next
    reconciliation starts again.
    """
    done = Step()
    try:
        if step.server_threads is not None:
            _check(clients)
            await set_server_threads(clients.engine, addresses, step.server_threads)
            done = replace(done, server_threads=step.server_threads)
        if step.tuning is not None:
            _check(clients)
            await write_tuning(clients.client, venue, addresses, step.tuning)
            done = replace(done, tuning=step.tuning)
        if step.replicas is not None:
            _check(clients)
            await set_replicas(clients.client, venue, addresses, step.replicas)
            done = replace(done, replicas=step.replicas)
        for name in step.nudge:
            _check(clients)
            await nudge(clients.client, venue, addresses, name, nudge_value(generation, now))
    except (Contested, EngineUnreachable) as error:
        return Outcome(done, str(error))
    except ApiError as error:
        if error.status.code not in REFUSALS:
            raise
        return Outcome(done, f"the API server refuses it: {error}")
    return Outcome(step, None)


def _check(clients: Clients) -> None:
    """Write nothing more once another operator may have the Lease.

    A process that was frozen continues where it stood, before it notices how late it is.
    """
    if not clients.holds():
        raise TimeoutError("the Lease may be another operator's by now")


async def set_server_threads(engine: EngineClient, addresses: Addresses, count: int) -> None:
    """Bound the threads of the engine's gRPC server. Raises EngineUnreachable."""
    if addresses.engine is None:
        raise EngineUnreachable("the engine's pod has no address")
    await engine.set_server_threads(addresses.engine, count)
    metrics.WRITES.labels("engine").inc()


async def write_tuning(
    client: AsyncClient, venue: VenueObject, addresses: Addresses, tuning: Tuning
) -> None:
    """Write the ConfigMap that the API's pods mount; it is removed with their Deployment.

    The write carries the version that was read, so an operator that has not seen the last change
    changes nothing.
    """
    metadata: dict[str, object] = {
        "name": tuning_name(venue.spec),
        "namespace": venue.namespace,
        "labels": {
            "app.kubernetes.io/managed-by": FIELD_MANAGER,
            "app.kubernetes.io/part-of": "openvenue",
        },
    }
    if addresses.tuning_version is not None:
        metadata["resourceVersion"] = addresses.tuning_version
    if addresses.deployment_uid is not None:
        metadata["ownerReferences"] = [
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "name": venue.spec.api.deployment,
                "uid": addresses.deployment_uid,
            }
        ]
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata,
        "data": {TUNING_KEY: _encode(tuning).decode()},
    }
    await server_side_apply(client, ConfigMap, body, field=("data", TUNING_KEY))
    metrics.WRITES.labels("tuning").inc()


async def set_replicas(
    client: AsyncClient, venue: VenueObject, addresses: Addresses, replicas: int
) -> None:
    """Set the number of API pods, and own that field from then on.

    It uses the subresource `scale`: the right to write that cannot change an image.
    """
    body = {
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": {
            "name": venue.spec.api.deployment,
            "namespace": venue.namespace,
            # With the uid, the write never creates a Deployment.
            "uid": addresses.deployment_uid,
        },
        "spec": {"replicas": replicas},
    }
    await server_side_apply(
        client, DeploymentScale, body, field=("spec", "replicas"), owner=("Deployment", Deployment)
    )
    metrics.WRITES.labels("replicas").inc()


async def nudge(
    client: AsyncClient, venue: VenueObject, addresses: Addresses, name: str, value: str
) -> None:
    """Annotate a pod, so that its kubelet renews the mounted tuning at once.

    A pod that has gone meanwhile is ignored.
    """
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": venue.namespace,
            # With the uid, the write never creates a pod.
            "uid": addresses.pod_uids[name],
            "annotations": {NUDGE_ANNOTATION: value},
        },
    }
    try:
        await server_side_apply(
            client, Pod, body, field=("metadata", "annotations", NUDGE_ANNOTATION)
        )
    except ApiError as error:
        if error.status.code not in (404, 409):
            raise
        return
    metrics.WRITES.labels("nudge").inc()
