"""The values of `venue` are valid for the resource's definition.

Helm refuses invalid ones before it has written half of a release.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.charts.chart import CHART, OPERATOR_CHART, find, render

Field = dict[str, Any]
# It counts the connections of the streams by their replicas.
NAMED_BY_THE_CHART = {"api.deployment", "engine.statefulSet", "connections.stream"}


def leaves(schema: Field, path: str = "") -> Iterator[tuple[str, Field]]:
    """Yield every field below a schema that has no fields itself, by its path."""
    for name, field in schema["properties"].items():
        where = f"{path}.{name}".lstrip(".")
        if "properties" in field:
            yield from leaves(field, where)
        else:
            yield where, field


def of_values() -> dict[str, Field]:
    schema = json.loads((CHART / "values.schema.json").read_text())
    found = dict(leaves(schema["properties"]["venue"]))
    # Not part of the resource: whether it exists, and which operator tunes it.
    return {
        path: field
        for path, field in found.items()
        if path != "enabled" and not path.startswith("operator.")
    }


@pytest.fixture(scope="module")
def of_definition(programs: None) -> dict[str, Field]:
    definition = find(render(chart=OPERATOR_CHART), "CustomResourceDefinition", "")
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return dict(leaves(schema["properties"]["spec"]))


def test_every_field_of_the_resource_is_a_value(of_definition: dict[str, Field]) -> None:
    assert of_values().keys() == of_definition.keys() - NAMED_BY_THE_CHART


@pytest.mark.parametrize("path", of_values())
def test_a_value_is_one_that_the_resource_takes(path: str, of_definition: dict[str, Field]) -> None:
    value, field = of_values()[path], of_definition[path]
    if "enum" in field:
        assert set(value["enum"]) <= set(field["enum"])
        return
    # If a value may be null, the chart leaves the field out.
    assert value["type"] in ("integer", ["integer", "null"])
    assert field["minimum"] <= value["minimum"] <= value["maximum"] <= field["maximum"]
