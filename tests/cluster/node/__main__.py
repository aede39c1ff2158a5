"""Starts and removes the node: `python -m tests.cluster.node up`, `down`."""

import shutil
import subprocess
import sys
import time

import typer

from tests.cluster.node import addons, components, credentials, namespaces
from tests.cluster.node.layout import (
    BIN,
    FAILURES,
    INGRESS_SERVICE_IP,
    KUBECONFIG,
    LOGS,
    PARTS,
    REGISTRY,
    NodeError,
)

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)


@app.command()
def up() -> None:
    """Build missing parts and start the node; do nothing if it runs."""
    if namespaces.holder() is not None:
        print(f"The node is up already:{_how_to_use()}")
        return
    subprocess.run([PARTS / "build"], check=True)
    began = time.monotonic()
    namespaces.remove()
    try:
        _start()
    except BaseException:
        kept = FAILURES / "node"
        shutil.copytree(LOGS, kept, symlinks=True, dirs_exist_ok=True)
        namespaces.remove()
        print(f"The node did not come up; its logs are in {kept}", file=sys.stderr)
        raise
    print(f"The node is up after {time.monotonic() - began:.0f} s:{_how_to_use()}")


def _how_to_use() -> str:
    return f"""
  export KUBECONFIG={KUBECONFIG} PATH={BIN}:$PATH  # kubectl and helm
  images go to the registry {REGISTRY}: make images PUSH={REGISTRY}
  the ingress (Traefik) answers at http://{INGRESS_SERVICE_IP}"""


@app.command()
def down() -> None:
    """End the node and remove everything that it wrote."""
    namespaces.remove()


def _start() -> None:
    LOGS.mkdir(parents=True)
    namespaces.create()
    credentials.create()
    for component in (components.ETCD, components.REGISTRY_SERVER, components.CONTAINERD):
        components.start(component)
    components.wait_until_healthy(components.ETCD)
    components.start(components.API_SERVER)
    components.wait_until_healthy(components.REGISTRY_SERVER)
    print("Making the images of the node's own pods")
    addons.push_images()
    print("Waiting for the API server")
    components.wait_until_healthy(components.API_SERVER)
    for component in (components.CONTROLLER_MANAGER, components.SCHEDULER, components.PROXY):
        components.start(component)
    components.wait_until_healthy(components.CONTAINERD)
    components.start(components.KUBELET)
    addons.install()
    print("Waiting for the node and its pods")
    components.wait_until_healthy(components.KUBELET)
    addons.wait_until_ready()
    # Started last: it ends if the node is not known yet.
    components.start(components.NETWORK_POLICIES)
    components.wait_until_healthy(components.NETWORK_POLICIES)


if __name__ == "__main__":
    try:
        app(standalone_mode=True)
    except NodeError as error:
        sys.exit(f"error: {error}")
