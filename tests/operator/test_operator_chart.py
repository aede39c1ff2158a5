"""The operator's chart gives its pod the settings that there are; more of it is in tests/charts."""

import pytest
import yaml
from openvenue_operator.settings import OperatorSettings

from tests.operator.installed_operator import render_chart

pytestmark = pytest.mark.cluster


def test_the_pods_environment_is_what_the_operator_reads() -> None:
    """A setting with a name that the operator does not know would be ignored in silence."""
    deployment = next(
        one for one in yaml.safe_load_all(render_chart()) if one["kind"] == "Deployment"
    )
    given = {one["name"] for one in deployment["spec"]["template"]["spec"]["containers"][0]["env"]}
    known = {f"OPENVENUE_OPERATOR_{name.upper()}" for name in OperatorSettings.model_fields}
    assert given - known == {"POD_NAME", "POD_NAMESPACE"}
