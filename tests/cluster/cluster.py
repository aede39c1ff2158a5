"""The cluster that the tests run on, as users see it: kubectl, helm, and an ingress."""

import base64
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster.node import layout
from tests.cluster.node.layout import BIN, FAILURES, ROOT

CHARTS = ROOT / "charts"
TAG = os.environ.get("OPENVENUE_TEST_TAG") or f"test-{int(time.time())}"
"""Tag of this checkout's images. New each time, because nodes do not pull a known tag again."""
NEXT_TAG = f"{TAG}-next"
"""The same images, for a rollout."""


class CommandFailed(AssertionError):
    """A command ended with a status other than 0."""


@dataclass(frozen=True)
class Cluster:
    """A cluster and the tools to use it."""

    kubeconfig: Path
    registry: str
    """Registry of the venue's images."""
    ingress_url: str
    tests_cidr: str
    """Source addresses of the tests' own connections to pods."""

    @staticmethod
    def of_node() -> "Cluster":
        """Return the node that `make cluster-up` starts."""
        return Cluster(
            layout.KUBECONFIG,
            layout.REGISTRY,
            f"http://{layout.INGRESS_SERVICE_IP}",
            f"{layout.HOST_IP}/32",
        )

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl and return its output."""
        return run([str(BIN / "kubectl"), f"--kubeconfig={self.kubeconfig}", *arguments], stdin)

    def get(self, *arguments: str) -> Any:
        """Return objects of `kubectl get … -o json`."""
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def helm(self, version: int, *arguments: str, stdin: str | None = None) -> str:
        """Run Helm 3 or 4."""
        helm = str(BIN / f"helm{version}")
        return run([helm, f"--kubeconfig={self.kubeconfig}", *arguments], stdin)

    @contextmanager
    def namespace(self, name: str) -> Iterator["Namespace"]:
        """Yield a new namespace under the restricted pod security profile, deleted afterwards.

        If something fails, its state is kept.
        """
        self.kubectl("create", "namespace", name)
        self.kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
        try:
            yield Namespace(self, name)
        except BaseException:
            self.keep_state(FAILURES / name)
            raise
        finally:
            self.kubectl("delete", "namespace", name, "--ignore-not-found", "--timeout=120s")

    def keep_state(self, directory: Path) -> Path:
        """Write every object, event and log of the tests' namespaces to files."""
        directory.mkdir(parents=True, exist_ok=True)
        kubectl = (str(BIN / "kubectl"), f"--kubeconfig={self.kubeconfig}")
        system = {"kube-system", "kube-public", "kube-node-lease", "default"}
        listed = _whatever([*kubectl, "get", "namespaces", "-o", "name"])
        for namespace in {name.split("/")[1] for name in listed.split()} - system:
            dump = ["cluster-info", "dump", "--namespaces", namespace, "-o", "yaml"]
            _whatever([*kubectl, *dump, f"--output-directory={directory}"])
            (directory / namespace).mkdir(exist_ok=True)
            with (directory / namespace / "summary.txt").open("w") as summary:
                for what in ("all,configmaps,jobs,pvc,ingresses", "venues", "events"):
                    get = ["get", what, "-n", namespace, "-o", "wide"]
                    summary.write(_whatever([*kubectl, *get]) + "\n")
        return directory


@dataclass(frozen=True)
class Namespace:
    """One namespace of the cluster."""

    cluster: Cluster
    name: str

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl in the namespace."""
        return self.cluster.kubectl(f"--namespace={self.name}", *arguments, stdin=stdin)

    def get(self, *arguments: str) -> Any:
        """Return objects of the namespace."""
        return self.cluster.get(f"--namespace={self.name}", *arguments)

    def helm(self, version: int, *arguments: str, stdin: str | None = None) -> str:
        """Run Helm in the namespace."""
        return self.cluster.helm(version, f"--namespace={self.name}", *arguments, stdin=stdin)

    def pods(self, component: str) -> list[dict[str, Any]]:
        """Return the pods of a component, including terminating ones."""
        found = self.get("pods", "-l", f"app.kubernetes.io/component={component}")
        return list(found["items"])

    def start_pod(
        self, name: str, image: str, command: list[str], config_map: dict[str, Any] | None = None
    ) -> None:
        """Start a pod under the restricted profile and wait until it is ready.

        Its label `app.kubernetes.io/component` is its name. `config_map` is a volume, mounted at
        /files.
        """
        container: dict[str, Any] = {
            "name": name,
            "image": image,
            "command": command,
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "runAsNonRoot": True,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
        }
        spec: dict[str, Any] = {"containers": [container]}
        if config_map is not None:
            container["volumeMounts"] = [{"name": "files", "mountPath": "/files"}]
            spec["volumes"] = [{"name": "files", "configMap": config_map}]
        labels = {"app.kubernetes.io/component": name}
        metadata = {"name": name, "labels": labels}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
        self.kubectl("apply", "-f", "-", stdin=json.dumps(pod))
        self.wait_for("condition=Ready", f"pod/{name}")

    def secret(self, name: str, key: str) -> str:
        """Return a value of a Secret."""
        return base64.b64decode(self.get("secret", name)["data"][key]).decode()

    def wait_for(self, condition: str, *objects: str, timeout_s: int = 120) -> None:
        """Wait for a condition of objects, as `kubectl wait` does."""
        self.kubectl("wait", f"--for={condition}", f"--timeout={timeout_s}s", *objects)


def _whatever(command: list[str]) -> str:
    """Run a command and return its output, whatever its status."""
    return subprocess.run(command, capture_output=True, text=True, timeout=120).stdout


def run(command: list[str], stdin: str | None = None) -> str:
    """Run a command and return its output. Raises CommandFailed with the output."""
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        said = (done.stderr + done.stdout).strip()
        raise CommandFailed(f"{' '.join(command[:8])} … ended with {done.returncode}: {said}")
    return done.stdout


def eventually(
    what: str, check: Callable[[], object], *, timeout_s: float = 60, interval_s: float = 0.5
) -> None:
    """Wait until `check` returns a true value; its AssertionErrors mean not yet."""
    deadline = time.monotonic() + timeout_s
    last: object = None
    while True:
        try:
            last = check()
            if last:
                return
        except (AssertionError, KeyError, IndexError) as error:
            last = error
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {timeout_s:g} s; last: {last!r}")
        time.sleep(interval_s)
