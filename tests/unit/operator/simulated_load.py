"""Clients of a simulated venue: the load that its pods report, by queueing theory.

A worker is one processor for which orders queue (M/M/1), and its pool a number of connections for
which queries queue (M/M/k).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from openvenue_operator.model import Plan, PodLoad

from tests.unit.operator.simulated_cluster import FASTER, QUIET, SimulatedCluster

HOPELESS_MS = 5000.0
"""Clients give up after this time."""
TICK_S = 2.0


@dataclass(frozen=True)
class Clients:
    """Cost of an order."""

    order_cpu_s: float = 0.002
    query_s: float = 0.004
    queries_per_order: float = 0.5

    def load_of(self, orders_per_s: float, pods: int, workers: int, pool: int) -> PodLoad:
        """Return the load of one of `pods`, each with this many workers and such a pool."""
        of_worker = orders_per_s / (pods * workers)
        busy = of_worker * self.order_cpu_s
        served = of_worker * min(1.0, 1 / busy) if busy else 0.0
        # The time in an M/M/1 system is exponentially distributed; ln 100 = 4.6.
        p99_ms = HOPELESS_MS
        if busy < 1:
            p99_ms = min(HOPELESS_MS, 1e3 * math.log(100) * self.order_cpu_s / (1 - busy))
        return PodLoad(
            seconds=10,
            orders_per_s=served * workers,
            requests_per_s=served * workers,
            cpu_cores=min(1.0, busy) * workers,
            event_loop_lag_ms=min(HOPELESS_MS, p99_ms * min(1.0, busy)),
            pool_wait_ms=self._pool_wait_ms(served, pool),
            p99_ms=p99_ms,
            in_flight=min(4096.0, of_worker * p99_ms / 1e3) * workers,
        )

    def in_use(self, orders_per_s: float, workers: int) -> float:
        """Return a worker's connections in use, by Little's law."""
        of_worker = min(orders_per_s / workers, 1 / self.order_cpu_s)
        return of_worker * self.queries_per_order * self.query_s

    def _pool_wait_ms(self, orders_per_s: float, pool: int) -> float:
        """Return the 99th percentile by Erlang's C; one connection listens and serves no query."""
        servers = pool - 1
        offered = orders_per_s * self.queries_per_order * self.query_s
        if offered >= servers:
            return HOPELESS_MS
        terms = [offered**number / math.factorial(number) for number in range(servers)]
        last = offered**servers / math.factorial(servers) * servers / (servers - offered)
        waits = last / (sum(terms) + last)
        if waits <= 0.01:
            return 0.0
        return min(HOPELESS_MS, 1e3 * math.log(waits / 0.01) * self.query_s / (servers - offered))


def trade(
    cluster: SimulatedCluster,
    seconds: float,
    orders_per_s: float | Callable[[float], float],
    clients: Clients = Clients(),
) -> Plan:
    """Let clients send this many orders, by the cluster's time, while the operator reconciles.

    Under a load that never changes, time passes faster while nothing happens.
    """
    until, quiet = cluster.now + seconds, 0
    while cluster.now < until:
        before = cluster.fingerprint()
        faster = quiet >= QUIET and not callable(orders_per_s)
        cluster.pass_time(min(TICK_S * (FASTER if faster else 1), until - cluster.now))
        cluster.become_ready(0)
        cluster.read_file(0)
        serving = [pod for pod in cluster.pods if pod.ready_at is not None and not pod.stops_at]
        if serving:
            running = serving[0].running
            rate = orders_per_s(cluster.now) if callable(orders_per_s) else orders_per_s
            pool = running.db_pool_size + running.db_pool_overflow
            cluster.load = clients.load_of(rate, len(serving), running.workers, pool)
            of_worker = clients.in_use(rate, len(serving) * running.workers)
            cluster.db_in_use = math.ceil(of_worker * running.workers)
        planned = cluster.reconcile()
        quiet = quiet + 1 if cluster.fingerprint() == before else 0
    return planned
