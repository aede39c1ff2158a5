"""Whatever is done to a venue while it trades, no order is lost, doubled, invented or denied.

Several accounts, alpaca-py and ccxt trade through the ingress all the time. OPENVENUE_FAULTS says
how often each fault happens: 2, unless it is set.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from audit import check
from cluster import NEXT_TAG, TAG, Cluster, eventually
from connections import ConnectionWatch
from node import components, layout
from order_flow import AlpacaBot, Bot, CcxtBot, Ledger, OrderFlow
from venue import PAIR, SYMBOL, InstalledVenue

FAULTS = int(os.environ.get("OPENVENUE_FAULTS", "2"))
# Low enough for the budget to bind; the server keeps 3 for superusers, the Venue 3 as headroom.
MAX_CONNECTIONS = 40
BUDGET = MAX_CONNECTIONS - 3 - 3
SETTINGS = (
    f"database.bundled.maxConnections={MAX_CONNECTIONS}",
    "venue.api.replicas.min=2",
    "api.start.dbPoolSize=3",
    "api.start.dbPoolOverflow=2",
    "api.shutdown.noticeSeconds=3",
    "api.shutdown.drainSeconds=3",
    "api.engineReplyTimeoutSeconds=3",
)


class Market:
    """A venue, and those who trade on it through all of this module's tests."""

    def __init__(self, venue: InstalledVenue) -> None:
        self.venue = venue
        self.ledgers = [Ledger(venue.open_account(number)) for number in (1, 2, 3)]
        self._bot_keys = [venue.open_account(number) for number in (11, 12)]
        self.bots: list[Bot] = []

    def pods(self) -> dict[str, int]:
        """Identities of the API's pods, and how often their containers were restarted."""
        return {
            pod["metadata"]["uid"]: pod["status"]["containerStatuses"][0]["restartCount"]
            for pod in self.venue.ready_pods("api")
        }

    @contextmanager
    def trading(self) -> Iterator[OrderFlow]:
        """Everyone trades meanwhile; afterwards, journal and database hold what they were told."""
        alpaca, pair = self._bot_keys
        bots: list[Bot] = [
            AlpacaBot(self.venue.url, alpaca, SYMBOL),
            CcxtBot(self.venue.url, pair, PAIR),
        ]
        self.bots += bots
        with ExitStack() as stack:
            flow = stack.enter_context(OrderFlow(self.venue.url, self.ledgers, SYMBOL))
            for bot in bots:
                stack.enter_context(bot)
            flow.wait_for_orders(20)
            watch = stack.enter_context(ConnectionWatch(self.venue.database_url))
            eventually("connections are counted", lambda: watch.readings)
            yield flow
            flow.wait_for_orders(20, timeout_s=120)
        print(
            f"{flow.summary()}, longest outage {flow.longest_outage_s():.2f} s, "
            f"{watch.most} connections at most in {watch.readings} readings"
        )
        assert 0 < watch.most <= BUDGET
        check(
            self.ledgers,
            self.bots,
            engine_target=self.venue.engine_target(),
            database_url=self.venue.database_url(),
        )


@pytest.fixture(scope="module")
def market(cluster: Cluster) -> Iterator[Market]:
    with cluster.namespace("under-fire") as namespace:
        venue = InstalledVenue(namespace, "demo", TAG)
        venue.install_operator(4)
        venue.install(4, *SETTINGS)
        eventually("two pods serve", lambda: len(venue.ready_pods("api")) == 2, timeout_s=120)
        venue.define_instruments()
        yield Market(venue)


@pytest.mark.parametrize(
    "values", [(f"image.api.tag={NEXT_TAG}",), ("api.podAnnotations.changed=yes",)]
)
def test_upgrades_and_rollbacks_of_the_api_fail_no_request(
    market: Market, values: tuple[str, ...]
) -> None:
    with market.trading() as flow:
        for _ in range(max(1, FAULTS // 2)):
            market.venue.install(4, *SETTINGS, *values)
            flow.wait_for_orders(20)
            market.venue.namespace.helm(4, "rollback", "demo", "--wait", "--timeout=4m")
            flow.wait_for_orders(20)
    assert flow.failures == []


def test_tuning_fails_no_request_and_restarts_no_pod(market: Market) -> None:
    before = market.pods()
    with market.trading() as flow:
        for _ in range(max(1, FAULTS // 2)):
            for bounds in (
                {"workersPerPod": {"min": 2, "max": 2}},
                {"dbPoolSize": {"min": 2, "max": 2}, "dbPoolOverflow": {"min": 1, "max": 1}},
                {"grpcChannels": {"min": 2, "max": 2}, "logLevel": "INFO"},
                {
                    "workersPerPod": {"min": 1, "max": 1},
                    "dbPoolSize": {"min": 5, "max": 5},
                    "grpcChannels": {"min": 1, "max": 1},
                    "logLevel": "WARNING",
                },
            ):
                began = time.monotonic()
                market.venue.change_bounds(**bounds)
                eventually("tuned", market.venue.is_tuned, timeout_s=120)
                print(f"{bounds}: {time.monotonic() - began:.1f} s")
                flow.wait_for_orders(20)
    assert flow.failures == []
    assert market.pods() == before


def test_the_operator_may_be_killed(market: Market) -> None:
    with market.trading() as flow:
        for _ in range(FAULTS):
            _kill(market, "operator")
    assert flow.failures == []


def test_pods_of_the_api_may_be_killed(market: Market) -> None:
    with market.trading() as flow:
        for _ in range(FAULTS):
            _kill(market, "api")
            eventually(
                "two pods serve", lambda: len(market.venue.ready_pods("api")) == 2, timeout_s=120
            )
            flow.wait_for_orders(20)


def test_the_engine_may_be_deleted(market: Market) -> None:
    with market.trading() as flow:
        for _ in range(FAULTS):
            market.venue.namespace.kubectl("delete", "pod", f"{market.venue.name}-engine-0")
            flow.wait_for_orders(20, timeout_s=120)
    dishonest = [a for a in flow.failures if a.status != 503 or a.retry_after is None]
    assert dishonest == []
    print(f"without the engine: {flow.longest_outage_s():.2f} s")


def test_the_database_may_be_deleted(market: Market) -> None:
    with market.trading() as flow:
        for _ in range(FAULTS):
            market.venue.namespace.kubectl("delete", "pod", f"{market.venue.name}-database-0")
            market.venue.namespace.wait_for(
                "condition=Ready", f"pod/{market.venue.name}-database-0"
            )
            flow.wait_for_orders(20)
    # Orders do not need the database: the keys are known.
    assert flow.failures == []


def test_the_kubelet_may_be_restarted(market: Market, cluster: Cluster) -> None:
    if cluster.kubeconfig != Path(layout.KUBECONFIG):
        pytest.skip("the cluster is not the tests' own")
    with market.trading() as flow:
        for _ in range(FAULTS):
            components.stop(components.KUBELET, signal.SIGKILL)
            time.sleep(1)
            components.start(components.KUBELET)
            components.wait_until_healthy(components.KUBELET)
    assert flow.failures == []


def _kill(market: Market, component: str) -> None:
    """End a pod at once, without asking it."""
    eventually(f"{component} is ready", lambda: market.venue.ready_pods(component))
    pod = market.venue.ready_pods(component)[0]["metadata"]["name"]
    market.venue.namespace.kubectl("delete", "pod", pod, "--grace-period=0", "--force")
