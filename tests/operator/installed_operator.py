"""The operator's chart in the tests' API server, and its users."""

import subprocess

from tests.support.api_server import BIN, ROOT

OPERATOR_NAMESPACE = "operators"
OPERATOR = f"system:serviceaccount:{OPERATOR_NAMESPACE}:openvenue-operator"
"""The chart's ServiceAccount, which makes the operator's calls."""
SECOND_OPERATOR = f"system:serviceaccount:{OPERATOR_NAMESPACE}:second"
OTHERS = "system:serviceaccount:operators:others"


def render_chart(*options: str) -> str:
    """Return the operator's chart as Helm renders it."""
    helm = [str(BIN / "helm4"), "template", "openvenue-operator"]
    chart = str(ROOT / "charts/openvenue-operator")
    command = [*helm, chart, "--namespace", OPERATOR_NAMESPACE, *options]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
