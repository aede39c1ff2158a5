"""Renders the charts as Helm does, and finds objects in the result."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts/openvenue"
OPERATOR_CHART = ROOT / "charts/openvenue-operator"
PROGRAMS = Path(os.environ.get("OPENVENUE_CLUSTER_BIN", ROOT / ".cache/cluster/bin"))
HELMS = ("helm3", "helm4")
KUBERNETES_VERSION = "1.36.0"

# The definitions of kinds that the charts may render and Kubernetes lacks.
DEFINITIONS = (
    "openvenue.dev/v1alpha1/Venue",
    "postgresql.cnpg.io/v1/Cluster",
    "gateway.networking.k8s.io/v1/HTTPRoute",
    "monitoring.coreos.com/v1/PodMonitor",
)
VALUE_SETS = sorted((CHART / "ci").glob("*-values.yaml"))
OPERATOR_VALUE_SETS = sorted((OPERATOR_CHART / "ci").glob("*-values.yaml"))
CASES: list[tuple[Path, Path | None]] = [
    *((CHART, values) for values in (None, *VALUE_SETS)),
    *((OPERATOR_CHART, values) for values in (None, *OPERATOR_VALUE_SETS)),
]
CASE_NAMES = [f"{chart.name}-{values.stem if values else 'default'}" for chart, values in CASES]

every_chart = pytest.mark.parametrize(
    "chart", [CHART, OPERATOR_CHART], ids=lambda chart: str(chart.name)
)
every_case = pytest.mark.parametrize(("chart", "values"), CASES, ids=CASE_NAMES)
every_helm = pytest.mark.parametrize("helm", HELMS)

Manifest = dict[str, Any]


class Refused(Exception):
    """Helm did not render the chart; the message is its own."""


def run(program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run one of the cluster's programs; ignore its exit status."""
    return subprocess.run([PROGRAMS / program, *arguments], capture_output=True, text=True)


def template(
    *arguments: str | Path,
    helm: str = "helm4",
    release: str = "demo",
    values: Path | dict[str, Any] | None = None,
    chart: Path = CHART,
) -> str:
    """Return the output of `helm template`. Raises Refused."""
    known = [f"--api-versions={definition}" for definition in DEFINITIONS]
    if isinstance(values, dict):
        known += [f"--set-json={key}={json.dumps(value)}" for key, value in values.items()]
    elif values is not None:
        known += [f"--values={values}"]
    done = run(
        helm, "template", release, chart, "--namespace=venues",
        f"--kube-version={KUBERNETES_VERSION}", *known, *arguments,
    )  # fmt: skip
    if done.returncode != 0:
        raise Refused(done.stderr)
    return done.stdout


def manifests(text: str) -> list[Manifest]:
    """Return the objects in Helm's output."""
    return [document for document in yaml.safe_load_all(text) if document]


def render(*arguments: str | Path, **options: Any) -> list[Manifest]:
    """Return the objects that a chart renders. Raises Refused."""
    return manifests(template(*arguments, **options))


def find(objects: list[Manifest], kind: str, name: str) -> Manifest:
    """Return the object of that kind whose name has that ending."""
    found = [
        each for each in objects if each["kind"] == kind and each["metadata"]["name"].endswith(name)
    ]
    assert len(found) == 1, f"{len(found)} objects are {kind} …{name}"
    return found[0]


def pod_templates(objects: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    """Yield name and pod template of every object that makes pods."""
    for each in objects:
        name = f"{each['kind']}/{each['metadata']['name']}"
        if each["kind"] == "Pod":
            yield name, each
        elif "template" in each.get("spec", {}):
            yield name, each["spec"]["template"]
