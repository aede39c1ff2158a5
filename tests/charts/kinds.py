"""The kinds that the charts render and Kubernetes lacks.

The operator's chart brings the Venue's definition. The others come from their projects' releases,
by `tests/cluster/parts/build`.
"""

from tests.charts.chart import OPERATOR_CHART, PROGRAMS, find, render
from tests.support.api_server import ApiServer

OTHERS = PROGRAMS.parent / "crds"


def define(server: ApiServer) -> None:
    """Define the kinds, and wait until the server knows them."""
    venue = find(render(chart=OPERATOR_CHART), "CustomResourceDefinition", "")
    server.apply(venue)
    # Server-side, because kubectl's own annotation of them would be too long.
    server.kubectl("apply", "--server-side", f"--filename={OTHERS.resolve()}")
    server.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd", "--all")
