"""A release of the chart on an API server, over Helm's revisions."""

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.charts.chart import CHART, PROGRAMS
from tests.support.api_server import ApiServer


def create_namespace(server: ApiServer, name: str) -> str:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    metadata = {"name": name, "labels": labels}
    server.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    return name


class Release:
    """A release of the chart in its own namespace."""

    def __init__(self, server: ApiServer, helm: str, namespace: str, name: str = "demo") -> None:
        self._server = server
        self.helm = helm
        self.name = name
        self.namespace = create_namespace(server, namespace)

    def deploy(self, chart: Path = CHART, file: Path | None = None, **values: Any) -> None:
        """Install or upgrade with exactly these values."""
        given = [f"--set-json={k.replace('__', '.')}={json.dumps(v)}" for k, v in values.items()]
        given += [f"--values={file}"] if file else []
        self.run("upgrade", chart, "--install", *given)

    def run(self, command: str, *arguments: str | Path) -> str:
        """Run one of Helm's commands on it; fail the test if Helm fails."""
        kubeconfig = self._server.kubeconfig()
        done = subprocess.run(
            [PROGRAMS / self.helm, command, self.name, *arguments, "--namespace", self.namespace],
            # Without the user's own settings of Helm.
            env={"KUBECONFIG": str(kubeconfig), "HOME": str(kubeconfig.parent)},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, f"{self.helm} {command}: {done.stderr}"
        return done.stdout

    def get(self, kind: str, name: str = "") -> dict[str, Any]:
        """Return one of its objects, or the list of all of a kind."""
        named = [f"demo-openvenue-{name}"] if name else []
        said = self._server.kubectl("get", "--namespace", self.namespace, kind, *named, "-o=json")
        found: dict[str, Any] = json.loads(said)
        return found

    def identities(self, kind: str) -> dict[str, str]:
        """Return UIDs by name for a kind, which show whether an object is still the same."""
        items = self.get(kind)["items"]
        return {each["metadata"]["name"]: each["metadata"]["uid"] for each in items}

    def apply_as_operator(self, replicas: int, *options: str) -> None:
        """Set the replicas in the operator's way."""
        deployment = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "demo-openvenue-api", "namespace": self.namespace},
            "spec": {"replicas": replicas},
        }
        self._server.kubectl(
            "apply", "--server-side", "--field-manager=openvenue-operator", "-f=-", *options,
            stdin=json.dumps(deployment),
        )  # fmt: skip
