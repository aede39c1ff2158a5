"""Reachability of a venue's ports on a node that enforces network policies."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.cluster import TAG, Cluster, Namespace
from tests.cluster.node import layout
from tests.cluster.venue import InstalledVenue

CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=3).close()
    print("connected")
except OSError as error:
    print(error)
"""
ENGINE, ENGINE_METRICS, ENGINE_ADMIN = ("engine", 7070), ("engine", 7071), ("engine", 7072)
API, API_OPERATIONS = ("api", 8000), ("api", 8001)
DATABASE, PROJECTOR = ("database", 5432), ("projector", 8001)
STREAM, STREAM_OPERATIONS = ("stream", 8002), ("stream", 8001)
ALL = (
    *(ENGINE, ENGINE_METRICS, ENGINE_ADMIN),
    *(API, API_OPERATIONS, STREAM, STREAM_OPERATIONS),
    *(DATABASE, PROJECTOR),
)
MAY = {
    "admin": {ENGINE, ENGINE_ADMIN, DATABASE},
    "api": {ENGINE, DATABASE},
    "projector": {ENGINE, DATABASE},
    "stream": {ENGINE, DATABASE},
    "operator": {ENGINE, API, API_OPERATIONS},
    "stranger": {API, STREAM},
}


@pytest.fixture(scope="module")
def venue(cluster: Cluster) -> Iterator[InstalledVenue]:
    if cluster.kubeconfig != Path(layout.KUBECONFIG):
        pytest.skip("whether a cluster that is given enforces policies is not known")
    with cluster.namespace("policies") as namespace:
        made = InstalledVenue(namespace, "demo", TAG)
        made.install_operator(4)
        made.install(4)
        start_stranger(namespace)
        yield made


def start_stranger(namespace: Namespace) -> None:
    """Start a pod beside the venue that does not belong to it."""
    sleep = "import signal; signal.sigwait([signal.SIGTERM])"
    image = f"{namespace.cluster.registry}/openvenue:{TAG}"
    namespace.start_pod("stranger", image, ["python", "-c", sleep])


def reaches(venue: InstalledVenue, source: str, target: tuple[str, int]) -> bool:
    """True if a pod of one component can connect to a port of another one's."""
    pod = venue.ready_pods(source)[0]["metadata"]["name"]
    connect = ("python", "-c", CONNECT, venue.address_of(target[0]), str(target[1]))
    return venue.namespace.kubectl("exec", pod, "--", *connect).strip() == "connected"


@pytest.mark.parametrize("source", MAY)
def test_each_pod_reaches_what_it_needs_and_nothing_else(
    venue: InstalledVenue, source: str
) -> None:
    targets = [target for target in ALL if target[0] != source]
    assert {target for target in targets if reaches(venue, source, target)} == MAY[source]


def test_peers_named_in_the_values_reach_the_ports_that_these_open(venue: InstalledVenue) -> None:
    """This shows that the ports which others cannot reach are open."""
    for component, port in ALL:
        # No value opens that port.
        if (component, port) == ENGINE_ADMIN:
            continue
        socket.create_connection((venue.address_of(component), port), timeout=3).close()
