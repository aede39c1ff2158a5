"""Fixtures of the tests on a cluster: `KUBECONFIG`'s where it is set, else a node of their own.

A cluster that is given needs the images where its nodes can pull them (OPENVENUE_TEST_REGISTRY,
OPENVENUE_TEST_TAG) and an ingress controller (OPENVENUE_TEST_INGRESS_URL). Of a test that failed,
the logs, events and objects of its namespaces are kept in .cache/cluster/failures.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import NEXT_TAG, TAG, Cluster, run
from node import addons, layout, namespaces
from node.__main__ import up

FAILURES = layout.ROOT / ".cache/cluster/failures"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.cluster)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A cluster with the images of this checkout."""
    given = os.environ.get("KUBECONFIG")
    if given and Path(given) != layout.KUBECONFIG:
        yield Cluster(
            Path(given),
            os.environ["OPENVENUE_TEST_REGISTRY"],
            os.environ["OPENVENUE_TEST_INGRESS_URL"],
        )
        return
    if os.geteuid() != 0:
        pytest.skip("a node needs root; or set KUBECONFIG to a cluster")
    ran_before = namespaces.holder() is not None
    up()
    try:
        build_and_push(layout.REGISTRY)
        yield Cluster(layout.KUBECONFIG, layout.REGISTRY, f"http://{layout.INGRESS_SERVICE_IP}")
    finally:
        if not ran_before:
            namespaces.remove()


@pytest.fixture(autouse=True)
def new_volumes(request: pytest.FixtureRequest) -> None:
    """Give the node its volumes back that earlier tests left."""
    if "cluster" in request.fixturenames and namespaces.holder() is not None:
        request.getfixturevalue("cluster")
        addons.empty_released_volumes()


def build_and_push(registry: str) -> None:
    """Build the images of this checkout and push them."""
    subprocess.run(
        [layout.ROOT / "scripts/build-images", "--tag", TAG, "--push", registry],
        check=True,
        stdout=sys.stderr,
    )
    # The same under another name, to roll out.
    for image in ("openvenue", "openvenue-engine"):
        reference = f"{registry}/{image}:{TAG}"
        run([str(layout.BIN / "crane"), "tag", "--insecure", reference, NEXT_TAG])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    found = getattr(item, "funcargs", {}).get("cluster")
    if report.failed and isinstance(found, Cluster):
        kept = keep_state(found, FAILURES / item.name.replace("/", "_"))
        report.sections.append(("state of the cluster", f"kept in {kept}"))
    return report


def keep_state(cluster: Cluster, directory: Path) -> Path:
    """Write down every object, event and log of the tests' namespaces."""
    directory.mkdir(parents=True, exist_ok=True)
    kubectl = [layout.BIN / "kubectl", f"--kubeconfig={cluster.kubeconfig}"]
    system = {"kube-system", "kube-public", "kube-node-lease", "default"}
    listed = subprocess.run(
        [*kubectl, "get", "namespaces", "-o", "name"], capture_output=True, text=True
    )
    for namespace in {name.split("/")[1] for name in listed.stdout.split()} - system:
        subprocess.run(
            [
                *kubectl, "cluster-info", "dump", "--namespaces", namespace,
                "-o", "yaml", f"--output-directory={directory}",
            ],
            capture_output=True,
        )  # fmt: skip
        with (directory / namespace / "summary.txt").open("w") as summary:
            for what in ("all,configmaps,jobs,pvc,ingresses", "venues", "events"):
                command = [*kubectl, "get", what, "-n", namespace, "-o", "wide"]
                summary.write(subprocess.run(command, capture_output=True, text=True).stdout + "\n")
    return directory
