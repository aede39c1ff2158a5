"""Each write on a real API server: repeated, on objects that are gone, and against other owners."""

import json
import time
from typing import Any

import pytest
from lightkube import ApiError, AsyncClient
from lightkube.models.meta_v1 import ManagedFieldsEntry
from openvenue_operator.apply import Clients, apply_step, nudge, set_replicas, write_tuning
from openvenue_operator.cluster import Call, Contested, call_of, declarers
from openvenue_operator.engine import EngineClient
from openvenue_operator.model import Step, Tuning
from openvenue_operator.observe import (
    Addresses,
    VenueObject,
    find_venue,
    observe,
)
from openvenue_operator.observe_pods import nudge_value, nudged
from openvenue_operator.scrape import Scraper, new_session

from tests.operator.installed_operator import OPERATOR
from tests.operator.objects import DEPLOYMENT, ENGINE, VENUE, deployment, engine_pod, venue
from tests.support.api_server import ApiServer
from tests.support.venue import Venue

TUNING = Tuning(
    generation=1, workers=2, db_pool_size=3, db_pool_overflow=1, grpc_channels=1, log_level="INFO"
)


class Place:
    """A namespace with a Venue and its Deployment, and its observation."""

    def __init__(self, server: ApiServer, client: AsyncClient, namespace: str) -> None:
        self.server = server
        self.client = client
        self.namespace = namespace

    async def observed(self) -> tuple[VenueObject, Addresses]:
        found = await find_venue(self.client, self.namespace, VENUE)
        assert found is not None
        async with new_session() as session:
            scraper = Scraper(session, lambda: 0.0)
            _observation, addresses = await observe(self.client, scraper, EngineClient(), found)
        return found, addresses

    def get(self, kind: str, name: str) -> Any:
        return self.server.get(kind, name, self.namespace)

    def replicas(self) -> int:
        return int(self.get("deployment", DEPLOYMENT)["spec"]["replicas"])

    def declare_replicas(self, count: int, manager: str) -> None:
        """Declare the replicas, as a GitOps tool does."""
        body = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": DEPLOYMENT, "namespace": self.namespace},
            "spec": {"replicas": count},
        }
        how = ("apply", "--server-side", "--force-conflicts", f"--field-manager={manager}")
        self.server.kubectl(*how, "-f", "-", stdin=json.dumps(body))


@pytest.fixture
def place(api_server: ApiServer, client: AsyncClient, namespace: str) -> Place:
    api_server.apply(deployment(namespace), venue(namespace))
    return Place(api_server, client, namespace)


pytestmark = pytest.mark.cluster


async def test_replicas_that_came_with_the_deployment_are_taken_over(place: Place) -> None:
    found, addresses = await place.observed()
    for _ in range(2):
        await set_replicas(place.client, found, addresses, 3)
    live = place.get("deployment", DEPLOYMENT)
    assert live["spec"]["replicas"] == 3
    owned = [
        entry["fieldsV1"]
        for entry in live["metadata"]["managedFields"]
        if entry["manager"] == "openvenue-operator"
    ]
    assert owned == [{"f:spec": {"f:replicas": {}}}]


async def test_replicas_that_an_older_operator_set_without_the_subresource_are_taken_over(
    place: Place,
) -> None:
    place.declare_replicas(4, "openvenue-operator")
    found, addresses = await place.observed()
    await set_replicas(place.client, found, addresses, 2)
    live = place.get("deployment", DEPLOYMENT)
    assert live["spec"]["replicas"] == 2
    owners = [
        (entry["manager"], entry.get("subresource"))
        for entry in live["metadata"]["managedFields"]
        if "f:replicas" in entry["fieldsV1"].get("f:spec", {})
    ]
    assert owners == [("openvenue-operator", "scale")]


async def test_the_operator_may_change_only_one_annotation_of_a_pod(
    place: Place,
) -> None:
    pod = engine_pod(place.namespace, 1)
    pod["metadata"] = {"name": "api-1", "namespace": place.namespace, "labels": {"app": "api"}}
    place.server.apply(pod)
    found, _addresses = await place.observed()
    addresses = _addresses._replace(
        pod_uids={"api-1": place.get("pod", "api-1")["metadata"]["uid"]}
    )
    await nudge(place.client, found, addresses, "api-1", "7.1800000000")
    path = f"/api/v1/namespaces/{place.namespace}/pods/api-1"
    for patch in (
        {"spec": {"containers": [{"name": "engine", "image": "evil"}]}},
        {"metadata": {"labels": {"app": "engine"}}},
        {"metadata": {"annotations": {"other": "1"}}},
        {"metadata": {"finalizers": ["example.com/stay"]}},
    ):
        answer = place.server.ask(
            "PATCH",
            path,
            OPERATOR,
            content=json.dumps(patch),
            headers={"Content-Type": "application/strategic-merge-patch+json"},
        )
        assert answer.status_code == 422, answer.text
        assert "the operator of Venues changes no" in answer.json()["message"]
    await nudge(place.client, found, addresses, "api-1", "8.1800000009")
    annotations = place.get("pod", "api-1")["metadata"]["annotations"]
    assert annotations["openvenue.dev/tuning-generation"] == "8.1800000009"


