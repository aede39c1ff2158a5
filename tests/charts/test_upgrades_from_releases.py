"""A release of an earlier chart continues with this one: journal, names, values.

`releases/` holds the earlier charts.
"""

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.charts.chart import CHART, every_helm
from tests.charts.release import Release
from tests.support.api_server import ApiServer

RELEASES = sorted((Path(__file__).parent / "releases").glob("*.tgz"))
CUT = "team-quantitative-research-paper-tra"

every_release = pytest.mark.parametrize("old", RELEASES, ids=lambda path: str(path.stem))


def namespace_of(request: pytest.FixtureRequest, *more: str) -> str:
    name = "-".join((request.function.__name__.removeprefix("test_"), *more))
    return name.replace("_", "-").replace(".", "-")[:60].rstrip("-")


def value_files(old: Path, directory: Path) -> list[Path | None]:
    """Return the sets of values that a chart was tested with, and None."""
    with tarfile.open(old) as archive:
        # Ours, beside the tests: Debian's 3.11.2 lacks the argument `filter`.
        archive.extractall(directory)
    return [None, *sorted((directory / "openvenue/ci").glob("*-values.yaml"))]


@every_helm
@every_release
def test_an_upgrade_keeps_engine_and_journal(
    old: Path, helm: str, server: ApiServer, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    for number, file in enumerate(value_files(old, tmp_path)):
        release = Release(server, helm, namespace_of(request, helm, str(number)))
        release.deploy(old, file)
        before = engine(release)
        services = release.identities("services")
        release.deploy(CHART, file)
        after = engine(release)
        assert after["metadata"]["uid"] == before["metadata"]["uid"]
        assert after["spec"]["volumeClaimTemplates"] == before["spec"]["volumeClaimTemplates"]
        assert services.items() <= release.identities("services").items()
        # And back.
        release.run("rollback", "1")
        assert engine(release)["spec"] == before["spec"]


def engine(release: Release) -> dict[str, Any]:
    (found,) = (
        each
        for each in release.get("statefulsets")["items"]
        if each["metadata"]["name"].endswith("-engine")
    )
    result: dict[str, Any] = found
    return result


def engine_name(release: Release) -> str:
    return str(engine(release)["metadata"]["name"])


@every_helm
def test_names_that_share_a_beginning_are_two(
    helm: str, server: ApiServer, request: pytest.FixtureRequest
) -> None:
    first, second = (
        Release(server, helm, namespace_of(request, helm), f"{CUT}ding-{last}") for last in "ab"
    )
    first.deploy()
    second.deploy()
    names = {each["metadata"]["name"] for each in first.get("statefulsets")["items"]}
    assert len(names) == 4
    assert all(len(name) <= 45 and name.startswith(CUT[:26]) for name in names)
    first.deploy(api__start__workers=2)
    assert {each["metadata"]["name"] for each in first.get("statefulsets")["items"]} == names


@every_release
def test_a_name_that_was_cut_stays_as_it_is(
    old: Path, server: ApiServer, request: pytest.FixtureRequest
) -> None:
    name = f"{CUT}ding-a"
    release = Release(server, "helm4", namespace_of(request), name)
    release.deploy(old)
    make_claim(server, release.namespace, name)
    release.deploy()
    assert engine_name(release) == f"{CUT}-engine"
    # Its volume outlives the release, and the next install finds it.
    release.run("uninstall")
    release.deploy()
    assert engine_name(release) == f"{CUT}-engine"


def test_the_journal_of_another_release_is_left_to_it(
    server: ApiServer, request: pytest.FixtureRequest
) -> None:
    release = Release(server, "helm4", namespace_of(request), f"{CUT}ding-a")
    make_claim(server, release.namespace, f"{CUT}ding-b")
    release.deploy()
    assert engine_name(release) != f"{CUT}-engine"


def make_claim(server: ApiServer, namespace: str, release: str) -> None:
    """Create the journal's claim in the form of the StatefulSet controller's."""
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": f"journal-{CUT}-engine-0",
            "namespace": namespace,
            "labels": {
                "app.kubernetes.io/name": "openvenue",
                "app.kubernetes.io/instance": release,
                "app.kubernetes.io/component": "engine",
            },
        },
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "8Gi"}},
        },
    }
    server.kubectl("apply", "-f=-", stdin=json.dumps(claim))


def test_a_name_may_begin_with_a_digit(server: ApiServer, request: pytest.FixtureRequest) -> None:
    Release(server, "helm4", namespace_of(request), "2026-venue").deploy()
