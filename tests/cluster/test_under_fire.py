"""Whatever happens to a venue while it trades, no order is lost, doubled, invented or denied.

Several accounts, alpaca-py, ccxt and `openvenue replay` trade through the ingress all the time, and
readers of streams get every update of their orders once.
OPENVENUE_FAULTS says how often each fault happens: 2 by default.
"""

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.audit import check
from tests.cluster.cluster import NEXT_TAG, TAG, Cluster, eventually
from tests.cluster.connections import ConnectionWatch
from tests.cluster.node import components, layout
from tests.cluster.order_flow import AlpacaBot, Answer, Bot, CcxtBot, Ledger, OrderFlow, Replay
from tests.cluster.stream_reader import StreamReader
from tests.cluster.venue import PAIR, QUICK, SYMBOL, InstalledVenue

FAULTS = int(os.environ.get("OPENVENUE_FAULTS", "2"))
# Low enough for the budget to bind; the server keeps 3 for superusers, the Venue 3 as headroom.
MAX_CONNECTIONS = 37
BUDGET = MAX_CONNECTIONS - 3 - 3
# An idle machine restores the engine's pod in five seconds; a busy one takes three times as long.
OUTAGE_MAX_S = 60
START_POOL = 5
TWO_WORKERS = {
    "workersPerPod": {"min": 2, "max": 2},
    "dbPoolSize": {"min": 2, "max": 5},
    "dbPoolOverflow": {"min": 0, "max": 2},
}
SETTINGS = (
    f"database.bundled.maxConnections={MAX_CONNECTIONS}",
    "venue.api.replicas.min=2",
    f"api.start.dbPoolSize={START_POOL - 2}",
    "api.start.dbPoolOverflow=2",
    *QUICK,
)


def _is_of_traefik(failure: Answer) -> bool:
    """True if Traefik answered for a pod whose connection broke within its answer; the API's own
    500 would be a document."""
    return failure.status == 500 and failure.body == "Internal Server Error"


class Trading:
    """All clients' trade during one test, and its answers."""

    def __init__(self, flow: OrderFlow, bots: list[Bot], replay: Replay) -> None:
        self.flow = flow
        self._bots = bots
        self._replay = replay

    def goes_on(self, timeout_s: float = 60) -> None:
        """Wait until orders are taken."""
        self.flow.wait_for_orders(20, timeout_s)

    @property
    def failures(self) -> list[Answer]:
        """Return the failures of all clients."""
        return [*self.flow.failures, *(failure for bot in self._bots for failure in bot.failures)]

    def dishonest(self, *unanswered: int | None) -> list[Answer]:
        """Return failures that neither say when to come back nor have one of the given statuses."""
        of_bots = [failure for bot in self._bots for failure in bot.failures]
        return [
            failure
            for failure in (*self.flow.failures, *of_bots)
            if failure.status not in unanswered
            # The libraries' errors do not have the whole answer.
            and not (failure.status == 503 if failure in of_bots else failure.honest)
        ]

    def failed_no_request(self) -> None:
        """Fail if any client noticed anything. Call it when the trade is over."""
        assert self.failures == []
        assert self._replay.result["retries"] == 0

    def replayed_as_foretold(self) -> None:
        """Fail unless every order met the expected one, and the book agrees with the answers."""
        result = self._replay.result
        assert result["refused"] == {}
        assert result["price_time_priority"]["broken"] == 0
        assert result["price_time_priority"]["not_judged"] == 0
        assert result["venue_book"]["equal_to_reports"] == result["venue_book"]["read"]
        assert result["price_time_priority"]["kept"] > 0


