"""The charts render with any values, by Helm 3 and Helm 4, for any cluster."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from openvenue.http.app import _ROUTERS
from openvenue.stream.server import PATHS
from starlette.routing import Route

from tests.charts.chart import (
    CHART,
    HELMS,
    ROOT,
    every_case,
    every_chart,
    every_helm,
    find,
    manifests,
    pod_templates,
    render,
    run,
    template,
)


@every_helm
@every_case
def test_helm_finds_nothing_to_complain_about(helm: str, chart: Path, values: Path | None) -> None:
    given = [f"--values={values}"] if values else []
    done = run(helm, "lint", "--strict", chart, *given)
    assert done.returncode == 0, done.stdout + done.stderr


@every_chart
def test_the_unit_tests_pass(chart: Path) -> None:
    done = run("helm-unittest", chart)
    assert done.returncode == 0, done.stdout
    assert re.search(r"Tests: +\d{2,} passed", done.stdout), "no test ran"


@every_case
def test_both_helms_render_the_same(chart: Path, values: Path | None) -> None:
    first, second = (manifests(template(helm=helm, chart=chart, values=values)) for helm in HELMS)
    assert sorted(first, key=_identity) == sorted(second, key=_identity)


@pytest.mark.parametrize("way_in", ["ingress", "gateway"])
def test_the_ways_in_lead_to_the_streams_by_their_paths(way_in: str) -> None:
    values = {f"{way_in}.enabled": True, "gateway.parentRefs": [{"name": "public"}]}
    objects = render(values=values)
    if way_in == "ingress":
        (rule,) = find(objects, "Ingress", "-api")["spec"]["rules"]
        found = {
            path["path"]
            for path in rule["http"]["paths"]
            if path["backend"]["service"]["name"].endswith("-stream")
        }
    else:
        found = {
            match["path"]["value"]
            for rule in find(objects, "HTTPRoute", "-api")["spec"]["rules"]
            if rule["backendRefs"][0]["name"].endswith("-stream")
            for match in rule["matches"]
        }
    assert found == set(PATHS)


def test_an_ingress_controller_that_goes_by_the_length_of_rules_leads_to_the_streams() -> None:
    """Traefik does: https://doc.traefik.io/traefik/reference/routing-configuration/http/routing/rules-and-priority/"""
    objects = render(values={"ingress.enabled": True})
    (rule,) = find(objects, "Ingress", "-api")["spec"]["rules"]
    matchers = {"Exact": "Path", "Prefix": "PathPrefix"}
    lengths = {
        path["path"]: len(f"{matchers[path['pathType']]}(`{path['path']}`)")
        for path in rule["http"]["paths"]
    }
    everything = lengths.pop("/")
    assert min(lengths.values()) > everything


def test_no_prefix_of_the_streams_takes_a_path_of_the_api() -> None:
    objects = render(values={"ingress.enabled": True})
    (rule,) = find(objects, "Ingress", "-api")["spec"]["rules"]
    # Traefik compares characters, not the parts between slashes.
    prefixes = tuple(
        path["path"]
        for path in rule["http"]["paths"]
        if path["pathType"] == "Prefix" and path["path"] != "/"
    )
    routes = [route for router in _ROUTERS for route in router.routes]
    of_api = {route.path for route in routes if isinstance(route, Route)}
    assert {"/v2/orders/{order_id}", "/v2/stocks/bars"} <= of_api
    assert not {path for path in of_api if path.startswith(prefixes)}


def _identity(manifest: dict[str, Any]) -> tuple[str, str]:
    return manifest["kind"], manifest["metadata"]["name"]


@every_case
def test_every_render_is_the_same(chart: Path, values: Path | None) -> None:
    first, second = (template(chart=chart, values=values) for _ in range(2))
    assert first == second


@every_case
def test_no_two_objects_have_one_name(chart: Path, values: Path | None) -> None:
    names = [_identity(each) for each in render(chart=chart, values=values)]
    assert len(names) == len(set(names))


