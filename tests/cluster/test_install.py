"""Helm installs the whole venue, upgrades it, rolls it back and uninstalls it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderSide, OrderStatus, TimeInForce
from alpaca.trading.models import Order
from alpaca.trading.requests import MarketOrderRequest

from tests.cluster.audit import check
from tests.cluster.cluster import TAG, Cluster, CommandFailed, Namespace, eventually
from tests.cluster.node import layout
from tests.cluster.order_flow import Key, Ledger, OrderFlow
from tests.cluster.venue import QUICK, SYMBOL, InstalledVenue

POSTGRES = """
apiVersion: v1
kind: Pod
metadata: {name: postgres, labels: {app: postgres}}
spec:
  securityContext:
    {runAsNonRoot: true, runAsUser: 999, fsGroup: 999, seccompProfile: {type: RuntimeDefault}}
  containers:
    - name: postgres
      image: docker.io/library/postgres:17
      env:
        - {name: POSTGRES_PASSWORD, value: not-the-venues}
        - {name: PGDATA, value: /var/lib/postgresql/data/pgdata}
      securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
      readinessProbe: {exec: {command: [pg_isready, -q, -h, 127.0.0.1]}, periodSeconds: 1}
      volumeMounts: [{name: data, mountPath: /var/lib/postgresql/data}]
  volumes: [{name: data, emptyDir: {}}]
---
apiVersion: v1
kind: Service
metadata: {name: postgres}
spec: {selector: {app: postgres}, ports: [{port: 5432}]}
"""
ROLE = """
CREATE ROLE venue LOGIN PASSWORD 'of-the-venue';
CREATE DATABASE venue OWNER venue;
"""


@pytest.fixture(params=[3, 4], ids=["helm3", "helm4"])
def helm(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def namespace(cluster: Cluster, helm: int) -> Iterator[Namespace]:
    with cluster.namespace(f"install-helm{helm}") as made:
        yield made


def owned_by_the_operator(venue: InstalledVenue) -> dict[str, object]:
    """Return the values that the operator has written and Helm must not change."""
    tuning = venue.namespace.get("configmap", f"{venue.name}-api-tuning")
    deployment = venue.namespace.get("deployment", f"{venue.name}-api")
    return {"replicas": deployment["spec"]["replicas"], "tuning": tuning["data"]}


def test_from_nothing_to_orders_through_the_ingress_and_away_again(
    namespace: Namespace, helm: int
) -> None:
    venue = InstalledVenue(namespace, "demo", TAG)
    venue.install_operator(helm)
    # On a busy machine the operator would else enlarge pools meanwhile.
    pools = ("dbPoolSize.min=5", "dbPoolSize.max=5")
    bounds = ("replicas.min=2", "replicas.max=2", "logLevel=INFO", *pools)
    kept = (*QUICK, *(f"venue.api.{bound}" for bound in bounds))
    venue.install(helm, *kept, atomic=True)
    namespace.helm(helm, "test", "demo")

    venue.define_instruments()
    keys = [venue.open_account(number) for number in (1, 2)]
    ledgers = [Ledger(key) for key in keys]
    assert TradingClient(keys[0].key_id, keys[0].secret, url_override=venue.url).get_account()
    eventually("tuned", venue.is_tuned, timeout_s=120)
    tuned = owned_by_the_operator(venue)
    assert tuned["replicas"] == 2
    with OrderFlow(venue.url, ledgers, SYMBOL) as flow:
        flow.wait_for_orders(50)
        # Change settings and change them back while clients trade.
        for changed in (
            "api.start.workers=2",
            "networkPolicy.enabled=false",
            "projector.logLevel=INFO",
        ):
            venue.install(helm, *kept, changed)
            flow.wait_for_orders(50)
        with pytest.raises(CommandFailed):
            venue.install(helm, *kept, "image.api.tag=nowhere", atomic=True, timeout_s=30)
        flow.wait_for_orders(50)
        namespace.helm(helm, "rollback", "demo", "1", "--wait", "--timeout=3m")
        flow.wait_for_orders(50)
    assert flow.failures == []
    assert owned_by_the_operator(venue) == tuned
    engine, database = venue.engine_target(), venue.database_url()
    assert check(flow.ledgers, [], [], engine_target=engine, database_url=database) > 250
    role = "SELECT rolsuper, rolcreaterole, rolcreatedb FROM pg_roles WHERE rolname = current_user"
    psql = ("psql", "-U", "openvenue", "-d", "openvenue", "-Atc", role)
    database_pod = f"{venue.name}-database-0"
    assert namespace.kubectl("exec", database_pod, "--", *psql).strip() == "f|f|f"
    namespace.helm(helm, "uninstall", "demo", "--wait", "--timeout=3m")
    namespace.helm(helm, "uninstall", "openvenue-operator", "--wait", "--timeout=3m")
    kinds = "deployments,statefulsets,jobs,pods"
    # Helm 3 does not wait for the pods.
    eventually("nothing runs", lambda: not namespace.kubectl("get", kinds, "-o", "name"))


def test_a_venue_trades_on_a_database_that_is_there_and_through_a_gateway(
    cluster: Cluster,
) -> None:
    if cluster.kubeconfig != Path(layout.KUBECONFIG):
        pytest.skip("which Gateway a cluster that is given has is not known")
    with cluster.namespace("external-database") as namespace:
        namespace.kubectl("apply", "-f", "-", stdin=POSTGRES)
        namespace.wait_for("condition=Ready", "pod/postgres")
        psql = ("psql", "-U", "postgres", "-v", "ON_ERROR_STOP=1")
        namespace.kubectl("exec", "-i", "postgres", "--", *psql, stdin=ROLE)
        url = "postgresql://venue:of-the-venue@{}:5432/venue"
        secret = ("secret", "generic", "dsn", f"--from-literal=dsn={url.format('postgres')}")
        namespace.kubectl("create", *secret)
        venue = InstalledVenue(namespace, "demo", TAG)
        venue.install_operator(4)
        values = (
            "database.mode=external",
            "database.external.secretName=dsn",
            "database.external.secretKey=dsn",
            "ingress.enabled=false",
            "gateway.enabled=true",
            "gateway.parentRefs[0].name=traefik",
            "gateway.parentRefs[0].namespace=ingress",
            "podMonitor.enabled=true",
        )
        venue.install(4, *values)
        venue.define_instruments()
        ledgers = [Ledger(venue.open_account(number)) for number in (1, 2)]
        eventually("the route is taken", venue.ready, timeout_s=60)
        with OrderFlow(venue.url, ledgers, SYMBOL) as flow:
            flow.wait_for_orders(50)
        assert flow.failures == []
        engine, pod = venue.engine_target(), namespace.get("pod", "postgres")
        database = url.format(pod["status"]["podIP"])
        assert check(ledgers, [], [], engine_target=engine, database_url=database) > 50

        venue.install(4, *values, "market.enabled=true")
        eventually("a newcomer's order is filled", lambda: _fills(venue, ledgers[0].key))


def _fills(venue: InstalledVenue, key: Key) -> bool:
    """True if somebody sells a share that the residents alone trade."""
    client = TradingClient(key.key_id, key.secret, url_override=venue.url)
    order = client.submit_order(
        MarketOrderRequest(symbol="MSFT", qty=1, side=OrderSide.BUY, time_in_force=TimeInForce.DAY)
    )
    assert isinstance(order, Order)
    found = client.get_order_by_id(order.id)
    return isinstance(found, Order) and found.status == OrderStatus.FILLED
