"""Helm installs the whole venue, upgrades it, rolls it back and takes it away again."""

from collections.abc import Iterator

import pytest
from alpaca.trading.client import TradingClient
from audit import check
from cluster import TAG, Cluster, Namespace, eventually
from order_flow import Ledger, OrderFlow
from venue import SYMBOL, InstalledVenue


@pytest.fixture(params=[3, 4], ids=["helm3", "helm4"])
def helm(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def namespace(cluster: Cluster, helm: int) -> Iterator[Namespace]:
    with cluster.namespace(f"install-helm{helm}") as made:
        yield made


def test_from_nothing_to_orders_through_the_ingress_and_away_again(
    namespace: Namespace, helm: int
) -> None:
    venue = InstalledVenue(namespace, "demo", TAG)
    venue.install_operator(helm)
    venue.install(helm)
    namespace.helm(helm, "test", "demo")

    venue.define_instruments()
    keys = [venue.open_account(number) for number in (1, 2)]
    ledgers = [Ledger(key) for key in keys]
    assert TradingClient(keys[0].key_id, keys[0].secret, url_override=venue.url).get_account()
    with OrderFlow(venue.url, ledgers, SYMBOL) as flow:
        flow.wait_for_orders(50)
        # A setting changes and comes back while everyone trades.
        venue.install(helm, "api.start.workers=2")
        flow.wait_for_orders(50)
        namespace.helm(helm, "rollback", "demo", "1", "--wait", "--timeout=3m")
        flow.wait_for_orders(50)
    assert flow.failures == []
    engine, database = venue.engine_target(), venue.database_url()
    assert check(flow.ledgers, [], [], engine_target=engine, database_url=database) > 150
    role = "SELECT rolsuper, rolcreaterole, rolcreatedb FROM pg_roles WHERE rolname = current_user"
    psql = ("psql", "-U", "openvenue", "-d", "openvenue", "-Atc", role)
    database_pod = f"{venue.name}-database-0"
    assert namespace.kubectl("exec", database_pod, "--", *psql).strip() == "f|f|f"
    namespace.helm(helm, "uninstall", "demo", "--wait", "--timeout=3m")
    namespace.helm(helm, "uninstall", "openvenue-operator", "--wait", "--timeout=3m")
    kinds = "deployments,statefulsets,jobs,pods"
    # Helm 3 does not wait for the pods.
    eventually("nothing runs", lambda: not namespace.kubectl("get", kinds, "-o", "name"))
