"""The kinds that the charts render and Kubernetes does not have by itself.

The operator's chart brings the Venue's definition. The others are those of their projects, which
`tests/cluster/parts/build` takes out of their releases.
"""

from tests.charts.chart import OPERATOR_CHART, PROGRAMS, find, render
from tests.support.api_server import ApiServer

OTHERS = PROGRAMS.parent / "crds"


def define(server: ApiServer) -> None:
    """Make the kinds known, and wait until they are."""
    venue = find(render(chart=OPERATOR_CHART), "CustomResourceDefinition", "")
    server.apply(venue)
    # By the server: what kubectl would note down of them to apply them itself is too long.
    server.kubectl("apply", "--server-side", f"--filename={OTHERS.resolve()}")
    server.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd", "--all")