async def test_nothing_is_written_once_the_lease_may_be_another_operators(place: Place) -> None:
    found, addresses = await place.observed()
    clients = Clients(place.client, EngineClient(), holds=lambda: False)
    with pytest.raises(TimeoutError, match="Lease"):
        await apply_step(clients, found, Step(replicas=3), addresses, 0, 0.0)
    assert place.replicas() == 1


async def test_a_write_that_changes_nothing_leaves_the_object_as_it_is(place: Place) -> None:
    found, addresses = await place.observed()
    await set_replicas(place.client, found, addresses, 2)
    before = place.get("deployment", DEPLOYMENT)["metadata"]["resourceVersion"]
    await set_replicas(place.client, found, addresses, 2)
    assert place.get("deployment", DEPLOYMENT)["metadata"]["resourceVersion"] == before


async def test_replicas_set_by_kubectl_scale_are_set_back(place: Place) -> None:
    found, addresses = await place.observed()
    await set_replicas(place.client, found, addresses, 2)
    scale = ("scale", "deployment", DEPLOYMENT, "-n", place.namespace, "--replicas=7")
    place.server.kubectl(*scale)
    await set_replicas(place.client, found, addresses, 2)
    assert place.replicas() == 2


async def test_replicas_that_another_manager_declares_are_left_to_it(place: Place) -> None:
    place.declare_replicas(3, "flux")
    found, addresses = await place.observed()
    with pytest.raises(Contested, match=r"spec\.replicas of Deployment venue-api .* flux"):
        await set_replicas(place.client, found, addresses, 2)
    assert place.replicas() == 3
    # With equal values, both may own the field.
    await set_replicas(place.client, found, addresses, 3)


async def test_a_refusal_of_the_api_server_is_an_obstacle(place: Place) -> None:
    found, addresses = await place.observed()
    place.server.kubectl("delete", "role", "openvenue-operator-venues", "-n", place.namespace)
    deadline = time.monotonic() + 10
    while True:  # The API server takes a moment to notice.
        clients = Clients(place.client, EngineClient())
        done = await apply_step(clients, found, Step(replicas=2), addresses, 0, 0.0)
        if done.obstacle is not None:
            break
        assert time.monotonic() < deadline
    assert "forbidden" in done.obstacle


async def test_a_deployment_that_was_made_anew_is_not_written_to(place: Place) -> None:
    found, addresses = await place.observed()
    place.server.kubectl("delete", "deployment", DEPLOYMENT, "-n", place.namespace)
    with pytest.raises(ApiError):
        await set_replicas(place.client, found, addresses, 3)
    place.server.apply(deployment(place.namespace))
    with pytest.raises(ApiError):
        await set_replicas(place.client, found, addresses, 3)
    assert place.replicas() == 1


async def test_the_tuning_is_written_whole_and_belongs_to_the_deployment(place: Place) -> None:
    found, addresses = await place.observed()
    await write_tuning(place.client, found, addresses, TUNING)
    made = place.get("configmap", f"{DEPLOYMENT}-tuning")
    assert json.loads(made["data"]["tuning.json"]) == {
        "generation": 1,
        "workers": 2,
        "db_pool_size": 3,
        "db_pool_overflow": 1,
        "grpc_channels": 1,
        "log_level": "INFO",
    }
    (owner,) = made["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"]) == ("Deployment", addresses.deployment_uid)


async def test_a_writer_that_missed_the_last_tuning_cannot_overwrite_it(place: Place) -> None:
    found, addresses = await place.observed()
    await write_tuning(place.client, found, addresses, TUNING)
    found, stale = await place.observed()
    _found, fresh = await place.observed()
    newer = Tuning(**{**_fields(TUNING), "generation": 2, "workers": 4})
    await write_tuning(place.client, found, fresh, newer)
    older = Tuning(**{**_fields(TUNING), "generation": 2, "workers": 1})
    with pytest.raises(ApiError) as refused:
        await write_tuning(place.client, found, stale, older)
    assert refused.value.status.code == 409
    data = place.get("configmap", f"{DEPLOYMENT}-tuning")["data"]
    assert json.loads(data["tuning.json"])["workers"] == 4