@every_case
def test_every_object_says_what_it_belongs_to(chart: Path, values: Path | None) -> None:
    for each in render(chart=chart, values=values):
        labels = each["metadata"]["labels"]
        assert labels["app.kubernetes.io/name"] == chart.name
        assert labels["app.kubernetes.io/instance"] == "demo"
        assert labels["app.kubernetes.io/part-of"] == "openvenue"
        assert labels["app.kubernetes.io/managed-by"] == "Helm"
        assert labels["app.kubernetes.io/version"]


@every_case
def test_every_service_selects_the_pods_of_one_workload(chart: Path, values: Path | None) -> None:
    objects = render(chart=chart, values=values)
    templates = dict(pod_templates(objects))
    for service in (each for each in objects if each["kind"] == "Service"):
        selector = service["spec"]["selector"].items()
        selected = [
            name
            for name, each in templates.items()
            if selector <= each["metadata"]["labels"].items()
        ]
        assert len(selected) == 1, service["metadata"]["name"]
        ports = {
            port["name"]
            for container in templates[selected[0]]["spec"]["containers"]
            for port in container.get("ports", [])
        }
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports


@every_case
def test_every_network_policy_but_the_first_is_for_pods_that_there_are(
    chart: Path, values: Path | None
) -> None:
    objects = render(chart=chart, values=values)
    labels = [each["metadata"]["labels"].items() for _, each in pod_templates(objects)]
    for policy in (each for each in objects if each["kind"] == "NetworkPolicy"):
        selector = policy["spec"]["podSelector"]["matchLabels"].items()
        assert any(selector <= each for each in labels), policy["metadata"]["name"]


def test_the_longest_name_fits() -> None:
    for each in render(values={"fullnameOverride": "a" * 36}):
        # A StatefulSet's pods have a label with its name and ten more characters.
        longest = 52 if each["kind"] == "StatefulSet" else 63
        assert len(each["metadata"]["name"]) <= longest, each["metadata"]["name"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("engine.resource", {}),
        ("api.replicas", -1),
        ("engine.journal.size", "lots"),
        ("database.bundled.storage.size", "8 Gi"),
        ("api.resources", {"requests": {"cpu": "lots"}}),
        ("ingress.hosts", [{"name": "venue"}]),
        ("admin.secretKey", ".hidden"),
        ("api.start.workers", "two"),
        ("api.start.workers", 0),
        ("api.start.workers", 65),
        ("api.start.dbPoolSize", 1),
        ("api.resources", {"request": {"cpu": 1}}),
        ("database.mode", "sqlite"),
        ("database.bundled.password", "secret"),
        ("engine.dayEndUtc", "noon"),
        ("engine.stopTimeoutSeconds", 0),
        ("venue.mode", "auto"),
        ("venue.api.workersPerPod.min", 0),
        ("venue.api.dbPoolSize", {"min": 2, "max": 10, "start": 4}),
        ("venue.tuning.targets.cpuPercent", 101),
        ("image.api.digest", "sha256:123"),
        ("networkPolicy.dnsPorts", []),
        ("migrations", {}),
    ],
)
@every_helm
def test_the_schema_refuses(helm: str, path: str, value: object) -> None:
    done = run(helm, "lint", CHART, f"--set-json={path}={json.dumps(value)}")
    assert done.returncode != 0
    said = done.stdout + done.stderr
    # Helm names the place as a path, or the key itself if it does not exist.
    assert path.split(".")[-1] in said or path.rsplit(".", 1)[0].replace(".", "/") in said, said


def test_a_parent_chart_may_hand_down_its_globals_and_its_condition() -> None:
    assert render(values={"global": {"anything": 1}, "enabled": True})


def test_documentation_and_schema_are_those_of_the_values() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/chart-docs", "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_the_migration_runs_once_for_each_content() -> None:
    def name(**settings: Any) -> str:
        objects = render(values={key.replace("__", "."): each for key, each in settings.items()})
        names = [each["metadata"]["name"] for each in objects if each["kind"] == "Job"]
        (found,) = (each for each in names if "-migration-" in each)
        return str(found)

    same = {name(), name(api__start__workers=2), name(venue__mode="Plan")}
    assert len(same) == 1
    different = {name(image__api__tag="2"), name(jobs__podLabels={"a": "b"})}
    different |= {name(migration__waitSeconds=30), name(migration__attempt=2)}
    assert len(different - same) == 4
