"""Fixtures of the tests on a cluster: that of `KUBECONFIG` if set, else the tests' own node.

A given cluster needs the images where its nodes can pull them (OPENVENUE_TEST_REGISTRY,
OPENVENUE_TEST_TAG), an ingress controller (OPENVENUE_TEST_INGRESS_URL), and pods that the tests
reach by address; OPENVENUE_TEST_CIDR may name the tests' own. If a test fails, the logs, events and
objects of its namespaces are kept in .cache/cluster/failures.
"""

import os
import subprocess
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.cluster.cluster import NEXT_TAG, TAG, Cluster, run
from tests.cluster.node import addons, layout, namespaces
from tests.cluster.node.__main__ import up

GIVEN = ("OPENVENUE_TEST_REGISTRY", "OPENVENUE_TEST_TAG", "OPENVENUE_TEST_INGRESS_URL")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.cluster)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Yield a cluster with the images of this checkout."""
    given = os.environ.get("KUBECONFIG")
    if given and Path(given) != layout.KUBECONFIG:
        missing = [name for name in GIVEN if name not in os.environ]
        if missing:
            pytest.fail(f"with KUBECONFIG, set {', '.join(missing)} too", pytrace=False)
        registry, _, ingress_url = (os.environ[name] for name in GIVEN)
        cidr = os.environ.get("OPENVENUE_TEST_CIDR", "0.0.0.0/0")
        yield Cluster(Path(given), registry, ingress_url, cidr)
        return
    if os.geteuid() != 0:
        pytest.skip("a node needs root; or set KUBECONFIG to a cluster")
    ran_before = namespaces.holder() is not None
    try:
        up()
        build_and_push(layout.REGISTRY)
        yield Cluster.of_node()
    finally:
        if not ran_before:
            namespaces.remove()
            assert namespaces.left_behind() == []


@pytest.fixture(autouse=True)
def new_volumes(request: pytest.FixtureRequest) -> None:
    """Renew the node's volumes that earlier tests left."""
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
    # The same under another name, for a rollout.
    for image in ("openvenue", "openvenue-engine"):
        reference = f"{registry}/{image}:{TAG}"
        run([str(layout.BIN / "crane"), "tag", "--insecure", reference, NEXT_TAG])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    found = getattr(item, "funcargs", {}).get("cluster")
    if report.failed and isinstance(found, Cluster):
        kept = found.keep_state(layout.FAILURES / item.name.replace("/", "_"))
        report.sections.append(("state of the cluster", f"kept in {kept}"))
    return report