class Market:
    """A venue, and the clients that trade on it through all of this module's tests."""

    def __init__(self, venue: InstalledVenue, scratch: Path) -> None:
        self.venue = venue
        self.ledgers = [Ledger(venue.open_account(number)) for number in (1, 2, 3)]
        self._bot_keys = [venue.open_account(number) for number in (11, 12)]
        self._replay_keys = [venue.open_account(number) for number in (21, 22)]
        self._scratch = scratch
        self.bots: list[Bot] = []
        self.replays: list[Replay] = []

    def pods(self) -> dict[str, int]:
        """Return the API pods' identities, and the restarts of their containers."""
        return {
            pod["metadata"]["uid"]: pod["status"]["containerStatuses"][0]["restartCount"]
            for pod in self.venue.ready_pods("api")
        }

    @contextmanager
    def trading(self) -> Iterator[Trading]:
        """Let all clients trade; then compare journal, database and streams with their answers."""
        with ExitStack() as stack:
            readers = [StreamReader(self.venue.url, ledger.key) for ledger in self.ledgers]
            for reader in readers:
                stack.enter_context(reader)
            yield from self._trading(readers)

    def _trading(self, readers: list[StreamReader]) -> Iterator[Trading]:
        alpaca, pair = self._bot_keys
        bots: list[Bot] = [
            AlpacaBot(self.venue.url, alpaca, SYMBOL),
            CcxtBot(self.venue.url, pair, PAIR),
        ]
        self.bots += bots
        # It needs its own book: a book with orders would first be emptied, order by order.
        replayed = f"R{len(self.replays) + 1}"
        self.venue.command("instruments", "define", replayed)
        replay = Replay(self.venue.url, self._replay_keys, replayed, self._scratch)
        self.replays.append(replay)
        with ExitStack() as stack:
            flow = stack.enter_context(OrderFlow(self.venue.url, self.ledgers, SYMBOL))
            traders: list[Any] = [*bots, replay]
            for trader in traders:
                stack.enter_context(trader)
            trading = Trading(flow, bots, replay)
            trading.goes_on()
            watch = stack.enter_context(ConnectionWatch(self.venue.database_url))
            eventually("connections are counted", lambda: watch.readings)
            yield trading
            trading.goes_on(timeout_s=120)
        print(
            f"{flow.summary()}, longest outage {flow.longest_outage_s():.2f} s, "
            f"{replay.result['operations']} operations replayed, "
            f"{watch.most} connections at most in {watch.readings} readings, "
            f"{sum(len(reader.received) for reader in readers)} updates in "
            f"{sum(reader.connections for reader in readers)} connections",
            *trading.failures[:5],
            sep="\n",
        )
        assert BUDGET // 3 < watch.most <= BUDGET
        trading.replayed_as_foretold()
        check(
            self.ledgers,
            self.bots,
            self.replays,
            readers=readers,
            engine_target=self.venue.engine_target(),
            database_url=self.venue.database_url(),
        )


