"""Observations of a venue's objects on a real API server."""

import json
from typing import Any

import pytest
from lightkube import AsyncClient
from openvenue_operator.engine import EngineClient
from openvenue_operator.model import Deployment, Observation, Tuning
from openvenue_operator.observe import find_venue, observe
from openvenue_operator.observe_pods import nudge_value, nudged
from openvenue_operator.scrape import Scraper, new_session

from tests.operator.objects import (
    DEPLOYMENT,
    ENGINE,
    VENUE,
    autoscaler,
    deployment,
    engine_pod,
    venue,
)
from tests.support.api_server import ApiServer


class Place:
    """A namespace, and its observation."""

    def __init__(self, server: ApiServer, client: AsyncClient, namespace: str) -> None:
        self.server = server
        self.client = client
        self.namespace = namespace

    async def observe(self, name: str = VENUE) -> Observation:
        found = await find_venue(self.client, self.namespace, name)
        assert found is not None
        async with new_session() as session:
            scraper = Scraper(session, lambda: 1_800_000_000.0)
            observation, _addresses = await observe(self.client, scraper, EngineClient(), found)
        return observation

    async def deployment(self, **spec: Any) -> Deployment:
        self.server.apply(deployment(self.namespace, **spec), venue(self.namespace))
        found = (await self.observe()).deployment
        assert found is not None
        return found

    def write_tuning(self, content: str) -> None:
        self.server.apply(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": f"{DEPLOYMENT}-tuning", "namespace": self.namespace},
                "data": {"tuning.json": content},
            }
        )

    def add_pod(self, name: str, phase: str = "Running", **labels: str) -> None:
        pod = engine_pod(self.namespace, 1)
        pod["metadata"] = {
            "name": name,
            "namespace": self.namespace,
            "labels": labels
            or {"app.kubernetes.io/component": "api", "app.kubernetes.io/instance": DEPLOYMENT},
        }
        self.server.apply(pod)
        status = {"phase": phase, "containerStatuses": []}
        self.patch_status("pod", name, status)

    def patch_status(self, kind: str, name: str, status: Any) -> None:
        patch = json.dumps({"status": status})
        how = ("--subresource=status", "--type=merge", "-p", patch)
        self.server.kubectl("patch", kind, name, "-n", self.namespace, *how)


@pytest.fixture
def place(api_server: ApiServer, client: AsyncClient, namespace: str) -> Place:
    return Place(api_server, client, namespace)


pytestmark = pytest.mark.cluster


async def test_a_venue_without_anything_is_observed_as_that(place: Place) -> None:
    place.server.apply(venue(place.namespace))
    assert await place.observe() == Observation(
        generation=1,
        deployment=None,
        pods=(),
        applied=None,
        started_with=None,
        database=None,
        engine=None,
        other_venue=None,
    )


async def test_there_may_be_no_venue(place: Place) -> None:
    assert await find_venue(place.client, place.namespace, "absent") is None


@pytest.mark.parametrize(
    ("replicas", "rolling", "surge", "unavailable"),
    [
        (10, {"maxSurge": "25%", "maxUnavailable": "25%"}, 3, 2),
        (1, {"maxSurge": "25%", "maxUnavailable": "25%"}, 1, 0),
        (3, {"maxSurge": 2, "maxUnavailable": 1}, 2, 1),
        (3, {"maxSurge": 0, "maxUnavailable": "10%"}, 0, 1),
        (4, None, 1, 1),
    ],
)
async def test_a_rollouts_extremes_are_numbers_of_pods(
    place: Place, replicas: int, rolling: dict[str, Any] | None, surge: int, unavailable: int
) -> None:
    strategy = {"rollingUpdate": rolling} if rolling else {}
    found = await place.deployment(replicas=replicas, strategy=strategy)
    assert (found.replicas, found.max_surge, found.max_unavailable) == (
        replicas,
        surge,
        unavailable,
    )


async def test_recreating_takes_all_pods_away(place: Place) -> None:
    found = await place.deployment(replicas=3, strategy={"type": "Recreate"})
    assert (found.max_surge, found.max_unavailable) == (0, 3)


async def test_times_of_a_rollout_are_read(place: Place) -> None:
    found = await place.deployment(minReadySeconds=7)
    assert (found.min_ready_seconds, found.grace_seconds) == (7, 30)
    assert found.rolling_out  # no controller has seen it yet
    status = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1}
    place.patch_status("deployment", DEPLOYMENT, status)
    assert not (await place.deployment(minReadySeconds=7)).rolling_out
    place.patch_status("deployment", DEPLOYMENT, {**status, "replicas": 2})
    assert (await place.deployment(minReadySeconds=7)).rolling_out


async def test_an_autoscaler_of_this_deployment_is_seen_and_of_another_not(place: Place) -> None:
    place.server.apply(autoscaler(place.namespace, 9, "another"))
    assert (await place.deployment()).autoscaler_max is None
    place.server.apply(autoscaler(place.namespace, 6))
    found = await place.deployment()
    assert (found.autoscaler_min, found.autoscaler_max) == (1, 6)


