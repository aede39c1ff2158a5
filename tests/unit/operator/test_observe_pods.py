"""Readings of a pod: its addresses, and why it is not ready, in the cluster's own words."""

from typing import Any, cast

import pytest
from lightkube.resources.core_v1 import Pod
from openvenue_operator.observe_pods import engine_pod_of, metrics_urls_of, pod_of
from openvenue_operator.scrape import Answer

CREATED, TURNED = "2026-12-01T10:00:00Z", "2026-12-01T10:05:00Z"
TURNED_AT = 1_796_119_500.0
UNSCHEDULED = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "Unschedulable",
    "message": "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available",
}
NOT_READY = {
    "type": "Ready",
    "status": "False",
    "message": "containers with unready status: [api]",
    "lastTransitionTime": TURNED,
}


def live(
    status: dict[str, Any] | None = None,
    ports: dict[str, int] | None = None,
    node: str | None = "node",
    **metadata: Any,
) -> Pod:
    """Return a pod in the API server's form."""
    made: Any = Pod.from_dict(
        {
            "metadata": {
                "name": "api-1",
                "uid": "uid",
                "creationTimestamp": CREATED,
                **metadata,
            },
            "spec": {
                "nodeName": node,
                "containers": [
                    {
                        "name": "api",
                        "ports": [
                            {"name": name, "containerPort": port}
                            for name, port in (ports or {"http": 8000}).items()
                        ],
                    }
                ],
            },
            "status": status or {},
        }
    )
    return cast("Pod", made)


def waiting(why: str, **ended: Any) -> dict[str, Any]:
    """Return a container that waits, with its last end."""
    found: dict[str, Any] = {
        "name": "api",
        "image": "api",
        "imageID": "",
        "ready": False,
        "restartCount": 5,
        "state": {"waiting": {"reason": why, "message": "back-off 2m40s restarting"}},
    }
    if ended:
        found["lastState"] = {"terminated": ended}
    return found


@pytest.mark.parametrize(
    ("status", "node", "words"),
    [
        ({"conditions": [UNSCHEDULED]}, None, "0/1 nodes are available: 1 Insufficient cpu"),
        (
            {
                "conditions": [NOT_READY],
                "containerStatuses": [
                    waiting("CrashLoopBackOff", exitCode=4, reason="Error"),
                ],
            },
            "node",
            "CrashLoopBackOff, exit status 4 (Error)",
        ),
        (
            {"conditions": [NOT_READY], "containerStatuses": [waiting("ImagePullBackOff")]},
            "node",
            "ImagePullBackOff",
        ),
        ({"conditions": [NOT_READY]}, "node", "containers with unready status: [api]"),
        ({"phase": "Pending"}, "node", "Pending"),
        ({}, None, None),
    ],
)
def test_a_pod_that_is_not_ready_says_why(
    status: dict[str, Any], node: str | None, words: str | None
) -> None:
    found = pod_of(live(status, node=node), Answer(None, "has no address yet"))
    assert not found.ready
    assert found.waits_for == words
    assert found.scheduled == (node is not None)


def test_a_pod_is_not_ready_since_its_condition_turned_or_since_it_was_made() -> None:
    turned = pod_of(live({"conditions": [NOT_READY]}), Answer(None, None))
    assert turned.unready_since == TURNED_AT
    assert pod_of(live(), Answer(None, None)).unready_since == TURNED_AT - 300
    ready = {**NOT_READY, "status": "True"}
    well = pod_of(live({"conditions": [ready]}), Answer(None, None))
    assert (well.ready, well.unready_since, well.waits_for) == (True, None, None)


def test_a_pod_that_terminates_ends_by_the_time_that_the_api_server_set() -> None:
    found = pod_of(live(deletionTimestamp=TURNED), Answer(None, None))
    assert (found.terminating, found.ends_by) == (True, TURNED_AT)


def test_the_engines_pod_says_what_it_waits_for_and_how_often_it_restarted() -> None:
    status = {
        "conditions": [NOT_READY],
        "containerStatuses": [waiting("CrashLoopBackOff", exitCode=4, reason="Error")],
    }
    found = engine_pod_of(live(status))
    assert (found.ready, found.restarts, found.since) == (False, 5, TURNED_AT)
    assert found.waits_for == "CrashLoopBackOff, exit status 4 (Error)"


@pytest.mark.parametrize(
    ("ports", "address", "urls"),
    [
        ({"http": 8000}, "10.0.0.7", ("http://10.0.0.7:8000/metrics",)),
        (
            {"http": 8000, "operations": 8001},
            "10.0.0.7",
            ("http://10.0.0.7:8001/metrics", "http://10.0.0.7:8000/metrics"),
        ),
        ({"http": 8000}, "fd00::7", ("http://[fd00::7]:8000/metrics",)),
        ({"http": 8000, "operations": 8001}, None, ()),
    ],
)
def test_a_pods_metrics_are_at_its_port_for_operations_where_it_has_one(
    ports: dict[str, int], address: str | None, urls: tuple[str, ...]
) -> None:
    status = {"podIP": address} if address else {}
    assert metrics_urls_of(live(status, ports)) == urls
