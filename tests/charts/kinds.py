"""The kinds that the charts render and Kubernetes does not have by itself.

The operator's chart brings the Venue's definition; the others stand for those of their projects,
and hold anything.
"""

from typing import Any

from api_server import ApiServer
from chart import DEFINITIONS, OPERATOR_CHART, render


def define(server: ApiServer) -> None:
    """Make the kinds known, and wait until they are."""
    brought = {
        each["metadata"]["name"]: each
        for each in render(chart=OPERATOR_CHART)
        if each["kind"] == "CustomResourceDefinition"
    }
    stand_ins = {each["metadata"]["name"]: each for each in map(_stand_in, DEFINITIONS)}
    definitions = {**stand_ins, **brought}
    server.apply(*definitions.values())
    names = [f"crd/{name}" for name in definitions]
    server.kubectl("wait", "--for=condition=Established", "--timeout=30s", *names)


def _stand_in(definition: str) -> dict[str, Any]:
    group, version, kind = definition.split("/")
    plural = f"{kind.lower()}s"
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.{group}",
            # Of groups that are its own, Kubernetes wants to know who approved of them.
            "annotations": {"api-approved.kubernetes.io": "unapproved, for tests"},
        },
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": anything},
                    "subresources": {"status": {}},
                }
            ],
        },
    }