async def test_a_pod_is_nudged_and_one_that_has_gone_is_not_missed(place: Place) -> None:
    pod = engine_pod(place.namespace, 1)
    pod["metadata"] = {
        "name": "api-1",
        "namespace": place.namespace,
        "labels": {"app.kubernetes.io/component": "api", "app.kubernetes.io/instance": DEPLOYMENT},
    }
    place.server.apply(pod)
    found, addresses = await place.observed()
    for _ in range(2):
        await nudge(place.client, found, addresses, "api-1", nudge_value(7, 1_800_000_000.5))
    annotations = place.get("pod", "api-1")["metadata"]["annotations"]
    assert nudged(annotations["openvenue.dev/tuning-generation"]) == (7, 1_800_000_000.0)
    place.server.kubectl("delete", "pod", "api-1", "-n", place.namespace, "--now")
    await nudge(place.client, found, addresses, "api-1", nudge_value(8, 1_800_000_000.0))
    assert place.server.kubectl("get", "pods", "-n", place.namespace, "-o", "name") == ""


async def test_a_real_engine_is_asked_and_told(place: Place, venue: Venue) -> None:
    place.server.apply(engine_pod(place.namespace, venue.engine_port))
    patch = json.dumps({"status": {"podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}]}})
    status = ("--subresource=status", "--type=merge", "-p", patch)
    place.server.kubectl("patch", "pod", f"{ENGINE}-0", "-n", place.namespace, *status)
    found, addresses = await place.observed()
    assert addresses.engine == f"127.0.0.1:{venue.engine_port}"
    engine = EngineClient()
    before = await engine.settings(addresses.engine)
    assert before is not None
    threads = before.server_threads + 16
    clients = Clients(place.client, engine)
    done = await apply_step(clients, found, Step(server_threads=threads), addresses, 0, 0.0)
    after = await engine.settings(addresses.engine)
    await apply_step(clients, found, Step(server_threads=before.server_threads), addresses, 0, 0.0)
    await engine.close()
    assert done.obstacle is None
    assert after is not None
    assert after.server_threads == threads


async def test_an_engine_that_is_away_is_an_obstacle_and_stops_what_comes_after(
    place: Place,
) -> None:
    found, addresses = await place.observed()
    clients = Clients(place.client, EngineClient())
    step = Step(server_threads=128, replicas=2)
    done = await apply_step(clients, found, step, addresses, 0, 0.0)
    assert "engine" in (done.obstacle or "")
    assert done.done == Step()
    away = addresses._replace(engine="127.0.0.1:1")
    assert "127.0.0.1:1" in ((await apply_step(clients, found, step, away, 0, 0.0)).obstacle or "")
    assert place.replicas() == 1


def test_only_declarers_of_a_field_are_its_other_owners() -> None:
    def entry(manager: str, operation: str, fields: Any) -> ManagedFieldsEntry:
        return ManagedFieldsEntry(manager=manager, operation=operation, fieldsV1=fields)

    replicas: dict[str, Any] = {"f:spec": {"f:replicas": {}}}
    managed = [
        entry("argocd", "Apply", replicas),
        entry("helm", "Update", replicas),
        entry("kubectl", "Update", replicas),
        entry("openvenue-operator", "Apply", replicas),
        entry("other", "Apply", {"f:spec": {"f:paused": {}}}),
        entry("empty", "Apply", None),
    ]
    assert declarers(managed, ("spec", "replicas")) == ["argocd"]


@pytest.mark.parametrize(
    ("method", "path", "call"),
    [
        ("GET", "/api/v1/namespaces/a/pods", Call("list", "pods")),
        ("GET", "/api/v1/namespaces/a/pods/b", Call("get", "pods")),
        ("PATCH", "/apis/apps/v1/namespaces/a/deployments/b", Call("patch", "deployments.apps")),
        (
            "PATCH",
            "/apis/apps/v1/namespaces/a/deployments/b/scale",
            Call("patch", "deployments.apps/scale"),
        ),
        (
            "PATCH",
            "/apis/openvenue.dev/v1alpha1/namespaces/a/venues/b/status",
            Call("patch", "venues.openvenue.dev/status"),
        ),
        ("GET", "/apis/openvenue.dev/v1alpha1/venues", Call("list", "venues.openvenue.dev")),
        ("GET", "/version", Call("get", "other")),
    ],
)
def test_calls_are_counted_in_the_words_of_a_role(method: str, path: str, call: Call) -> None:
    assert call_of(method, path) == call


def _fields(tuning: Tuning) -> dict[str, Any]:
    return {name: getattr(tuning, name) for name in Tuning.__struct_fields__}
