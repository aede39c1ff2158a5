"""Reachability under the network policies, computed by Kubernetes' definition.

It covers every set of values; in `tests/cluster/test_network_policies.py` a node enforces one. A
connection is allowed if the policies of its source let it out and those of its destination let it
in. https://kubernetes.io/docs/concepts/services-networking/network-policies/
"""

import itertools
from typing import Any, NamedTuple

from tests.charts.chart import Manifest, pod_templates, render

NAMESPACE = "venues"


class Pod(NamedTuple):
    """The parts of a pod that policies use."""

    namespace: str
    labels: dict[str, str]


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    """True if a label selector matches some labels."""
    for expression in selector.get("matchExpressions", []):
        assert expression["operator"] == "In"
        if labels.get(expression["key"]) not in expression["values"]:
            return False
    return bool(selector.get("matchLabels", {}).items() <= labels.items())


def is_peer(peer: dict[str, Any], pod: Pod) -> bool:
    assert "ipBlock" not in peer
    namespace_labels = {"kubernetes.io/metadata.name": pod.namespace}
    if "namespaceSelector" in peer:
        if not selects(peer["namespaceSelector"], namespace_labels):
            return False
    elif pod.namespace != NAMESPACE:
        return False
    return selects(peer.get("podSelector", {}), pod.labels)


def allowed(policies: list[Manifest], way: str, pod: Pod, other: Pod, port: int) -> bool:
    """True if the policies of `pod` let it talk to `other`, in a `way` of Ingress or Egress."""
    rules, peers = ("ingress", "from") if way == "Ingress" else ("egress", "to")
    own = [
        policy["spec"]
        for policy in policies
        if pod.namespace == NAMESPACE
        and way in policy["spec"]["policyTypes"]
        and selects(policy["spec"]["podSelector"], pod.labels)
    ]
    return not own or any(
        any(each["port"] == port for each in rule["ports"])
        and (peers not in rule or any(is_peer(peer, other) for peer in rule[peers]))
        for spec in own
        for rule in spec.get(rules, [])
    )


def reachable(operator_namespace: str = NAMESPACE, **values: Any) -> set[tuple[str, str, int]]:
    """Return every source, destination and port between which a connection is allowed."""
    objects = render(values={key.replace("__", "."): each for key, each in values.items()})
    policies = [each for each in objects if each["kind"] == "NetworkPolicy"]
    pods = {
        pod["metadata"]["labels"]["app.kubernetes.io/component"]: Pod(
            NAMESPACE, pod["metadata"]["labels"]
        )
        for _, pod in pod_templates(objects)
    }
    operator = {
        "app.kubernetes.io/name": "openvenue-operator",
        "app.kubernetes.io/component": "operator",
    }
    pods["operator"] = Pod(operator_namespace, operator)
    # Anybody may give a pod those labels in their own namespace.
    pods["impostor"] = Pod("elsewhere", operator)
    pods["ingress"] = Pod("traefik", {"app.kubernetes.io/name": "traefik"})
    pods["prometheus"] = Pod("monitoring", {"app.kubernetes.io/name": "prometheus"})
    pods["neighbour"] = Pod(NAMESPACE, {"app.kubernetes.io/name": "neighbour"})
    pods["dns"] = Pod("kube-system", {"k8s-app": "kube-dns"})
    pods["kubernetes"] = Pod("kube-system", {"component": "kube-apiserver"})
    ports = (53, 443, 5432, 7070, 7071, 7072, 8000, 8001, 8002)
    return {
        (source, destination, port)
        for (source, destination), port in itertools.product(itertools.permutations(pods, 2), ports)
        if allowed(policies, "Egress", pods[source], pods[destination], port)
        and allowed(policies, "Ingress", pods[destination], pods[source], port)
    }