@pytest.fixture(scope="module")
def market(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    with cluster.namespace("under-fire") as namespace:
        venue = InstalledVenue(namespace, "demo", TAG)
        venue.install_operator(4)
        venue.install(4, *SETTINGS)
        eventually("two pods serve", lambda: len(venue.ready_pods("api")) == 2, timeout_s=120)
        venue.define_instruments()
        eventually("a stream is ready", lambda: venue.ready_pods("stream"), timeout_s=120)
        yield Market(venue, tmp_path_factory.mktemp("market"))


@pytest.mark.parametrize(
    "values", [(f"image.api.tag={NEXT_TAG}",), ("api.podAnnotations.changed=yes",)]
)
def test_upgrades_and_rollbacks_of_the_api_fail_no_request(
    market: Market, values: tuple[str, ...]
) -> None:
    with market.trading() as trading:
        for _ in range(max(1, FAULTS // 4)):
            market.venue.install(4, *SETTINGS, *values)
            trading.goes_on()
            market.venue.namespace.helm(4, "rollback", "demo", "--wait", "--timeout=4m")
            trading.goes_on()
    trading.failed_no_request()


def test_an_autoscaler_has_the_replicas_and_the_operator_the_budget(market: Market) -> None:
    """An autoscaler without metrics still keeps to its bounds, so the test moves it by these."""
    namespace = market.venue.namespace
    bounds = ("api.autoscaling.minReplicas=2", "api.autoscaling.maxReplicas=2")
    with market.trading() as trading:
        market.venue.install(4, *SETTINGS, "api.autoscaling.enabled=true", *bounds)
        for _ in range(max(1, FAULTS // 4)):
            for pods in (3, 2):
                patch = json.dumps({"spec": {"minReplicas": pods, "maxReplicas": pods}})
                autoscaler = f"hpa/{market.venue.name}-api"
                namespace.kubectl("patch", autoscaler, "--type=merge", "-p", patch)
                eventually(
                    f"{pods} pods serve and are tuned",
                    lambda: len(market.pods()) == pods and market.venue.is_tuned(),  # noqa: B023
                    timeout_s=180,
                )
                trading.goes_on()
                # A third pod and a rollout of three fit only with fewer connections each.
                assert pods == 2 or market.venue.runs() < (1, START_POOL)
        market.venue.install(4, *SETTINGS)
    trading.failed_no_request()


def test_tuning_fails_no_request_and_restarts_no_pod(market: Market) -> None:
    # The clients' load must not change the number of pods in this test.
    market.venue.change_bounds(replicas={"min": 2, "max": 2})
    eventually("two pods are tuned", market.venue.is_tuned, timeout_s=180)
    before = market.pods()
    with market.trading() as trading:
        for _ in range(max(1, FAULTS // 2)):
            for bounds in (
                TWO_WORKERS,
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
                trading.goes_on()
                if bounds == TWO_WORKERS:
                    # The budget has room for fewer connections per pod than before.
                    workers, pool = market.venue.runs()
                    assert (workers, pool < START_POOL) == (2, True)
    trading.failed_no_request()
    assert market.pods() == before


def test_the_operator_may_be_killed(market: Market) -> None:
    with market.trading() as trading:
        for _ in range(FAULTS):
            _kill(market, "operator")
    trading.failed_no_request()


def test_pods_of_the_api_may_be_killed(market: Market) -> None:
    with market.trading() as trading:
        for _ in range(FAULTS):
            _kill(market, "api")
            eventually(
                "two pods serve", lambda: len(market.venue.ready_pods("api")) == 2, timeout_s=120
            )
            trading.goes_on()
    # A killed pod gives no answer, or the ingress answers for it; both leave the fate open.
    dishonest = trading.dishonest(None, 502, 504)
    assert [failure for failure in dishonest if not _is_of_traefik(failure)] == []


def test_the_streams_may_be_killed_and_rolled_out(market: Market) -> None:
    with market.trading() as trading:
        for _ in range(FAULTS):
            _kill(market, "stream")
            eventually("a stream is ready", lambda: market.venue.ready_pods("stream"))
        restart = ("rollout", "restart", f"deployment/{market.venue.name}-stream")
        market.venue.namespace.kubectl(*restart)
        status = ("rollout", "status", f"deployment/{market.venue.name}-stream", "--timeout=3m")
        market.venue.namespace.kubectl(*status)
    trading.failed_no_request()


def test_the_engine_may_be_deleted(market: Market) -> None:
    with market.trading() as trading:
        for _ in range(FAULTS):
            market.venue.namespace.kubectl("delete", "pod", f"{market.venue.name}-engine-0")
            trading.goes_on(timeout_s=120)
    assert trading.dishonest() == []
    assert trading.flow.longest_outage_s() < OUTAGE_MAX_S


def test_the_database_may_be_deleted(market: Market) -> None:
    with market.trading() as trading:
        for _ in range(FAULTS):
            market.venue.namespace.kubectl("delete", "pod", f"{market.venue.name}-database-0")
            market.venue.namespace.wait_for(
                "condition=Ready", f"pod/{market.venue.name}-database-0"
            )
            trading.goes_on()
    # Orders do not need the database, because the keys are known. The history does.
    assert [failure for failure in trading.failures if not failure.request.startswith("GET")] == []
    assert trading.dishonest() == []


def test_the_kubelet_may_be_restarted(market: Market, cluster: Cluster) -> None:
    if cluster.kubeconfig != Path(layout.KUBECONFIG):
        pytest.skip("the cluster is not the tests' own")
    with market.trading() as trading:
        for _ in range(FAULTS):
            components.stop(components.KUBELET, signal.SIGKILL)
            time.sleep(1)
            components.start(components.KUBELET)
            components.wait_until_healthy(components.KUBELET)
    trading.failed_no_request()


def test_the_namespace_goes_though_the_operator_is_dead(market: Market) -> None:
    """The last test: there is no venue afterwards."""
    namespace = market.venue.namespace
    assert namespace.get("venue", market.venue.name)
    namespace.kubectl("scale", "deployment/openvenue-operator", "--replicas=0")
    eventually("no operator is there", lambda: not namespace.pods("operator"), timeout_s=120)
    namespace.cluster.kubectl("delete", "namespace", namespace.name, "--timeout=120s")


def _kill(market: Market, component: str) -> None:
    """Kill a pod without notice."""
    eventually(f"{component} is ready", lambda: market.venue.ready_pods(component))
    pod = market.venue.ready_pods(component)[0]["metadata"]["name"]
    market.venue.namespace.kubectl("delete", "pod", pod, "--grace-period=0", "--force")
