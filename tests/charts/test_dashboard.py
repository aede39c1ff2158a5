"""The dashboards use only existing metrics."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openvenue.metrics
import openvenue.serving.supervisor  # noqa: F401  (their metrics register themselves)
import openvenue_operator.metrics  # noqa: F401
import pytest
from openvenue.projector.metrics import REGISTRY as PROJECTOR_REGISTRY
from openvenue.stream.metrics import REGISTRY as STREAM_REGISTRY
from prometheus_client import REGISTRY as API_AND_OPERATOR_REGISTRY

from tests.charts.chart import CHART, OPERATOR_CHART, ROOT, every_chart, find, render

METRIC = re.compile(
    r"\b(?:openvenue_(?:api|engine|projector|stream|operator)|process|python)_[a-z0-9_]+"
)


def exposed() -> Iterator[str]:
    """Yield the names of all series that the processes export."""
    for registry in (API_AND_OPERATOR_REGISTRY, PROJECTOR_REGISTRY, STREAM_REGISTRY):
        for family in registry.collect():
            suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}
            yield from (family.name + each for each in suffixes.get(family.type, [""]))
    for source in (ROOT / "engine/src").rglob("*.cc"):
        for name in re.findall(r'"(openvenue_engine_[a-z_]+)"', source.read_text()):
            yield from (name, f"{name}_bucket")


def dashboard(chart: Path) -> dict[str, Any]:
    """Return a chart's dashboard."""
    found: dict[str, Any] = json.loads((chart / "files/dashboard.json").read_text())
    return found


@pytest.mark.parametrize(
    ("chart", "least"), [(CHART, 30), (OPERATOR_CHART, 8)], ids=["openvenue", "openvenue-operator"]
)
def test_every_panel_asks_for_metrics_that_there_are(chart: Path, least: int) -> None:
    shown = dashboard(chart)
    queries = [target["expr"] for panel in shown["panels"] for target in panel.get("targets", [])]
    queries += [each["query"] for each in shown["templating"]["list"]]
    asked = {name for query in queries for name in METRIC.findall(query)}
    assert len(asked) > least
    assert asked <= set(exposed())


@every_chart
def test_panels_do_not_overlap(chart: Path) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard(chart)["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells


@every_chart
def test_the_config_map_holds_it_whole(chart: Path) -> None:
    objects = render(chart=chart, values={"dashboard.enabled": True})
    shown = find(objects, "ConfigMap", "-dashboard")
    assert json.loads(shown["data"][f"{chart.name}.json"]) == dashboard(chart)