OURS = {
    "engine",
    "api",
    "projector",
    "stream",
    "admin",
    "migration",
    "database",
    "secrets",
    "test",
}
OUTSIDE = {"operator", "impostor", "ingress", "prometheus", "neighbour", "dns", "kubernetes"}
WITHIN = {
    ("api", "engine", 7070),
    ("projector", "engine", 7070),
    ("stream", "engine", 7070),
    ("admin", "engine", 7070),
    ("admin", "engine", 7072),
    ("admin", "database", 5432),
    ("api", "database", 5432),
    ("projector", "database", 5432),
    ("stream", "database", 5432),
    ("migration", "database", 5432),
    ("test", "api", 8000),
    ("test", "stream", 8002),
}
OPERATOR = {
    ("operator", "engine", 7070),
    ("operator", "api", 8001),
}


def into_the_venue(connections: set[tuple[str, str, int]]) -> set[tuple[str, str, int]]:
    return {each for each in connections if each[1] in OURS}


def ways_in(source: str) -> set[tuple[str, str, int]]:
    """Return the ports that are for the venue's clients."""
    return {(source, "api", 8000), (source, "stream", 8002)}


EVERYONE = {each for source in OUTSIDE for each in ways_in(source)}


def test_everyone_reaches_api_and_streams_and_nothing_else() -> None:
    assert into_the_venue(reachable()) == WITHIN | OPERATOR | EVERYONE


def test_only_named_peers_reach_api_streams_and_the_metrics() -> None:
    def named(namespace: str) -> list[dict[str, Any]]:
        labels = {"kubernetes.io/metadata.name": namespace}
        return [{"namespaceSelector": {"matchLabels": labels}}]

    found = reachable(
        networkPolicy__apiFrom=named("traefik"), networkPolicy__metricsFrom=named("monitoring")
    )
    metrics = {("engine", 7071), ("api", 8001), ("projector", 8001), ("stream", 8001)}
    # The operator also reaches the API's own port: pods of the version before have no other.
    api = {*ways_in("ingress"), ("operator", "api", 8000)}
    assert into_the_venue(found) == WITHIN | OPERATOR | api | {
        ("prometheus", component, port) for component, port in metrics
    }


def test_the_operator_of_another_namespace_is_named() -> None:
    assert into_the_venue(reachable("operators")) == WITHIN | EVERYONE
    found = reachable("operators", venue__operator__namespace="operators")
    assert into_the_venue(found) == WITHIN | OPERATOR | EVERYONE


def test_pods_with_labels_inherited_from_a_cluster_of_cloudnative_pg_are_left_alone() -> None:
    objects = render(values={"database.mode": "cloudnative-pg"})
    policies = [each for each in objects if each["kind"] == "NetworkPolicy"]
    (cluster,) = (each for each in objects if each["kind"] == "Cluster")
    labels = cluster["metadata"]["labels"]
    without_component = {
        key: each for key, each in labels.items() if key != "app.kubernetes.io/component"
    }
    for inherited in (labels, without_component):
        pod = Pod(NAMESPACE, inherited)
        assert allowed(policies, "Egress", pod, Pod("kube-system", {}), 443)


def test_the_venue_reaches_names_and_the_maker_of_secrets_kubernetes_and_no_one_else() -> None:
    out = {each for each in reachable() if each[0] in OURS and each[1] in OUTSIDE}
    # Any of the cluster's pods may serve DNS.
    names = {each for each in out if each[2] == 53}
    assert {source for source, _, _ in names} == OURS - {"engine", "database"}
    assert {(source, port) for source, _, port in out - names} == {("secrets", 443)}


def test_the_market_reaches_the_api_and_what_funds_it() -> None:
    found = {each for each in reachable(market__enabled=True) if "market" in each[:2]}
    assert {each for each in found if each[2] != 53} == {
        ("market", "api", 8000),
        ("market", "engine", 7072),
        ("market", "database", 5432),
    }


def test_without_policies_everyone_reaches_everything() -> None:
    assert ("neighbour", "engine", 7070) in reachable(networkPolicy__enabled=False)
