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
from node import components, layout
from order_flow import AlpacaBot, Bot, CcxtBot, Ledger, OrderFlow
from venue import PAIR, SYMBOL, InstalledVenue

FAULTS = int(os.environ.get("OPENVENUE_FAULTS", "2"))
# Low enough for the budget to bind.
SETTINGS = (
    "database.bundled.maxConnections=40",
    "venue.api.replicas.min=2",
    "api.start.dbPoolSize=3",
    "api.start.dbPoolOverflow=2",
    "api.shutdown.noticeSeconds=3",
    "api.shutdown.drainSeconds=3",
)


class Market:
    """A venue, and those who trade on it through all of this module's tests."""

    def __init__(self, venue: InstalledVenue) -> None:
        self.venue = venue
        self.ledgers = [Ledger(venue.open_account(number)) for number in (1, 2, 3)]
        self._bot_keys = [venue.open_account(number) for number in (11, 12)]
        self.bots: list[Bot] = []

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
            yield flow
            flow.wait_for_orders(20, timeout_s=120)
        print(f"{flow.summary()}, longest outage {flow.longest_outage_s():.2f} s")
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
def test_a_rollout_of_the_api_fails_no_request(market: Market, values: tuple[str, ...]) -> None:
    for _ in range(FAULTS // 2 or 1):
        with market.trading() as flow:
            market.venue.install(4, *SETTINGS, *values)
            flow.wait_for_orders(20)
            market.venue.install(4, *SETTINGS)
        assert flow.failures == []


def test_helm_upgrades_and_rollbacks_fail_no_request(market: Market) -> None:
    with market.trading() as flow:
        for _ in range(FAULTS):
            market.venue.install(4, *SETTINGS, "api.podAnnotations.changed=again")
            market.venue.namespace.helm(4, "rollback", "demo", "--wait", "--timeout=4m")
    assert flow.failures == []


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
    pod = market.venue.ready_pods(component)[0]["metadata"]["name"]
    market.venue.namespace.kubectl("delete", "pod", pod, "--grace-period=0", "--force")
