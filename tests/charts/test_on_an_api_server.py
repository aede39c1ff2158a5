"""Kubernetes' own API server accepts the charts, and Helm's revisions work on it."""

import copy
import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.charts.chart import (
    CHART,
    DEFINITIONS,
    PROGRAMS,
    Manifest,
    every_case,
    every_chart,
    every_helm,
    pod_templates,
    render,
    run,
    template,
)
from tests.charts.release import Release, create_namespace
from tests.support.api_server import ApiServer


@pytest.fixture(scope="session")
def schemas(server: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the API server's schemas in kubeconform's form: a file per kind, no other fields."""
    definitions = published(server)
    for name, definition in definitions.items():
        if name.endswith(".IntOrString"):
            definition["type"] = ["string", "integer"]
        elif name.endswith(".Quantity"):
            definition["type"] = ["string", "number"]
        else:
            close(definition)
    directory = tmp_path_factory.mktemp("schemas")
    shared = directory / "definitions.json"
    shared.write_text(json.dumps({"definitions": definitions}))
    for name, definition in definitions.items():
        for known in definition.get("x-kubernetes-group-version-kind", []):
            # kubeconform names the group without a name like its version.
            group, version = known["group"] or known["version"], known["version"]
            file = directory / f"{group}_{version}_{known['kind'].lower()}.json"
            file.write_text(json.dumps({"$ref": f"{shared.as_uri()}#/definitions/{name}"}))
    return directory


def published(server: ApiServer) -> dict[str, Any]:
    """Return the API server's definitions, once all kinds are among them."""
    deadline = time.monotonic() + 60
    while True:
        document = json.loads(server.kubectl("get", "--raw=/openapi/v2"))
        definitions: dict[str, Any] = document["definitions"]
        kinds = {
            f"{each['group']}/{each['version']}/{each['kind']}"
            for definition in definitions.values()
            for each in definition.get("x-kubernetes-group-version-kind", [])
        }
        if kinds.issuperset(DEFINITIONS):
            return definitions
        assert time.monotonic() < deadline, f"not published: {set(DEFINITIONS) - kinds}"
        time.sleep(0.5)


def close(schema: dict[str, Any]) -> None:
    """Forbid fields that a schema does not name, at any depth."""
    properties = schema.get("properties", {})
    if properties and "x-kubernetes-preserve-unknown-fields" not in schema:
        schema.setdefault("additionalProperties", False)
    below = [*properties.values(), schema.get("items"), schema.get("additionalProperties")]
    for each in below:
        if isinstance(each, dict):
            close(each)


def check(schemas: Path, text: str, file: Path) -> str:
    """Return kubeconform's complaints about some manifests; empty if there are none."""
    file.write_text(text)
    place = f"{schemas}/{{{{.Group}}}}_{{{{.ResourceAPIVersion}}}}_{{{{.ResourceKind}}}}.json"
    done = run("kubeconform", "-strict", "-schema-location", place, file)
    return "" if done.returncode == 0 else done.stdout + done.stderr


@every_case
def test_kubeconform_finds_nothing(
    chart: Path, values: Path | None, schemas: Path, tmp_path: Path
) -> None:
    text = template(chart=chart, values=values)
    assert check(schemas, text, tmp_path / "manifests.yaml") == ""


# For each kind of another project, a misspelled name deep inside.
every_misspelling = pytest.mark.parametrize(
    ("name", "wrong"),
    [("initdb:", "initDb:"), ("backendRefs:", "backends:"), ("path: /metrics", "paths: /metrics")],
    ids=["Cluster", "HTTPRoute", "PodMonitor"],
)


@every_misspelling
def test_kubeconform_knows_the_kinds_of_others(
    name: str, wrong: str, schemas: Path, tmp_path: Path
) -> None:
    text = template(values=CHART / "ci/cloudnative-pg-values.yaml")
    assert name in text
    broken = text.replace(name, wrong)
    assert f"'{wrong.split(':')[0]}'" in check(schemas, broken, tmp_path / "manifests.yaml")


@every_misspelling
def test_the_api_server_knows_the_kinds_of_others(
    name: str, wrong: str, server: ApiServer, restricted: str
) -> None:
    text = template(values=CHART / "ci/cloudnative-pg-values.yaml")
    assert wrong.split(":")[0] in ask(server, restricted, text.replace(name, wrong))


def test_kubeconform_would_find_something(schemas: Path, tmp_path: Path) -> None:
    text = template()
    assert "minReadySeconds:" in text
    broken = text.replace("minReadySeconds:", "minimumReadySeconds:")
    assert "minimumReadySeconds" in check(schemas, broken, tmp_path / "manifests.yaml")


def ask(server: ApiServer, namespace: str, given: str) -> str:
    """Return the API server's complaints about some objects; empty if it would accept them."""
    done = subprocess.run(
        [
            PROGRAMS / "kubernetes", "kubectl", "--kubeconfig", server.kubeconfig(),
            "apply", "--server-side", "--dry-run=server", "--validate=strict", "--force-conflicts",
            "--namespace", namespace, "-f=-",
        ],
        input=given, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    # It only warns of workloads whose pods it would not admit.
    return done.stderr if done.returncode != 0 or "PodSecurity" in done.stderr else ""


@pytest.fixture(scope="session")
def restricted(server: ApiServer) -> str:
    """Return a namespace under the restricted pod-security profile."""
    return create_namespace(server, "venues")


@every_case
def test_the_api_server_takes_every_object(
    chart: Path, values: Path | None, server: ApiServer, restricted: str
) -> None:
    # A PriorityClass belongs to the cluster, and this one has only Kubernetes' own.
    text = template(chart=chart, values=values).replace("priorityClassName: venue", "")
    assert ask(server, restricted, text) == ""


@every_case
def test_its_pod_security_admission_takes_every_pod(
    chart: Path, values: Path | None, server: ApiServer, restricted: str
) -> None:
    for name, pod in pod_templates(render(chart=chart, values=values)):
        assert ask(server, restricted, as_pod(name, pod)) == ""


@every_chart
def test_its_pod_security_admission_would_refuse_one(
    chart: Path, server: ApiServer, restricted: str
) -> None:
    for name, pod in pod_templates(render(chart=chart)):
        worse = copy.deepcopy(pod)
        del worse["spec"]["securityContext"]["seccompProfile"]
        assert "violates PodSecurity" in ask(server, restricted, as_pod(name, worse))


def as_pod(name: str, template: Manifest) -> str:
    """Return a pod of a template, with the claims that a StatefulSet adds."""
    spec = copy.deepcopy(template["spec"])
    mounted = {each["name"] for each in spec["containers"][0]["volumeMounts"]}
    there = {each["name"] for each in spec["volumes"]}
    claims = [
        {"name": each, "persistentVolumeClaim": {"claimName": each}} for each in mounted - there
    ]
    spec["volumes"] += claims
    # Admission accepts only existing priority classes.
    spec.pop("priorityClassName", None)
    metadata = {"name": name.split("/")[1].lower(), "labels": template["metadata"]["labels"]}
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})


