"""The dashboard asks for metrics that there are."""

import json
import re
from collections.abc import Iterator

import openvenue.metrics
import openvenue.supervisor  # noqa: F401  (their metrics register themselves)
from chart import CHART, ROOT, find, render
from openvenue.projector.metrics import REGISTRY as PROJECTOR_REGISTRY
from prometheus_client import REGISTRY as API_REGISTRY

METRIC = re.compile(r"\bopenvenue_(?:api|engine|projector)_[a-z0-9_]+")


def exposed() -> Iterator[str]:
    """Names of all series, as the processes show them."""
    for registry in (API_REGISTRY, PROJECTOR_REGISTRY):
        for family in registry.collect():
            suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}
            yield from (family.name + each for each in suffixes.get(family.type, [""]))
    for source in (ROOT / "engine/src").rglob("*.cc"):
        for name in re.findall(r'"(openvenue_engine_[a-z_]+)"', source.read_text()):
            yield from (name, f"{name}_bucket")


def test_every_panel_asks_for_metrics_that_there_are() -> None:
    dashboard = json.loads((CHART / "files/dashboard.json").read_text())
    queries = [
        target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])
    ]
    queries += [each["query"] for each in dashboard["templating"]["list"]]
    asked = {name for query in queries for name in METRIC.findall(query)}
    assert len(asked) > 30
    assert asked <= set(exposed())


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    dashboard = json.loads((CHART / "files/dashboard.json").read_text())
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells


def test_the_config_map_holds_it_whole() -> None:
    shown = find(render(values={"dashboard.enabled": True}), "ConfigMap", "-dashboard")
    assert json.loads(shown["data"]["openvenue.json"]) == json.loads(
        (CHART / "files/dashboard.json").read_text()
    )
