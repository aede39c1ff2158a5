"""A Venue in a file is read, or refused in sentences, like by the API server."""

from typing import Any

import msgspec
import pytest
import yaml
from openvenue_operator.spec import Mode, VenueSpec
from openvenue_operator.venue_file import LOG_LEVELS, RANGES, BadVenue, Range, read_spec

from tests.support.crd import fields, schema

MINIMAL: dict[str, Any] = {
    "api": {"deployment": "venue-api"},
    "engine": {"statefulSet": "venue-engine"},
}


def manifest(**spec: Any) -> str:
    return yaml.safe_dump({"kind": "Venue", "spec": MINIMAL | spec})


def with_api(**fields: Any) -> str:
    return manifest(api=MINIMAL["api"] | fields)


def test_omitted_fields_have_the_defaults_of_the_resource() -> None:
    assert read_spec(manifest()) == msgspec.convert(MINIMAL, VenueSpec)


def test_the_venue_is_found_among_other_objects() -> None:
    text = "kind: Service\n---\n" + manifest(mode="Plan") + "---\n---\nkind: ConfigMap\n"
    assert read_spec(text).mode is Mode.PLAN


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("kind: [", "not YAML: "),
        ("", "0 objects of kind Venue where there must be one"),
        (manifest() + "---\n" + manifest(), "2 objects of kind Venue"),
        ("kind: Venue", r"spec: Expected `object`, got `null`"),
        (manifest(mode="Fast"), r"Invalid enum value 'Fast' - at `\$.mode`"),
        (manifest(engine={}), "missing required field `statefulSet`"),
        (manifest(spare=1), "spec.spare is no field of a Venue"),
        (with_api(replicas={"min": 1, "max": 2, "mean": 1}), "spec.api.replicas.mean is no field"),
        (with_api(replicas={"min": 3, "max": 2}), "spec.api.replicas: min must not be above max"),
        (with_api(workersPerPod={"min": 0, "max": 2}), "workersPerPod.min is 0, not between 1 and"),
        (with_api(logLevel="LOUD"), "spec.api.logLevel is none of DEBUG, INFO, WARNING, ERROR"),
        (manifest(tuning={"cooldownSeconds": -1}), "cooldownSeconds is -1, not between 0 and"),
        (manifest(tuning={"targets": {"p99Ms": 0}}), "targets.p99Ms is 0, not between 1 and"),
        (
            manifest(tuning={"upWindowSeconds": 400}),
            "upWindowSeconds must not be above downWindowSeconds",
        ),
        (manifest(connections={"cap": 7}), "connections.cap, which is 7 and must be at least 8"),
        (
            with_api(replicas={"min": 127, "max": 127}),
            "engine.serverThreads.max is 256 and must be at least 258",
        ),
    ],
)
def test_a_file_that_the_api_server_refuses_is_refused_here(text: str, sentence: str) -> None:
    with pytest.raises(BadVenue, match=sentence):
        read_spec(text)


def test_no_more_is_said_than_one_can_read() -> None:
    with pytest.raises(BadVenue, match=r"and 95 more$"):
        read_spec(manifest(**{f"spare{number}": 1 for number in range(100)}))


def test_the_ranges_are_those_of_the_resource() -> None:
    of_resource = {
        path.removesuffix(".max").removesuffix(".min"): Range(field["minimum"], field["maximum"])
        for path, field in fields(schema()["properties"]["spec"])
        if field["type"] == "integer"
    }
    assert of_resource == RANGES


def test_the_log_levels_are_those_of_the_resource() -> None:
    found = dict(fields(schema()["properties"]["spec"]))
    assert tuple(found["api.logLevel"]["enum"]) == LOG_LEVELS
