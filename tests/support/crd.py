"""The custom resource's definition from the chart."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

TEMPLATE = Path(__file__).resolve().parents[2] / "charts/openvenue-operator/templates/crd.yaml"


def definition() -> dict[str, Any]:
    """Return the CustomResourceDefinition, without Helm's additions."""
    lines = TEMPLATE.read_text().splitlines()
    found: dict[str, Any] = yaml.safe_load("\n".join(one for one in lines if "{{" not in one))
    return found


def schema() -> dict[str, Any]:
    """Return the schema of a Venue."""
    found: dict[str, Any] = definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return found


def fields(part: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every field below a schema, by its path."""
    for name, field in part.get("properties", {}).items():
        where = f"{path}.{name}".lstrip(".")
        yield where, field
        yield from fields(field, where)
        yield from fields(field.get("items", {}), f"{where}[]")
