"""The cluster that the tests run on, as a user sees it: kubectl, helm, and an ingress."""

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

from node.layout import BIN, ROOT

OPERATOR_CHART = ROOT / "charts/openvenue-operator"
VENUE_CHART = ROOT / "charts/openvenue"
TAG = os.environ.get("OPENVENUE_TEST_TAG") or f"test-{int(time.time())}"
"""Of the images of this checkout. New each time: nodes do not pull a tag that they have again."""
NEXT_TAG = f"{TAG}-next"
"""The same images, for a rollout."""


class CommandFailed(AssertionError):
    """A command ended with a status other than 0."""


@dataclass(frozen=True)
class Cluster:
    """A cluster and the tools to use it."""

    kubeconfig: Path
    registry: str
    """Where the venue's images are."""
    ingress_url: str

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl and return what it says."""
        return run([str(BIN / "kubectl"), f"--kubeconfig={self.kubeconfig}", *arguments], stdin)

    def get(self, *arguments: str) -> Any:
        """Return objects as `kubectl get … -o json` shows them."""
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def helm(self, version: int, *arguments: str) -> str:
        """Run Helm 3 or 4."""
        return run([str(BIN / f"helm{version}"), f"--kubeconfig={self.kubeconfig}", *arguments])

    @contextmanager
    def namespace(self, name: str) -> Iterator["Namespace"]:
        """A new namespace under the restricted pod security profile, deleted afterwards."""
        self.kubectl("create", "namespace", name)
        self.kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
        try:
            yield Namespace(self, name)
        finally:
            self.kubectl("delete", "namespace", name, "--timeout=120s")


@dataclass(frozen=True)
class Namespace:
    """One namespace of the cluster."""

    cluster: Cluster
    name: str

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl in it."""
        return self.cluster.kubectl(f"--namespace={self.name}", *arguments, stdin=stdin)

    def get(self, *arguments: str) -> Any:
        """Return objects of it."""
        return self.cluster.get(f"--namespace={self.name}", *arguments)

    def helm(self, version: int, *arguments: str) -> str:
        """Run Helm in it."""
        return self.cluster.helm(version, f"--namespace={self.name}", *arguments)

    def pods(self, component: str) -> list[dict[str, Any]]:
        """The pods of a component, those on their way out included."""
        found = self.get("pods", "-l", f"app.kubernetes.io/component={component}")
        return list(found["items"])

    def secret(self, name: str, key: str) -> str:
        """A value of a Secret."""
        return base64.b64decode(self.get("secret", name)["data"][key]).decode()

    def wait_for(self, condition: str, *objects: str, timeout_s: int = 120) -> None:
        """Wait for a condition of objects, as `kubectl wait` does."""
        self.kubectl("wait", f"--for={condition}", f"--timeout={timeout_s}s", *objects)


def run(command: list[str], stdin: str | None = None) -> str:
    """Run a command and return its output. Raises CommandFailed with what it said."""
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        said = (done.stderr + done.stdout).strip()
        raise CommandFailed(f"{' '.join(command[:8])} … ended with {done.returncode}: {said}")
    return done.stdout


def eventually(
    what: str, check: Callable[[], object], *, timeout_s: float = 60, interval_s: float = 0.5
) -> None:
    """Wait until `check` returns something true; AssertionErrors of it count as not yet."""
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
