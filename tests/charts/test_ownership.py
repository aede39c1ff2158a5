"""Upgrades leave the operator's fields, passwords and unaffected pods alone."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from openvenue.admin_server.settings import AdminSettings
from openvenue.market.settings import MarketSettings
from openvenue.projector.settings import ProjectorSettings
from openvenue.serving.supervisor import _KILL_GRACE_S
from openvenue.settings import OidcSettings, Settings
from openvenue.stream.settings import StreamSettings

from tests.charts.chart import CHART, VALUE_SETS, Manifest, find, pod_templates, render, template

every_value_set = pytest.mark.parametrize(
    "values", [None, *VALUE_SETS], ids=lambda each: each and each.stem
)


@every_value_set
def test_the_replicas_of_the_api_are_never_rendered(values: Path | None) -> None:
    assert "replicas" not in find(render(values=values), "Deployment", "-api")["spec"]


@every_value_set
def test_the_tuning_is_never_rendered(values: Path | None) -> None:
    objects = render(values=values)
    maps = [each["metadata"]["name"] for each in objects if each["kind"] == "ConfigMap"]
    assert not [name for name in maps if name.endswith("-tuning")]
    for each in objects:
        assert "openvenue.dev/tuning-generation" not in str(each)


@every_value_set
def test_no_secret_and_no_password_is_rendered(values: Path | None) -> None:
    objects = render(values=values)
    assert not [each for each in objects if each["kind"] == "Secret"]
    for name, pod in pod_templates(objects):
        for container in pod["spec"]["containers"]:
            for variable in container.get("env", []):
                secret = "PASSWORD" in variable["name"] or "DATABASE_URL" in variable["name"]
                if secret:
                    assert variable.keys() == {"name", "valueFrom"}, name
                    assert "secretKeyRef" in variable["valueFrom"], name
                else:
                    assert "://" not in variable.get("value", "").replace("http://", ""), name


def pods(chart: Path = CHART, **values: Any) -> dict[str, Manifest]:
    """Return pod templates by workload, without Jobs and tests, which run again when they
    change."""
    objects = render(
        chart=chart, values={key.replace("__", "."): each for key, each in values.items()}
    )
    return {
        name: pod for name, pod in pod_templates(objects) if not name.startswith(("Job/", "Pod/"))
    }


def restarted(**values: Any) -> set[str]:
    before, after = pods(), pods(**values)
    return {name.rpartition("demo-openvenue-")[2] for name in before if before[name] != after[name]}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"api__start__workers": 2}, {"api"}),
        ({"api__shutdown__noticeSeconds": 9}, {"api"}),
        ({"projector__batchEntries": 64}, {"projector"}),
        ({"oidc": {"issuer": "https://login.example.com", "audience": "a"}}, {"api", "stream"}),
        ({"engine__limits__accounts": 99}, {"engine"}),
        ({"database__bundled__maxConnections": 60}, {"database"}),
        ({"image__api__tag": "2"}, {"admin", "api", "projector", "stream"}),
        ({"stream__windowEntries": 9}, {"stream"}),
        ({"stream__replicas": 2}, set()),
        ({"admin__http__enabled": True}, {"admin"}),
        ({"image__engine__tag": "2"}, {"engine"}),
        ({"engine__podAnnotations": {"a": "b"}}, {"engine"}),
        ({"venue__api__workersPerPod": {"min": 1, "max": 9}}, set()),
        ({"venue__mode": "Paused"}, set()),
        ({"networkPolicy__enabled": False}, set()),
        ({"ingress__enabled": True}, set()),
        ({"dashboard__enabled": True}, set()),
        ({"api__service__type": "NodePort"}, set()),
        ({"api__autoscaling__enabled": True}, set()),
        ({"commonAnnotations": {"a": "b"}}, set()),
        ({"venue__operator__namespace": "operators"}, set()),
        ({"engine__updateStrategy__type": "OnDelete"}, set()),
        ({"migration__waitSeconds": 30}, set()),
        ({"jobs__podLabels": {"a": "b"}}, set()),
    ],
    ids=lambda each: next(iter(each), "none") if isinstance(each, dict) else "",
)
def test_pods_restart_for_what_they_read_and_nothing_else(
    values: dict[str, object], expected: set[str]
) -> None:
    assert restarted(**values) == expected


def test_a_new_version_of_the_chart_alone_restarts_nothing(tmp_path: Path) -> None:
    newer = tmp_path / "openvenue"
    shutil.copytree(CHART, newer)
    about = yaml.safe_load((newer / "Chart.yaml").read_text())
    (newer / "Chart.yaml").write_text(yaml.safe_dump({**about, "version": "99.0.0"}))
    assert "openvenue-99.0.0" in template(chart=newer)
    assert pods(newer) == pods()


def test_the_api_stops_within_its_grace_period(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = {"noticeSeconds": 30, "drainSeconds": 45}
    for values in ({}, {"api.shutdown": slow, "api.engineReplyTimeoutSeconds": 17}):
        spec = find(render(values=values), "Deployment", "-api")["spec"]
        pod = spec["template"]["spec"]
        with monkeypatch.context() as environment:
            for variable in pod["containers"][0]["env"]:
                if "value" in variable:
                    environment.setenv(variable["name"], variable["value"])
            needed_s = Settings().stop_timeout_s + _KILL_GRACE_S
        assert needed_s < pod["terminationGracePeriodSeconds"] <= needed_s + 10
        assert spec["minReadySeconds"] >= pod["terminationGracePeriodSeconds"]


def test_every_variable_is_a_setting() -> None:
    """The process would silently ignore an unknown name."""
    known = {f"OPENVENUE_{name}".upper() for name in Settings.model_fields}
    for settings, prefix in (
        (AdminSettings, "ADMIN"),
        (MarketSettings, "MARKET"),
        (OidcSettings, "OIDC"),
        (ProjectorSettings, "PROJECTOR"),
        (StreamSettings, "STREAM"),
    ):
        known |= {f"OPENVENUE_{prefix}_{name}".upper() for name in settings.model_fields}
    values = {
        "admin.http.enabled": True,
        "market.enabled": True,
        "oidc": {"issuer": "https://login.example.com", "audience": "venue"},
    }
    rendered = render(values=values)
    for workload in ("admin", "api", "market", "projector", "stream"):
        pod = find(rendered, "Deployment", f"-{workload}")["spec"]["template"]["spec"]
        for container in pod["containers"]:
            names = {variable["name"] for variable in container["env"]}
            assert {name for name in names if name.startswith("OPENVENUE_")} <= known
