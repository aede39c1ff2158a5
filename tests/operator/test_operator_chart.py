"""The operator's chart gives its pod only existing settings; tests/charts has its other tests."""

import pytest
import yaml
from openvenue_operator.settings import OperatorSettings

from tests.operator.installed_operator import render_chart

pytestmark = pytest.mark.cluster


def test_the_pods_environment_is_what_the_operator_reads() -> None:
    """The operator would silently ignore a setting with an unknown name."""
    deployment = next(
        one for one in yaml.safe_load_all(render_chart()) if one["kind"] == "Deployment"
    )
    given = {one["name"] for one in deployment["spec"]["template"]["spec"]["containers"][0]["env"]}
    known = {f"OPENVENUE_OPERATOR_{name.upper()}" for name in OperatorSettings.model_fields}
    assert given - known == {"POD_NAME", "POD_NAMESPACE"}
