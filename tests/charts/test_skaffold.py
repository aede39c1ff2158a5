"""skaffold.yaml follows Skaffold's schema, and fits Dockerfiles and charts."""

import json
import os
from pathlib import Path

import jsonschema_rs
import pytest
import yaml

from tests.charts.chart import ROOT, render

DATA = Path(os.environ.get("OPENVENUE_TEST_DATA", ROOT.parent / "shared/data"))
SCHEMA = DATA / "schemas/skaffold-v4beta13.json"
CONFIG = yaml.safe_load((ROOT / "skaffold.yaml").read_text())
RELEASES = {each["name"]: each for each in CONFIG["deploy"]["helm"]["releases"]}


@pytest.mark.skipif(not SCHEMA.exists(), reason=f"{SCHEMA} is not there")
def test_it_is_valid() -> None:
    validator = jsonschema_rs.validator_for(json.loads(SCHEMA.read_text()))
    assert [str(error) for error in validator.iter_errors(CONFIG)] == []
    assert not validator.is_valid({**CONFIG, "deploys": {}}), "the schema checks nothing"


def test_every_image_is_built_from_a_file_that_there_is() -> None:
    for artifact in CONFIG["build"]["artifacts"]:
        assert (ROOT / artifact["docker"]["dockerfile"]).is_file()


@pytest.mark.parametrize(
    ("release", "images"),
    [("openvenue", ["openvenue-engine", "openvenue"]), ("openvenue-operator", ["openvenue"])],
)
def test_the_images_that_are_built_are_those_that_are_deployed(
    release: str, images: list[str]
) -> None:
    settings = {
        key: value.replace("{{.", "").replace("}}", "")
        for key, value in RELEASES[release]["setValueTemplates"].items()
    }
    digest = f"sha256:{'a' * 64}"
    values = {key: digest if "DIGEST" in value else value for key, value in settings.items()}
    text = str(render(values=values, chart=ROOT / RELEASES[release]["chartPath"]))
    assert set(images) <= {artifact["image"] for artifact in CONFIG["build"]["artifacts"]}
    for image in images:
        assert f"IMAGE_REPO_{image.replace('-', '_')}@{digest}" in text


@pytest.mark.parametrize("profile", ["bundled-database", "external-database"])
def test_a_profile_chooses_a_database_that_the_chart_takes(profile: str) -> None:
    (chosen,) = (each for each in CONFIG["profiles"] if each["name"] == profile)
    (patch,) = chosen["patches"]
    assert patch["path"] == "/deploy/helm/releases/1/setValues"
    assert CONFIG["deploy"]["helm"]["releases"][1]["name"] == "openvenue"
    bundled = any(each["kind"] == "StatefulSet" and "-database" in each["metadata"]["name"]
                  for each in render(values=patch["value"]))  # fmt: skip
    assert bundled is (profile == "bundled-database")
