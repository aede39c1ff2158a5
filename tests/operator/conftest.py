"""Fixtures of the operator's tests: a real API server with the operator's chart in it."""

import itertools
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from lightkube import AsyncClient
from lightkube.config.kubeconfig import KubeConfig
from openvenue_operator.cluster import connect

from tests.operator.installed_operator import (
    OPERATOR,
    OPERATOR_NAMESPACE,
    OTHERS,
    SECOND_OPERATOR,
    render_chart,
)
from tests.support.api_server import ApiServer, missing_programs


@pytest.fixture(scope="session")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """Return the API server that the tests share; each test uses its own namespace."""
    if (problem := missing_programs()) is not None:
        pytest.skip(problem)
    users = (OPERATOR, SECOND_OPERATOR, OTHERS)
    with ApiServer(tmp_path_factory.mktemp("api-server"), users).running() as server:
        server.kubectl("create", "namespace", OPERATOR_NAMESPACE)
        server.kubectl("apply", "-f", "-", stdin=render_chart())
        server.kubectl("wait", "--for=condition=Established", "crd/venues.openvenue.dev")
        yield server


@pytest.fixture
def new_namespace(api_server: ApiServer) -> Callable[..., str]:
    """Return a function that makes a namespace with the chart's Roles; it takes options."""

    def make(*options: str) -> str:
        name = f"venues-{next(_NUMBERS)}"
        api_server.kubectl("create", "namespace", name)
        watched = ("--set", f"watch.namespaces={{{name}}}")
        objects = render_chart(*watched, *options, "-s", "templates/rbac.yaml")
        api_server.kubectl("apply", "-f", "-", stdin=objects)
        return name

    return make


@pytest.fixture
def namespace(new_namespace: Callable[..., str]) -> str:
    """Return a namespace of the test's own."""
    return new_namespace()


@pytest.fixture
async def admin(api_server: ApiServer) -> AsyncIterator[AsyncClient]:
    """Yield a client with all rights."""
    async with AsyncClient(KubeConfig.from_file(api_server.kubeconfig()).get()) as client:
        yield client


@pytest.fixture
async def client(api_server: ApiServer) -> AsyncIterator[AsyncClient]:
    """Yield a client with the operator's rights."""
    async with connect(KubeConfig.from_file(api_server.kubeconfig(OPERATOR)).get()) as client:
        yield client


_NUMBERS = itertools.count(1)
