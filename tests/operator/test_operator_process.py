"""The operator's process on a real API server, with the rights that its chart gives it."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from lightkube import AsyncClient
from openvenue_operator.status import FIGURES_INTERVAL_S

from tests.operator.expiring_watch import ExpiringWatches
from tests.operator.installed_operator import OPERATOR, OTHERS, SECOND_OPERATOR, render_chart
from tests.operator.objects import DEPLOYMENT, VENUE, autoscaler, deployment, venue
from tests.operator.operator_process import OperatorProcess, running_operator
from tests.operator.simulated_pods import SimulatedPods
from tests.support.api_server import ApiServer, Call
from tests.support.proxy import Proxy
from tests.support.waiting import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(120)]

WITHIN_S = 30.0


@pytest.fixture
async def pods(
    api_server: ApiServer, namespace: str, admin: AsyncClient
) -> AsyncIterator[SimulatedPods]:
    """Yield an API Deployment with simulated pods."""
    api_server.apply(deployment(namespace))
    async with SimulatedPods(admin, namespace, DEPLOYMENT).running() as simulated:
        yield simulated


class Cluster:
    """Queries of a namespace."""

    def __init__(self, server: ApiServer, namespace: str) -> None:
        self.server = server
        self.namespace = namespace

    def get(self, kind: str, name: str) -> Any:
        return self.server.get(kind, name, self.namespace)

    def tuning(self) -> Any:
        found = self.get("configmap", f"{DEPLOYMENT}-tuning")
        return json.loads(found["data"]["tuning.json"]) if found else None

    def replicas(self) -> int:
        return int(self.get("deployment", DEPLOYMENT)["spec"]["replicas"])

    def ready_replicas(self) -> Any:
        """Return what the status says; None before there is any."""
        status = self.get("venue", VENUE).get("status") or {}
        return (status.get("api") or {}).get("readyReplicas")

    def condition(self, kind: str, name: str = VENUE) -> Any:
        status = self.get("venue", name).get("status") or {}
        return next((one for one in status.get("conditions", []) if one["type"] == kind), None)

    def is_tuned(self, name: str = VENUE) -> bool:
        condition = self.condition("Tuned", name)
        return condition is not None and condition["status"] == "True"


@pytest.fixture
def cluster(api_server: ApiServer, namespace: str) -> Cluster:
    return Cluster(api_server, namespace)


async def test_it_brings_pods_workers_and_pools_to_what_the_bounds_ask_for(
    api_server: ApiServer, namespace: str, pods: SimulatedPods, cluster: Cluster, tmp_path: Path
) -> None:
    with running_operator(api_server, tmp_path, namespace):
        api_server.apply(venue(namespace, replicas=3, workers=2, pool=4, overflow=1))
        await until(cluster.is_tuned)
    assert cluster.replicas() == 3
    assert {
        (pod.metrics.workers, pod.metrics.db_pool_size, pod.metrics.db_pool_overflow)
        for pod in pods.pods.values()
    } == {(2, 4, 1)}
    assert pods.generations == {cluster.tuning()["generation"]}


def roomy_venue(namespace: str) -> dict[str, Any]:
    """Return a Venue that leaves the policy a choice, and little time."""
    made = venue(namespace)
    made["spec"]["api"]["replicas"] = {"min": 1, "max": 3}
    made["spec"]["tuning"] = {
        "upWindowSeconds": 2,
        "downWindowSeconds": 600,
        "cooldownSeconds": 1,
        "maxMetricsAgeSeconds": 5,
    }
    return made


async def test_load_makes_it_grow_up_to_the_bounds(
    api_server: ApiServer, namespace: str, pods: SimulatedPods, cluster: Cluster, tmp_path: Path
) -> None:
    with running_operator(api_server, tmp_path, namespace):
        api_server.apply(roomy_venue(namespace))
        await until(cluster.is_tuned)
        assert cluster.replicas() == 1
        pods.cores = 0.95
        await until(lambda: cluster.replicas() == 3, within_s=60)


async def test_by_nonsense_it_does_not_tune_and_says_so(
    api_server: ApiServer, namespace: str, pods: SimulatedPods, cluster: Cluster, tmp_path: Path
) -> None:
    def freshness(status: str) -> bool:
        condition = cluster.condition("MetricsFresh")
        return condition is not None and condition["status"] == status

    with running_operator(api_server, tmp_path, namespace) as operator:
        api_server.apply(roomy_venue(namespace))
        await until(lambda: cluster.is_tuned() and freshness("True"))
        (pod,) = pods.pods.values()
        pods.cores = 0.95
        pod.answer = pod.metrics.text().replace("cpu_seconds_total", "cpu_seconds_total NaN #")
        await until(lambda: freshness("False"))
        assert "nonsense" in cluster.condition("MetricsFresh")["message"]
        await looks_pass(operator, 8)
        assert cluster.replicas() == 1
        pod.answer = None
        await until(lambda: freshness("True"))
        await until(lambda: cluster.replicas() == 3, within_s=60)


async def test_the_budget_is_among_the_metrics_while_there_is_a_venue(
    api_server: ApiServer, namespace: str, pods: SimulatedPods, cluster: Cluster, tmp_path: Path
) -> None:
    shown = "openvenue_operator_connections{"
    with running_operator(api_server, tmp_path, namespace) as operator:
        api_server.apply(venue(namespace, replicas=2))
        await until(cluster.is_tuned)
        budget = cluster.get("venue", VENUE)["status"]["connections"].partition("/")[2]
        series = f'{shown}venue="{namespace}/{VENUE}",what="budget"}} {budget}.0'
        await until(lambda: series in operator.get("/metrics").text)
        api_server.kubectl("delete", "venue", VENUE, "-n", namespace)
        await until(lambda: shown not in operator.get("/metrics").text)


async def test_every_change_has_an_event_with_its_reason(
    api_server: ApiServer, namespace: str, pods: SimulatedPods, cluster: Cluster, tmp_path: Path
) -> None:
    with running_operator(api_server, tmp_path, namespace):
        api_server.apply(venue(namespace, replicas=2))
        await until(cluster.is_tuned)
    events = json.loads(
        api_server.kubectl("get", "events.events.k8s.io", "-n", namespace, "-o", "json")
    )["items"]
    notes = {event["reason"]: event["note"] for event in events}
    assert "from 1 to 2 pods: " in notes["Scaled"]
    assert "generation 1: " in notes["TuningChanged"]
    assert all(event["regarding"]["name"] == VENUE for event in events)


async def test_an_idle_venue_is_not_written_to_at_all(
    api_server: ApiServer, namespace: str, pods: SimulatedPods, cluster: Cluster, tmp_path: Path
) -> None:
    pods.orders_per_s, pods.cores = 0, 0.01
    with running_operator(api_server, tmp_path, namespace) as operator:
        api_server.apply(venue(namespace, replicas=2))
        await until(cluster.is_tuned)
        await looks_pass(operator, 3)
        api_server.new_calls(OPERATOR)
        before = _looks(operator.get("/metrics").text)
        # Longer than the interval at which figures under load are renewed.
        await asyncio.sleep(FIGURES_INTERVAL_S + 5)
        looks = _looks(operator.get("/metrics").text) - before
        calls = api_server.new_calls(OPERATOR)
    assert looks >= 40
    assert [call for call in calls if call.writes] == []


async def test_it_makes_the_calls_that_its_role_names_and_no_others(
    api_server: ApiServer, namespace: str, pods: SimulatedPods, cluster: Cluster, tmp_path: Path
) -> None:
    api_server.new_calls(OPERATOR)
    with running_operator(api_server, tmp_path, namespace):
        # Only a field with another owner is looked up, which uses some verbs.
        api_server.kubectl("scale", "deployment", DEPLOYMENT, "-n", namespace, "--replicas=3")
        api_server.apply(venue(namespace, replicas=2))
        await until(cluster.is_tuned)
        api_server.apply(venue(namespace, replicas=1, workers=2))
        await until(lambda: cluster.replicas() == 1 and cluster.is_tuned())
    made = set()
    for call in api_server.new_calls(OPERATOR):
        if call.resource:
            made.add((call.verb, call.resource))
        if call.verb in ("patch", "update") and call.status == 201:
            # Server-side apply and PUT of a missing object also create it.
            made.add(("create", call.resource))
    assert made == _permitted()


def _permitted() -> set[tuple[str, str]]:
    return {
        (verb, _joined(resource, group))
        for one in yaml.safe_load_all(render_chart("-s", "templates/rbac.yaml"))
        if one["kind"] == "Role"
        for rule in one["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def _joined(resource: str, group: str) -> str:
    plural, _slash, subresource = resource.partition("/")
    return plural + (f".{group}" if group else "") + (f"/{subresource}" if subresource else "")


async def test_plan_mode_writes_the_status_and_nothing_else(
    api_server: ApiServer, namespace: str, pods: SimulatedPods, cluster: Cluster, tmp_path: Path
) -> None:
    api_server.new_calls(OPERATOR)
    with running_operator(api_server, tmp_path, namespace) as operator:
        api_server.apply(venue(namespace, replicas=2, mode="Plan"))
        await until(lambda: cluster.get("venue", VENUE).get("status"))
        await looks_pass(operator, 3)
        written = _written(api_server.new_calls(OPERATOR))
        assert written <= {"venues.openvenue.dev/status", "leases.coordination.k8s.io", EVENTS}
        assert cluster.replicas() == 1
        api_server.apply(venue(namespace, replicas=2, mode="Auto"))
        await until(lambda: cluster.replicas() == 2, within_s=3)


EVENTS = "events.events.k8s.io"


async def test_paused_says_so_once_and_writes_nothing_else(
    api_server: ApiServer, namespace: str, pods: SimulatedPods, cluster: Cluster, tmp_path: Path
) -> None:
    api_server.apply(venue(namespace, replicas=2, mode="Paused"))
    api_server.new_calls(OPERATOR)
    with running_operator(api_server, tmp_path, namespace) as operator:
        await until(lambda: _next_step(cluster) == "nothing: mode is Paused")
        await looks_pass(operator, 3)
        calls = api_server.new_calls(OPERATOR)
        assert ("list", "venues.openvenue.dev") in {(call.verb, call.resource) for call in calls}
        assert [call.resource for call in calls if call.writes] == ["venues.openvenue.dev/status"]
        api_server.apply(venue(namespace, replicas=2))
        await until(lambda: cluster.replicas() == 2, within_s=3)
        await until(lambda: cluster.ready_replicas() == 2)
        api_server.apply(venue(namespace, replicas=3, mode="Paused"))
        await until(lambda: _next_step(cluster) == "nothing: mode is Paused")
        assert cluster.replicas() == 2
        assert cluster.ready_replicas() == 2


def _next_step(cluster: Cluster) -> str | None:
    status = cluster.get("venue", VENUE).get("status") or {}
    return (status.get("plan") or {}).get("nextStep")


async def test_a_deployment_that_is_no_part_of_a_venue_is_not_scaled(
    api_server: ApiServer, namespace: str, pods: SimulatedPods, cluster: Cluster, tmp_path: Path
) -> None:
    """The right to write Venues is no right to scale other workloads."""
    label = "app.kubernetes.io/part-of"
    api_server.kubectl("label", "deployment", DEPLOYMENT, "-n", namespace, f"{label}-")
    with running_operator(api_server, tmp_path, namespace):
        api_server.apply(venue(namespace, replicas=2))
        await until(lambda: (cluster.condition("Degraded") or {}).get("reason") == "Held")
        assert label in cluster.condition("Degraded")["message"]
        assert cluster.replicas() == 1
        assert cluster.tuning() is None
        api_server.kubectl("label", "deployment", DEPLOYMENT, "-n", namespace, f"{label}=openvenue")
        await until(lambda: cluster.replicas() == 2)


async def test_changes_by_hand_are_set_back(
    api_server: ApiServer, namespace: str, pods: SimulatedPods, cluster: Cluster, tmp_path: Path
) -> None:
    with running_operator(api_server, tmp_path, namespace):
        api_server.apply(venue(namespace, replicas=2))
        await until(cluster.is_tuned)
        api_server.kubectl("scale", "deployment", DEPLOYMENT, "-n", namespace, "--replicas=5")
        await until(lambda: cluster.replicas() == 2)
        patch = json.dumps({"data": {"tuning.json": "{}"}})
        name = f"{DEPLOYMENT}-tuning"
        api_server.kubectl("patch", "configmap", name, "-n", namespace, "-p", patch)
        await until(lambda: cluster.tuning().get("workers") == 1)
        api_server.kubectl("delete", "configmap", name, "-n", namespace)
        await until(lambda: cluster.tuning() is not None)


async def test_replicas_that_somebody_else_declares_are_left_alone(
    api_server: ApiServer, namespace: str, pods: SimulatedPods, cluster: Cluster, tmp_path: Path
) -> None:
    declared = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": DEPLOYMENT, "namespace": namespace},
        "spec": {"replicas": 3},
    }
    apply = ("apply", "--server-side", "--force-conflicts", "--field-manager=argocd", "-f", "-")
    api_server.kubectl(*apply, stdin=json.dumps(declared))
    with running_operator(api_server, tmp_path, namespace):
        api_server.apply(venue(namespace, replicas=2))
        await until(
            lambda: "argocd" in ((cluster.condition("Degraded") or {}).get("message") or "")
        )
        assert cluster.replicas() == 3


async def test_an_autoscaler_keeps_the_replicas(
    api_server: ApiServer, namespace: str, pods: SimulatedPods, cluster: Cluster, tmp_path: Path
) -> None:
    api_server.apply(autoscaler(namespace, maximum=3))
    api_server.kubectl("scale", "deployment", DEPLOYMENT, "-n", namespace, "--replicas=3")
    with running_operator(api_server, tmp_path, namespace) as operator:
        api_server.apply(venue(namespace, replicas=2, workers=2))
        await until(lambda: (cluster.tuning() or {}).get("workers") == 2)
        await looks_pass(operator, 3)
        assert cluster.replicas() == 3


async def test_the_older_of_two_venues_on_one_deployment_wins_and_the_other_says_so(
    api_server: ApiServer, namespace: str, pods: SimulatedPods, cluster: Cluster, tmp_path: Path
) -> None:
    api_server.apply(venue(namespace, replicas=2))
    await asyncio.sleep(1.1)  # Creation times are whole seconds.
    api_server.apply(venue(namespace, "younger", replicas=4))
    with running_operator(api_server, tmp_path, namespace) as operator:
        await until(cluster.is_tuned)
        await until(lambda: cluster.condition("Degraded", "younger"))
        assert VENUE in cluster.condition("Degraded", "younger")["message"]
        await looks_pass(operator, 3)
        assert cluster.replicas() == 2
        api_server.kubectl("delete", "venue", VENUE, "-n", namespace)
        await until(lambda: cluster.replicas() == 4)


async def test_one_of_two_operators_tunes_and_the_other_stands_by(
    api_server: ApiServer, namespace: str, pods: SimulatedPods, cluster: Cluster, tmp_path: Path
) -> None:
    subject = {"kind": "ServiceAccount", "name": "second", "namespace": "operators"}
    for role in ("openvenue-operator", "openvenue-operator-venues"):
        api_server.apply(
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "RoleBinding",
                "metadata": {"name": f"second-{role}", "namespace": namespace},
                "roleRef": {
                    "apiGroup": "rbac.authorization.k8s.io",
                    "kind": "Role",
                    "name": role,
                },
                "subjects": [subject],
            }
        )
    with running_operator(api_server, tmp_path, namespace) as first:
        api_server.apply(venue(namespace, replicas=2))
        await until(cluster.is_tuned)
        api_server.new_calls(SECOND_OPERATOR)
        with running_operator(
            api_server, tmp_path, namespace, user=SECOND_OPERATOR, identity="test/operator-2"
        ) as second:
            await until(lambda: 'result="standing_by"} 0.0' not in second.get("/metrics").text)
            api_server.apply(venue(namespace, replicas=3))
            await until(lambda: cluster.replicas() == 3)
            await until(cluster.is_tuned)
            await looks_pass(second, 3)
            written = _written(api_server.new_calls(SECOND_OPERATOR))
            assert written == {"leases.coordination.k8s.io", EVENTS}
            events = api_server.kubectl("get", "events.events.k8s.io", "-n", namespace)
            assert "StandingBy" in events
            # An operator that ends releases its Leases at once; a killed one loses them later.
            assert first.stop() == 0
            api_server.apply(venue(namespace, replicas=2))
            await until(lambda: cluster.replicas() == 2, within_s=10)
            second.kill()
    with running_operator(api_server, tmp_path, namespace, identity="test/operator-3"):
        api_server.apply(venue(namespace, replicas=1))
        await until(lambda: cluster.replicas() == 1, within_s=60)


async def test_it_survives_an_api_server_that_restarts(
    api_server: ApiServer, namespace: str, cluster: Cluster, tmp_path: Path, admin: AsyncClient
) -> None:
    api_server.apply(deployment(namespace), venue(namespace, replicas=1))
    with running_operator(api_server, tmp_path, namespace) as operator:
        await until(lambda: cluster.condition("Degraded"))
        api_server.stop()
        await asyncio.sleep(2)
        assert operator.get("/healthz").status_code == 200
        api_server.start()
        async with SimulatedPods(admin, namespace, DEPLOYMENT).running():
            api_server.apply(venue(namespace, replicas=2))
            await until(lambda: cluster.replicas() == 2 and cluster.is_tuned())
            assert operator.process.poll() is None
            api_server.apply(venue(namespace, "later", deployment="another"))
            await until(lambda: cluster.condition("Degraded", "later"), within_s=90)


async def test_it_survives_an_api_server_that_stands_still(
    api_server: ApiServer, namespace: str, pods: SimulatedPods, cluster: Cluster, tmp_path: Path
) -> None:
    with running_operator(api_server, tmp_path, namespace) as operator:
        api_server.apply(venue(namespace))
        await until(cluster.is_tuned)
        api_server.pause()
        try:
            await asyncio.sleep(8)  # Longer than a call may take.
            assert operator.get("/healthz").status_code == 200
        finally:
            api_server.resume()
        api_server.apply(venue(namespace, replicas=2))
        await until(lambda: cluster.replicas() == 2 and cluster.is_tuned())


async def test_a_watch_that_has_gone_silent_is_begun_anew(
    api_server: ApiServer, namespace: str, pods: SimulatedPods, cluster: Cluster, tmp_path: Path
) -> None:
    with (
        Proxy(port=api_server.port) as proxy,
        running_operator(
            api_server, tmp_path, namespace, api_port=proxy.port, watch_silence_s="10"
        ),
    ):
        api_server.apply(venue(namespace))
        await until(cluster.is_tuned)
        proxy.strand()
        # The existing loop works without the watch; a new Venue is found by the watch.
        api_server.apply(venue(namespace, replicas=2), venue(namespace, "new", deployment="other"))
        await until(lambda: cluster.replicas() == 2)
        await until(lambda: cluster.condition("Degraded", "new"))


async def test_a_watch_whose_history_has_gone_is_begun_anew(
    api_server: ApiServer, namespace: str, pods: SimulatedPods, cluster: Cluster, tmp_path: Path
) -> None:
    async with ExpiringWatches(api_server, "venues", tmp_path).serving() as watches:
        way = watches.kubeconfig(OPERATOR)
        # So long that only the watch can notice a change in time.
        with running_operator(api_server, tmp_path, namespace, kubeconfig=way, tick_s="15"):
            api_server.apply(venue(namespace))
            await until(cluster.is_tuned)
            begun = watches.begun
            assert watches.expire() == 1
            await until(lambda: watches.begun > begun, within_s=10)
            api_server.apply(venue(namespace, replicas=2))
            await until(lambda: cluster.replicas() == 2, within_s=8)
            # Also one that changed while no watch was open.
            assert watches.expire() == 1
            api_server.apply(venue(namespace, replicas=3))
            await until(lambda: cluster.replicas() == 3, within_s=8)


async def test_a_venue_has_no_finalizer_and_leaves_nothing_behind_that_waits(
    api_server: ApiServer, namespace: str, pods: SimulatedPods, cluster: Cluster, tmp_path: Path
) -> None:
    with running_operator(api_server, tmp_path, namespace) as operator:
        api_server.apply(venue(namespace))
        await until(cluster.is_tuned)
        operator.kill()
    metadata = cluster.get("venue", VENUE)["metadata"]
    assert "finalizers" not in metadata
    assert [name for name in metadata.get("annotations", {}) if "kubectl" not in name] == []
    api_server.kubectl("delete", "venue", VENUE, "-n", namespace, "--timeout=5s")
    lease = cluster.get("lease", f"openvenue-operator.{VENUE}")
    assert lease["metadata"]["ownerReferences"][0]["kind"] == "Venue"
    tuning = cluster.get("configmap", f"{DEPLOYMENT}-tuning")
    assert tuning["metadata"]["ownerReferences"][0]["kind"] == "Deployment"


async def test_it_finds_the_venues_of_all_namespaces(
    api_server: ApiServer, namespace: str, pods: SimulatedPods, cluster: Cluster, tmp_path: Path
) -> None:
    wide = ("--set", "watch.clusterWide=true", "--set", "fullnameOverride=second")
    rights = render_chart(*wide, "-s", "templates/rbac.yaml")
    api_server.kubectl("apply", "-f", "-", stdin=rights)
    try:
        with running_operator(api_server, tmp_path, "", user=SECOND_OPERATOR):
            api_server.apply(venue(namespace, replicas=2))
            # It also tunes Venues that other tests left.
            await until(
                lambda: cluster.replicas() == 2 and cluster.is_tuned(), within_s=3 * WITHIN_S
            )
    finally:
        api_server.kubectl("delete", "-f", "-", stdin=rights)


async def test_others_cannot_do_what_the_operator_can(
    api_server: ApiServer, namespace: str
) -> None:
    """The rights come from the chart's Role, and from nothing else in this API server."""
    path = f"/apis/openvenue.dev/v1alpha1/namespaces/{namespace}/venues"
    assert api_server.ask("GET", path, OTHERS).status_code == 403
    assert api_server.ask("GET", path, OPERATOR).status_code == 200
    secrets = f"/api/v1/namespaces/{namespace}/secrets"
    assert api_server.ask("GET", secrets, OPERATOR).status_code == 403


def _written(calls: list[Call]) -> set[str]:
    return {call.resource for call in calls if call.writes}


async def looks_pass(operator: OperatorProcess, count: int) -> None:
    """Wait until the operator has looked at Venues so many times more."""
    before = _looks(operator.get("/metrics").text)
    await until(lambda: _looks(operator.get("/metrics").text) >= before + count)


def _looks(metrics: str) -> float:
    return sum(
        float(line.rpartition(" ")[2])
        for line in metrics.splitlines()
        if line.startswith("openvenue_operator_ticks_total{")
    )
