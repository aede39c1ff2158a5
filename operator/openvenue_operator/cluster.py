"""The Kubernetes API as the operator uses it: one client, every call counted, writes as one owner.

It does not repeat a failed call. Each reconciliation of a venue starts from what is there, so the
next one does what this one could not.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import httpx2
from lightkube import ApiError, AsyncClient
from lightkube.config.client_adapter import verify_cluster
from lightkube.config.kubeconfig import KubeConfig, SingleConfig
from lightkube.generic_resource import create_namespaced_resource
from lightkube.models.meta_v1 import ManagedFieldsEntry
from lightkube.types import PatchType

from openvenue_operator import metrics

GROUP = "openvenue.dev"
VERSION = "v1alpha1"
PLURAL = "venues"
FIELD_MANAGER = "openvenue-operator"
NUDGE_ANNOTATION = f"{GROUP}/tuning-generation"

CALL_TIMEOUT_S = 5.0

Venue = create_namespaced_resource(GROUP, VERSION, "Venue", PLURAL)

_RESOURCE_PATH = re.compile(
    r"/(?:api|apis/(?P<group>[^/]+))/[^/]+(?:/namespaces/[^/]+)?"
    r"/(?P<plural>[^/]+)(?:/(?P<name>[^/]+)(?:/(?P<subresource>[^/]+))?)?"
)
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


class Call(NamedTuple):
    """A call in the words of a Role."""

    verb: str
    resource: str
    """`plural.group`, with `/subresource` if any."""


class Contested(Exception):
    """Somebody else declares a field that the operator wants to write; the message says who."""


def call_of(method: str, path: str) -> Call:
    """Return the verb and resource of a request."""
    match = _RESOURCE_PATH.fullmatch(path)
    if match is None:
        return Call(method.lower(), "other")
    verb = _VERBS.get(method) or ("get" if match["name"] else "list")
    group = f".{match['group']}" if match["group"] else ""
    subresource = f"/{match['subresource']}" if match["subresource"] else ""
    return Call(verb, f"{match['plural']}{group}{subresource}")


class CountingTransport(httpx2.AsyncHTTPTransport):
    """HTTP that counts the calls of the Kubernetes API."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request and count it by its answer."""
        status = "none"
        try:
            response = await super().handle_async_request(request)
            status = str(response.status_code)
        finally:
            call = call_of(request.method, request.url.path)
            metrics.API_CALLS.labels(call.verb, call.resource, status).inc()
        return response


def connect(
    config: SingleConfig | None = None,
    transport: type[httpx2.AsyncHTTPTransport] = CountingTransport,
) -> AsyncClient:
    """Return a client: of the pod's service account, or of KUBECONFIG outside of a cluster."""
    config = config or KubeConfig.from_env().get()
    if config is None or config.user is None:
        raise ValueError("the kubeconfig names no user")
    verify = verify_cluster(config.cluster, config.user, config.abs_file)
    return AsyncClient(
        config=config,
        field_manager=FIELD_MANAGER,
        timeout=httpx2.Timeout(CALL_TIMEOUT_S),
        transport=transport(verify=verify),
        trust_env=False,
    )


async def server_side_apply(
    client: AsyncClient,
    resource: type[Any],
    body: Mapping[str, Any],
    *,
    field: tuple[str, ...],
    owner: tuple[str, type[Any]] | None = None,
) -> None:
    """Declare the fields in `body` of an object (server-side apply), and no others.

    It overwrites values that somebody set by hand (kubectl scale, kubectl edit, the API server's
    defaults in a `helm install`). If somebody else declares `field`, the two would take it from
    each other for ever, so it raises Contested and writes nothing. If `resource` is a subresource,
    `owner` is the kind that notes who declares what.
    """
    kind, noted_in = owner or (str(body["kind"]), resource)
    name, namespace = body["metadata"]["name"], body["metadata"]["namespace"]

    async def patch(*, force: bool) -> None:
        await client.patch(
            resource,
            name,
            dict(body),
            namespace=namespace,
            patch_type=PatchType.APPLY,
            field_manager=FIELD_MANAGER,
            force=force,
        )

    try:
        await patch(force=False)
    except ApiError as error:
        if not _is_field_conflict(error):
            raise
        live = await client.get(noted_in, name, namespace=namespace)
        others = declarers(live.metadata.managedFields or (), field)
        if others:
            raise Contested(
                f"{'.'.join(field)} of {kind} {name} is declared by {', '.join(others)}: "
                "take it out of what they apply"
            ) from error
        await patch(force=True)


def declarers(managed: Iterable[ManagedFieldsEntry], field: tuple[str, ...]) -> list[str]:
    """Return who else declares a field by server-side apply, and so would set it back."""
    return sorted(
        {
            entry.manager
            for entry in managed
            if entry.operation == "Apply"
            and entry.manager
            and entry.manager != FIELD_MANAGER
            and _owns(entry.fieldsV1, field)
        }
    )


def _owns(fields: Any, field: tuple[str, ...]) -> bool:
    node: Any = fields
    for key in field:
        if not isinstance(node, Mapping) or f"f:{key}" not in node:
            return False
        node = node[f"f:{key}"]
    return True


def _is_field_conflict(error: ApiError) -> bool:
    details = error.status.details
    causes = (details.causes if details else None) or ()
    return error.status.code == 409 and any(
        cause.reason == "FieldManagerConflict" for cause in causes
    )
