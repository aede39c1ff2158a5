"""Upgrades and rollbacks of the chart keep the operator's tuning, and the tuning keeps them."""

import asyncio
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lightkube import AsyncClient

from tests.operator.installed_operator import OPERATOR, OPERATOR_NAMESPACE
from tests.operator.operator_process import running_operator
from tests.operator.simulated_pods import SimulatedPods
from tests.support.api_server import BIN, ROOT, ApiServer
from tests.support.waiting import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]

CHART = ROOT / "charts/openvenue"
RELEASE = "ov"
DEPLOYMENT = "ov-openvenue-api"
VENUE = "ov-openvenue"
WITHIN_S = 40.0


class Release:
    """A release of the chart on an API server without nodes."""

    def __init__(
        self, server: ApiServer, namespace: str, helm: str, *, has_role: bool = False
    ) -> None:
        self.server = server
        self._role = {"role": has_role, "namespace": OPERATOR_NAMESPACE}
        self.namespace = namespace
        self._helm = helm

    def helm(self, *arguments: str) -> None:
        """Run Helm, without any --force; it must succeed."""
        command = [str(BIN / self._helm), f"--kubeconfig={self.server.kubeconfig()}"]
        done = subprocess.run(
            [*command, f"--namespace={self.namespace}", *arguments], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr

    def deploy(self, note: str) -> None:
        """Install or upgrade, with a change in the pods."""
        bounds = {"min": 2, "max": 2}
        venue: dict[str, Any] = {
            "operator": self._role,
            "api": {
                "replicas": {"min": 3, "max": 3},
                "workersPerPod": bounds,
                "dbPoolSize": bounds,
                "dbPoolOverflow": {"min": 0, "max": 5},
            },
        }
        start = {"workers": 2, "dbPoolSize": 2, "dbPoolOverflow": 0}
        api = {"podAnnotations": {"note": note}, "start": start}
        values = [f"--set-json=venue={json.dumps(venue)}", f"--set-json=api={json.dumps(api)}"]
        values += ["--set=database.bundled.maxConnections=100"]
        self.helm("upgrade", "--install", RELEASE, str(CHART), *values)

    def get(self, kind: str, name: str) -> Any:
        return self.server.get(kind, name, self.namespace)

    def replicas(self) -> int:
        return int(self.get("deployment", DEPLOYMENT)["spec"]["replicas"])

    def is_tuned(self) -> bool:
        found = self.get("venue", VENUE)
        conditions = (found.get("status") or {}).get("conditions", [])
        return any(one["type"] == "Tuned" and one["status"] == "True" for one in conditions)


@pytest.mark.parametrize("helm", ["helm3", "helm4"])
async def test_upgrades_and_rollbacks_leave_what_the_operator_set(
    api_server: ApiServer, admin: AsyncClient, namespace: str, helm: str, tmp_path: Path
) -> None:
    release = Release(api_server, namespace, helm)
    release.deploy("first")
    async with SimulatedPods(admin, namespace, DEPLOYMENT).running():
        with running_operator(api_server, tmp_path, namespace):
            await until(lambda: release.replicas() == 3 and release.is_tuned())
            version = _tuning_version(release)
            for note in ("second", "third", "fourth"):
                release.deploy(note)
                assert release.replicas() == 3
            release.helm("rollback", RELEASE, "1")
            assert release.replicas() == 3
            await asyncio.sleep(2)
    live = release.get("deployment", DEPLOYMENT)
    assert live["spec"]["template"]["metadata"]["annotations"]["note"] == "first"
    assert _owners_of_replicas(live) == {("openvenue-operator", "Apply")}
    assert _tuning_version(release) == version


async def test_a_release_that_brings_its_role_is_tuned_by_an_operator_without_rights_of_its_own(
    api_server: ApiServer, admin: AsyncClient, new_namespace: Callable[..., str], tmp_path: Path
) -> None:
    namespace = new_namespace("--set", "rbac.venuesWithoutRole=false")
    release = Release(api_server, namespace, "helm4", has_role=True)
    release.deploy("first")
    async with SimulatedPods(admin, namespace, DEPLOYMENT).running():
        with running_operator(api_server, tmp_path, namespace):
            await until(lambda: release.replicas() == 3 and release.is_tuned())
    for path in ("api/v1/namespaces/{}/configmaps", "apis/apps/v1/namespaces/{}/deployments"):
        answer = api_server.ask("GET", f"/{path.format(namespace)}/other", OPERATOR)
        assert answer.status_code == 403, answer.text


async def test_an_older_release_is_tuned_by_a_newer_operator_which_says_what_it_lacks_otherwise(
    api_server: ApiServer, admin: AsyncClient, new_namespace: Callable[..., str], tmp_path: Path
) -> None:
    """The operator is upgraded first; it still tunes releases without a Role."""
    namespace = new_namespace()
    release = Release(api_server, namespace, "helm3", has_role=False)
    release.deploy("first")
    async with SimulatedPods(admin, namespace, DEPLOYMENT).running():
        with running_operator(api_server, tmp_path, namespace) as operator:
            await until(lambda: release.replicas() == 3 and release.is_tuned())
            role = ("role", "openvenue-operator-venues", "-n", namespace)
            api_server.kubectl("delete", *role)
            await until(lambda: "forbidden" in operator.log.read_text())
            Release(api_server, namespace, "helm3", has_role=True).deploy("second")
            before = release.get("venue", VENUE)["status"]["observedGeneration"]
            patch = '{"spec":{"api":{"replicas":{"min":4,"max":4}}}}'
            api_server.kubectl(
                *("patch", "venue", VENUE, "-n", namespace, "--type=merge", "-p", patch)
            )
            await until(lambda: release.replicas() == 4)
            assert release.get("venue", VENUE)["metadata"]["generation"] > before


def _tuning_version(release: Release) -> str:
    found = release.get("configmap", f"{DEPLOYMENT}-tuning")
    return str(found["metadata"]["resourceVersion"])


def _owners_of_replicas(live: Any) -> set[tuple[str, str]]:
    return {
        (entry["manager"], entry["operation"])
        for entry in live["metadata"]["managedFields"]
        if "f:replicas" in entry["fieldsV1"].get("f:spec", {})
    }