@pytest.fixture
def release(server: ApiServer, helm: str, request: pytest.FixtureRequest) -> Release:
    name = request.function.__name__.removeprefix("test_").replace("_", "-")
    return Release(server, helm, f"{helm}-{name}"[:60].rstrip("-"))


@every_helm
def test_upgrades_and_a_rollback_leave_the_operators_replicas(release: Release) -> None:
    release.deploy()
    # Helm 3 creates without server-side apply, and so owns the replicas that it did not send.
    release.apply_as_operator(3, "--force-conflicts")
    for values in ({"api__start__workers": 2}, {}, {"image__api__tag": "2"}):
        release.deploy(**values)
        assert release.get("deployment", "api")["spec"]["replicas"] == 3
    release.run("rollback", "1")
    deployment = release.get("deployment", "api")
    assert deployment["spec"]["replicas"] == 3
    # The operator can continue without force: nobody else has taken over the field.
    release.apply_as_operator(4)
    assert release.get("deployment", "api")["spec"]["replicas"] == 4


@every_helm
def test_upgrades_and_a_rollback_leave_replicas_set_by_hand(
    release: Release, server: ApiServer
) -> None:
    release.deploy(venue__enabled=False)
    server.kubectl(
        "scale", "--namespace", release.namespace, "deployment/demo-openvenue-api", "--replicas=5"
    )
    release.deploy(venue__enabled=False, api__start__workers=3)
    release.run("rollback", "1")
    assert release.get("deployment", "api")["spec"]["replicas"] == 5


def test_helm_4_takes_over_what_helm_3_installed(server: ApiServer) -> None:
    release = Release(server, "helm3", "from-helm3-to-helm4")
    release.deploy()
    release.apply_as_operator(3, "--force-conflicts")
    release.helm = "helm4"
    release.deploy(api__start__workers=2)
    release.deploy(image__api__tag="2")
    release.run("rollback", "1")
    deployment = release.get("deployment", "api")
    assert deployment["spec"]["replicas"] == 3
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"].endswith(":0.1.0")


@every_helm
def test_an_upgrade_that_does_not_concern_the_migration_leaves_its_job(release: Release) -> None:
    release.deploy()
    before = release.identities("jobs")
    release.deploy(api__start__workers=2)
    release.run("rollback", "1")
    assert release.identities("jobs") == before


@every_helm
def test_a_new_version_has_a_migration_of_its_own_and_so_has_the_way_back(
    release: Release,
) -> None:
    release.deploy()
    first = release.identities("jobs")
    release.deploy(image__api__tag="2")
    second = release.identities("jobs")
    assert not first.keys() & second.keys()
    release.run("rollback", "1")
    third = release.identities("jobs")
    assert third.keys() == first.keys()
    assert not set(third.values()) & set(first.values()), "it is the old Job, and never ran"


@every_helm
def test_a_migration_that_failed_runs_again_once_its_job_is_deleted(
    release: Release, server: ApiServer
) -> None:
    release.deploy()
    before = release.identities("jobs")
    (migration,) = (name for name in before if "migration" in name)
    server.kubectl("delete", "job", migration, "--namespace", release.namespace)
    release.deploy()
    after = release.identities("jobs")
    assert after.keys() == before.keys()
    assert after[migration] != before[migration]


@every_helm
def test_uninstalling_leaves_only_objects_with_data(release: Release) -> None:
    release.deploy()
    release.run("uninstall")
    for kind in ("deployments", "statefulsets", "jobs", "services", "networkpolicies", "venues"):
        assert release.get(kind)["items"] == []
