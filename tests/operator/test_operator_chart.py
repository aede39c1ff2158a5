"""The operator's chart: by both Helms, on a real API server, and as its documents say."""

import json
import re
import subprocess
import sys
from typing import Any

import pytest
import yaml
from api_server import BIN, ROOT, ApiServer
from installed_operator import render_chart
from openvenue_operator.settings import OperatorSettings

pytestmark = pytest.mark.cluster

CHART = ROOT / "charts/openvenue-operator"


def run(*command: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(part) for part in command], capture_output=True, text=True)


@pytest.mark.parametrize("helm", ["helm3", "helm4"])
def test_helm_finds_nothing_to_complain_about(helm: str) -> None:
    done = run(BIN / helm, "lint", "--strict", CHART)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_unit_tests_pass() -> None:
    done = run(BIN / "helm-unittest", CHART)
    assert done.returncode == 0, done.stdout
    assert re.search(r"Tests: +\d{2,} passed", done.stdout), "no test ran"


def test_the_documents_are_those_of_the_values() -> None:
    done = run(sys.executable, ROOT / "scripts/chart-docs", "--check", CHART)
    assert done.returncode == 0, done.stdout + done.stderr


def test_both_helms_render_the_same() -> None:
    rendered = [
        run(BIN / helm, "template", "o", CHART, "-n", "operators", "--kube-version=1.36.0").stdout
        for helm in ("helm3", "helm4")
    ]
    first, second = (
        sorted(yaml.safe_load_all(text), key=lambda one: (one["kind"], one["metadata"]["name"]))
        for text in rendered
    )
    assert first
    assert first == second


@pytest.mark.parametrize(
    "values", [(), ("watch.clusterWide=true",), ("dashboard.enabled=true",)], ids=str
)
def test_an_api_server_takes_all_of_it_under_the_restricted_profile(
    api_server: ApiServer, namespace: str, values: tuple[str, ...]
) -> None:
    label = "pod-security.kubernetes.io/enforce=restricted"
    api_server.kubectl("label", "namespace", namespace, label)
    options = [part for value in values for part in ("--set", value)]
    objects = list(yaml.safe_load_all(render_chart(*options)))
    # The profile is about pods: a Deployment that breaks it is taken, with a warning.
    template = next(one for one in objects if one["kind"] == "Deployment")["spec"]["template"]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "operator", "namespace": namespace},
        "spec": template["spec"],
    }
    dry = ("apply", "--dry-run=server", "-f", "-")
    for body in [*objects, pod]:
        said = api_server.kubectl(*dry, "--warnings-as-errors", stdin=json.dumps(body))
        assert "(server dry run)" in said


def test_the_pods_environment_is_what_the_operator_reads() -> None:
    """A setting with a name that the operator does not know would be ignored in silence."""
    deployment = next(
        one for one in yaml.safe_load_all(render_chart()) if one["kind"] == "Deployment"
    )
    given = {one["name"] for one in deployment["spec"]["template"]["spec"]["containers"][0]["env"]}
    known = {f"OPENVENUE_OPERATOR_{name.upper()}" for name in OperatorSettings.model_fields}
    assert given - known == {"POD_NAME", "POD_NAMESPACE"}
