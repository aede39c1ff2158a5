"""The charts' tests need Helm and its companions, which `tests/cluster/parts/build` makes."""

from pathlib import Path

import pytest
from chart import PROGRAMS


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.cluster)


@pytest.fixture(autouse=True, scope="session")
def programs() -> None:
    """Say what to do where they are not there."""
    if not (PROGRAMS / "helm4").exists():
        pytest.fail(f"no Helm in {PROGRAMS}: run tests/cluster/parts/build", pytrace=False)
