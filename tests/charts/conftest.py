"""The charts' tests need Helm and its companions, which `tests/cluster/parts/build` makes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.charts.chart import PROGRAMS
from tests.charts.kinds import OTHERS, define
from tests.support.api_server import ApiServer


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.cluster)


@pytest.fixture(autouse=True, scope="session")
def programs() -> None:
    """Fail with advice if they are missing."""
    if not (PROGRAMS / "helm4").exists():
        pytest.fail(f"no Helm in {PROGRAMS}: run tests/cluster/parts/build", pytrace=False)


@pytest.fixture(scope="session")
def server(programs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """Yield an API server that knows every kind that the charts render."""
    if not OTHERS.is_dir():
        pytest.fail(f"no {OTHERS}: run tests/cluster/parts/build crds", pytrace=False)
    with ApiServer(tmp_path_factory.mktemp("api-server")).running() as started:
        define(started)
        yield started