async def test_pods_start_with_what_the_deployment_tells_them(place: Place) -> None:
    environment = {"OPENVENUE_WORKERS": "3", "OPENVENUE_DB_POOL_SIZE": "4", "OTHER": "x"}
    place.server.apply(deployment(place.namespace, environment=environment), venue(place.namespace))
    # The rest are the API's own defaults.
    assert (await place.observe()).started_with == Tuning(
        generation=0,
        workers=3,
        db_pool_size=4,
        db_pool_overflow=5,
        grpc_channels=1,
        log_level="WARNING",
    )


async def test_settings_that_cannot_be_are_not_guessed(place: Place) -> None:
    environment = {"OPENVENUE_WORKERS": "many"}
    place.server.apply(deployment(place.namespace, environment=environment), venue(place.namespace))
    assert (await place.observe()).started_with is None


async def test_the_tuning_is_what_the_configmap_says(place: Place) -> None:
    place.server.apply(deployment(place.namespace), venue(place.namespace))
    tuning = {"generation": 7, "workers": 2, "db_pool_size": 4, "db_pool_overflow": 1}
    place.write_tuning(json.dumps({**tuning, "grpc_channels": 1, "log_level": "INFO"}))
    assert (await place.observe()).applied == Tuning(**tuning, grpc_channels=1, log_level="INFO")


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"generation": "x"}', "not JSON"])
async def test_a_tuning_that_says_nothing_is_as_good_as_none(place: Place, content: str) -> None:
    place.server.apply(deployment(place.namespace), venue(place.namespace))
    place.write_tuning(content)
    assert (await place.observe()).applied is None


async def test_pods_are_those_of_the_deployment_that_have_not_ended(place: Place) -> None:
    place.server.apply(deployment(place.namespace), venue(place.namespace))
    place.add_pod("runs")
    place.add_pod("failed", phase="Failed")
    place.add_pod("done", phase="Succeeded")
    place.add_pod("of-others", app="other")
    (pod,) = (await place.observe()).pods
    assert pod.name == "runs"
    assert (pod.ready, pod.terminating, pod.restarts) == (False, False, 0)
    assert (pod.report, pod.problem) == (None, "has no address yet")


async def test_a_pod_is_ready_terminating_restarted_and_nudged_as_it_says(place: Place) -> None:
    place.server.apply(deployment(place.namespace), venue(place.namespace))
    place.add_pod("one")
    container = {"name": "engine", "restartCount": 2, "image": "i", "imageID": "i", "ready": True}
    conditions = [{"type": "Ready", "status": "True"}]
    place.patch_status("pod", "one", {"conditions": conditions, "containerStatuses": [container]})
    value = nudge_value(5, 1_800_000_000.9)
    annotation = f"openvenue.dev/tuning-generation={value}"
    place.server.kubectl("annotate", "pod", "one", "-n", place.namespace, annotation)
    (pod,) = (await place.observe()).pods
    assert (pod.ready, pod.restarts) == (True, 2)
    assert (pod.nudged_generation, pod.nudged_at) == (5, 1_800_000_000.0)


async def test_the_oldest_venue_of_a_deployment_has_it(place: Place) -> None:
    # Created in the same second: the first by name.
    place.server.apply(
        venue(place.namespace, "b"),
        venue(place.namespace, "a"),
        venue(place.namespace, "c", deployment="another"),
    )
    created = {
        item["metadata"]["name"]: item["metadata"]["creationTimestamp"]
        for item in json.loads(
            place.server.kubectl("get", "venues", "-n", place.namespace, "-o", "json")
        )["items"]
    }
    eldest = min("ab", key=lambda name: (created[name], name))
    younger = "a" if eldest == "b" else "b"
    assert (await place.observe(eldest)).other_venue is None
    assert (await place.observe(younger)).other_venue == eldest
    assert (await place.observe("c")).other_venue is None


async def test_an_engine_that_does_not_answer_is_not_known(place: Place) -> None:
    place.server.apply(venue(place.namespace), engine_pod(place.namespace, 1))
    address = {"podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}]}
    place.patch_status("pod", f"{ENGINE}-0", address)
    assert (await place.observe()).engine is None


@pytest.mark.parametrize(
    ("annotation", "said"),
    [
        ("7.1800000000", (7, 1_800_000_000.0)),
        ("7", (7, None)),
        ("7.", (7, None)),
        ("seven", (None, None)),
        ("-1.5", (None, None)),
        ("", (None, None)),
        (None, (None, None)),
    ],
)
def test_an_annotation_says_a_generation_and_a_time_or_nothing(
    annotation: str | None, said: tuple[int | None, float | None]
) -> None:
    assert nudged(annotation) == said
