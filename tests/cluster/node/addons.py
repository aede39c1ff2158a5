"""The node's additions to Kubernetes itself: DNS, an ingress controller, and volumes."""

import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.cluster.node import images
from tests.cluster.node.layout import (
    BIN,
    DNS_SERVICE_IP,
    INGRESS_SERVICE_IP,
    KINDS,
    KUBECONFIG,
    NAME,
    REGISTRY,
    VOLUME_COUNT,
    VOLUMES,
    NodeError,
)

_VOLUME = """\
---
apiVersion: v1
kind: PersistentVolume
metadata: {{name: {name}}}
spec:
  storageClassName: local
  capacity: {{storage: 10Gi}}
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Retain
  local: {{path: {path}}}
  nodeAffinity:
    required:
      nodeSelectorTerms:
        - matchExpressions: [{{key: kubernetes.io/hostname, operator: In, values: [{node}]}}]
"""


def push_images() -> None:
    """Push the images of the node's own pods."""
    with ThreadPoolExecutor() as pool:
        for pushed in [
            pool.submit(images.push_program, BIN / "pause", "pause:1"),
            pool.submit(images.push_program, BIN / "coredns", "coredns:1"),
            pool.submit(images.push_program, images.traefik(), "traefik:1"),
        ]:
            pushed.result()


def install() -> None:
    """Create them on the API server; do not wait until they run."""
    _kubectl("apply", "--server-side", f"--filename={KINDS.resolve()}")
    _kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd", "--all")
    manifest = (Path(__file__).parent / "addons.yaml").read_text()
    for placeholder, value in (
        ("REGISTRY", REGISTRY),
        ("DNS_SERVICE_IP", DNS_SERVICE_IP),
        ("INGRESS_SERVICE_IP", INGRESS_SERVICE_IP),
    ):
        manifest = manifest.replace(placeholder, value)
    _apply(manifest + "".join(_empty_volume(number) for number in range(VOLUME_COUNT)))


def empty_released_volumes() -> None:
    """Renew volumes whose claim is gone, as a provisioner would."""
    listed = _kubectl(
        "get", "persistentvolumes", "-o",
        "jsonpath={range .items[?(@.status.phase=='Released')]}{.metadata.name}{'\\n'}{end}",
    )  # fmt: skip
    for name in listed.split():
        _kubectl("delete", "persistentvolume", name)
        _apply(_empty_volume(int(name.removeprefix("local-"))))


def wait_until_ready(timeout_s: int = 60) -> None:
    """Wait until the node and its pods are ready."""
    _kubectl("wait", "--for=condition=Ready", "node", NAME, f"--timeout={timeout_s}s")
    for deployment in ("kube-system/coredns", "ingress/traefik"):
        namespace, name = deployment.split("/")
        _kubectl(
            "rollout", "status", "-n", namespace, f"deployment/{name}", f"--timeout={timeout_s}s"
        )


def _empty_volume(number: int) -> str:
    name = f"local-{number}"
    path = VOLUMES / name
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return _VOLUME.format(name=name, path=path, node=NAME)


def _apply(manifest: str) -> None:
    _kubectl("apply", "--server-side", "-f", "-", stdin=manifest)


def _kubectl(*arguments: str, stdin: str | None = None) -> str:
    done = subprocess.run(
        [BIN / "kubernetes", "kubectl", "--kubeconfig", KUBECONFIG, *arguments],
        input=stdin,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise NodeError(f"kubectl {arguments[0]}: {done.stderr.strip()}")
    return done.stdout
