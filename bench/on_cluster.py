"""Measure a venue on a Kubernetes node: `make bench-cluster`, with the node of `make cluster-up`.

It measures the cost of the ingress, the time of changes, the idle operator's use, and how the
operator tunes a venue that starts mis-tuned.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console

from bench.load import load
from bench.pictures import draw_tuning_run, draw_ways
from bench.servers import venue as local_venue
from tests.cluster.cluster import TAG, Cluster, Namespace, eventually
from tests.cluster.connections import ConnectionWatch
from tests.cluster.node import addons, layout
from tests.cluster.order_flow import Key
from tests.cluster.venue import InstalledVenue

NAMESPACE = "bench"
WARM_UP_S = 5
PINNED_S = 20
LOOK_EVERY = 5
CLOSED_ORDERS = 50
MAX_CONNECTIONS = 60
SYMBOL = "AMZN"
SETTINGS = (
    f"database.bundled.maxConnections={MAX_CONNECTIONS}",
    "api.start.dbPoolSize=2",
    "api.start.dbPoolOverflow=0",
    # One of each, unless a measurement changes it.
    "venue.api.replicas.max=1",
    "venue.api.workersPerPod.max=1",
    "venue.api.dbPoolOverflow.max=0",
)
# Pods, workers per pod, connections per worker.
BY_HAND = (
    *((1, 1, pool) for pool in (2, 4, 8)),
    *((1, 2, pool) for pool in (2, 4, 8)),
    *((2, 1, pool) for pool in (4, 8)),
    (2, 2, 4),
)
PARTS = ("ways", "changes", "idle-operator", "by-hand", "tuned")

console = Console(stderr=True)
Results = dict[str, Any]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.on_cluster", description=__doc__)
    parser.add_argument("--seconds", type=int, default=10, help="of each load (default 10)")
    parser.add_argument("--runs", type=int, default=3, help="of each measurement (default 3)")
    parser.add_argument(
        "--tuning-seconds", type=int, default=360, help="of the tuned run (default 360)"
    )
    parser.add_argument("--only", choices=PARTS, action="append", help="measure this part alone")
    parser.add_argument("--json", type=Path, help="file to write every figure to")
    parser.add_argument("--pictures", type=Path, help="folder to draw pictures into (SVG)")
    arguments = parser.parse_args()

    cluster = Cluster.of_node()
    subprocess.run(
        [layout.ROOT / "scripts/build-images", "--tag", TAG, "--push", layout.REGISTRY],
        check=True,
        stdout=sys.stderr,
    )
    addons.empty_released_volumes()
    results: Results = {}
    with cluster.namespace(NAMESPACE) as namespace, tempfile.TemporaryDirectory() as scratch:
        bench = Bench(namespace, Path(scratch), arguments.seconds, arguments.runs)
        measures: dict[str, Callable[[], Results]] = {
            "ways": bench.ways,
            "changes": bench.changes,
            "idle-operator": bench.idle_operator,
            "by-hand": bench.by_hand,
            "tuned": lambda: bench.tuned(arguments.tuning_seconds),
        }
        for name in arguments.only or PARTS:
            console.print(f"Measuring: {name}")
            results[name] = measures[name]()
            console.print_json(json.dumps(_without_series(results[name])))
            if arguments.json:
                arguments.json.write_text(json.dumps(results, indent=1))
    if "tuned" in results and "by-hand" in results:
        _judge(results["tuned"], results["by-hand"])
    if arguments.pictures:
        if "ways" in results:
            draw_ways(results["ways"], arguments.pictures / "cluster-ways.svg")
        if "tuned" in results and "by-hand" in results:
            drawn = arguments.pictures / "tuning-run.svg"
            draw_tuning_run(results["tuned"], results["by-hand"], drawn)
    return 0


class Bench:
    """One venue in its own namespace, and its figures."""

    def __init__(self, namespace: Namespace, scratch: Path, seconds: int, runs: int) -> None:
        self._venue = InstalledVenue(namespace, "bench", TAG)
        self._namespace = namespace
        self._scratch = scratch
        self._seconds = seconds
        self._runs = runs
        self._venue.install_operator(4)
        self._venue.install(4, *SETTINGS)
        self._venue.command("instruments", "define", SYMBOL)
        keys = [self._venue.open_account(number) for number in (1, 2, 3)]
        self._key = keys[2]
        self._keys = scratch / "keys.txt"
        self._keys.write_text("".join(f"{key.key_id} {key.secret}\n" for key in keys))
        for _ in range(CLOSED_ORDERS):
            eventually("an order is taken", partial(self._enter_order, self._key))

    # --- Measurements -----------------------------------------------------------------------------

    def ways(self) -> Results:
        """Measure orders and health checks through the ingress, to the pod, and on loopback."""
        with local_venue(self._scratch / "local", workers=1) as local:
            ways = {
                "ingress": (self._venue.url, self._keys),
                "pod": (self._pod_url(), self._keys),
                "loopback": (local.url, local.keys),
            }
            found: Results = {name: {} for name in ways}
            for connections in (1, 64):
                for _ in range(self._runs):
                    for name, (url, keys) in ways.items():
                        for what, path, script, given in (
                            ("orders", "/v2/orders", "order_flow.lua", [str(keys)]),
                            ("health", "/healthz", "report.lua", []),
                        ):
                            seen = load(url + path, script, connections, self._seconds, *given)
                            assert seen.failures == 0, f"{name}: {seen.failures} failures"
                            found[name].setdefault(f"{what} {connections}", []).append(
                                [seen.per_second, seen.p50_ms, seen.p99_ms]
                            )
            before = self._spent()
            load(
                self._venue.url + "/v2/orders", "order_flow.lua", 1, self._seconds, str(self._keys)
            )
            after = self._spent()
        found["inside"] = {
            stage: 1e3 * (after[stage][0] - before[stage][0]) / (after[stage][1] - before[stage][1])
            for stage in before
            if after[stage][1] > before[stage][1]
        }
        return found

    def changes(self) -> Results:
        """Measure the time of changes, from the request until everything runs."""
        eventually("tuned", self._venue.is_tuned, timeout_s=120)

        def bounds(**api: Any) -> Callable[[], None]:
            def change() -> None:
                self._venue.change_bounds(**api)
                eventually("tuned", self._venue.is_tuned, timeout_s=120, interval_s=0.1)

            return change

        def exactly(value: int) -> dict[str, int]:
            return {"min": value, "max": value}

        def roll_out() -> None:
            self._namespace.kubectl("rollout", "restart", self._venue.api)
            self._namespace.kubectl("rollout", "status", self._venue.api)

        def restart_engine() -> None:
            self._namespace.kubectl("delete", "pod", f"{self._venue.name}-engine-0")
            taken = partial(self._enter_order, self._key)
            eventually("an order is taken", taken, timeout_s=120, interval_s=0.05)

        steps: dict[str, Callable[[], None]] = {
            "pool larger": bounds(dbPoolSize=exactly(5)),
            "pool smaller": bounds(dbPoolSize=exactly(2)),
            "one worker more": bounds(workersPerPod=exactly(2)),
            "one worker less": bounds(workersPerPod=exactly(1)),
            "rollout of one pod": roll_out,
            "engine restart": restart_engine,
        }
        return {name: _seconds_of(step) for name, step in steps.items()}

    def idle_operator(self, seconds: int = 120) -> Results:
        """Measure what the operator uses while nothing happens."""
        time.sleep(30)
        before = self._operator_metrics()
        time.sleep(seconds)
        after = self._operator_metrics()
        hour = 3600 / seconds
        return {
            "cpu_percent": round(100 * (after["cpu"] - before["cpu"]) / seconds, 2),
            "memory_mib": round(after["memory"] / (1 << 20), 1),
            "api_calls_an_hour": round(hour * (after["calls"] - before["calls"])),
            "writes_an_hour": round(hour * (after["writes"] - before["writes"])),
        }

    def by_hand(self) -> Results:
        """Measure orders a second of the mixed load, with every setting that fits here."""
        found = {}
        for replicas, workers, pool in BY_HAND:
            self._pin(replicas, workers, pool)
            found[f"{replicas} x {workers}, pools of {pool}"] = self._orders_per_s_as_it_is()
        return found

    def tuned(self, seconds: int) -> Results:
        """Start with one worker and a pool of two, and let the operator tune under load."""
        self._pin(1, 1, 2)
        series: list[Results] = []
        watch = ConnectionWatch(self._venue.database_url)
        with watch, self._under_load(seconds):
            time.sleep(WARM_UP_S)
            began, pinned = time.monotonic(), True
            while (elapsed := time.monotonic() - began) < seconds - 2 * WARM_UP_S:
                if pinned and elapsed > PINNED_S:
                    self._venue.change_bounds(
                        replicas={"min": 1, "max": 2},
                        workersPerPod={"min": 1, "max": 2},
                        dbPoolSize={"min": 2, "max": 8},
                    )
                    pinned = False
                rate = self._orders_per_s(2)
                # Each reading costs the node's processors a tenth of a second.
                if len(series) % LOOK_EVERY == 0:
                    status = self._namespace.get("venue", self._venue.name)["status"]
                series.append(
                    {
                        "at_s": round(time.monotonic() - began, 1),
                        "orders_per_s": rate,
                        "pods": int(status["api"]["pods"].split("/")[0]),
                        "workers": status["api"]["workers"],
                        "pool": int(status["api"]["pool"].split("+")[0]),
                        "connections": watch.now,
                        "budget": _budget(status["connections"]),
                        "inputs": {
                            # "82 of 70, 3 s old"
                            name: float(said.replace(",", " ").split()[0])
                            for name, said in status["plan"].get("inputs", {}).items()
                        },
                        "next": status["plan"]["nextStep"],
                    }
                )
        # Measure the result in the same way as the settings found by hand.
        self._namespace.kubectl(
            "patch", "venue", self._venue.name, "--type=merge", "-p", '{"spec": {"mode": "Paused"}}'
        )
        return {
            "series": series,
            "setting": {name: series[-1][name] for name in ("pods", "workers", "pool")},
            "at_the_end": self._orders_per_s_as_it_is(),
            "most_connections": watch.most,
        }

    # --- Steps ------------------------------------------------------------------------------------

    def _pin(self, replicas: int, workers: int, pool: int) -> None:
        """Make the venue run exactly these settings."""
        self._venue.change_bounds(
            replicas={"min": replicas, "max": replicas},
            workersPerPod={"min": workers, "max": workers},
            dbPoolSize={"min": pool, "max": pool},
        )
        eventually("tuned", self._venue.is_tuned, timeout_s=180)

    @contextmanager
    def _under_load(self, seconds: int) -> Iterator[None]:
        """Load the pods through their Service, because the ingress would be the limit."""
        service = self._namespace.get("service", f"{self._venue.name}-api")["spec"]
        url = f"http://{service['clusterIP']}:{service['ports'][0]['port']}/v2/orders"
        with ThreadPoolExecutor() as threads:
            loading = threads.submit(load, url, "mixed_flow.lua", 64, seconds, str(self._keys))
            yield
            assert (failures := loading.result().failures) == 0, f"{failures} failures"

    def _orders_per_s_as_it_is(self) -> list[int]:
        """Return orders a second that the engine takes under the mixed load, once per run."""
        with self._under_load(WARM_UP_S + self._runs * self._seconds):
            time.sleep(WARM_UP_S)
            return [self._orders_per_s(self._seconds - 0.5) for _ in range(self._runs)]

    def _orders_per_s(self, seconds: float) -> int:
        """Return orders a second that the engine takes, over this many seconds from now."""
        began, before = time.monotonic(), self._orders()
        time.sleep(seconds)
        return round((self._orders() - before) / (time.monotonic() - began))

    def _enter_order(self, key: Key) -> bool:
        """Enter an order that meets no other and is closed at once; return True if it was taken."""
        terms = {
            "symbol": SYMBOL,
            "qty": "1",
            "side": "buy",
            "type": "limit",
            "time_in_force": "ioc",
            "limit_price": "1",
        }
        url = self._venue.url + "/v2/orders"
        return httpx.post(url, headers=key.headers, json=terms).status_code == 200

    def _pod_url(self) -> str:
        return f"http://{self._venue.address_of('api')}:8000"

    def _orders(self) -> float:
        """Return the orders that the engine has taken: one command each."""
        return self._sum(self._engine_metrics(), "openvenue_engine_durable_sequence")

    def _engine_metrics(self) -> str:
        return httpx.get(f"http://{self._venue.address_of('engine')}:7071/metrics").text

    def _spent(self) -> dict[str, tuple[float, float]]:
        """Return seconds and count of each stage of an order until now."""
        time.sleep(1.5)  # The API's figures are up to a second old.
        operations = f"http://{self._venue.address_of('api')}:8001"
        engine, api = self._engine_metrics(), httpx.get(f"{operations}/metrics").text
        found = {
            f"engine: {stage}": (
                self._sum(engine, "openvenue_engine_stage_seconds_sum", f'stage="{stage}"'),
                self._sum(engine, "openvenue_engine_stage_seconds_count", f'stage="{stage}"'),
            )
            for stage in sorted(set(re.findall(r'stage_seconds_sum{stage="(\w+)"', engine)))
        }
        route = 'route="POST /v2/orders"'
        found["api"] = (
            self._sum(api, "openvenue_api_request_seconds_sum", route),
            self._sum(api, "openvenue_api_request_seconds_count", route),
        )
        return found

    def _operator_metrics(self) -> dict[str, float]:
        text = httpx.get(f"http://{self._venue.address_of('operator')}:8080/metrics").text
        return {
            "cpu": self._sum(text, "process_cpu_seconds_total"),
            "memory": self._sum(text, "process_resident_memory_bytes"),
            "calls": self._sum(text, "openvenue_operator_api_calls_total"),
            "writes": self._sum(text, "openvenue_operator_writes_total"),
        }

    @staticmethod
    def _sum(text: str, name: str, label: str = "") -> float:
        return sum(
            float(line.rsplit(" ", 1)[1])
            for line in text.splitlines()
            if re.match(rf"{name}[ {{]", line) and label in line
        )


def _judge(tuned: Results, by_hand: Results) -> None:
    """Compare the operator's setting with the best one found by hand."""
    best = max(by_hand, key=lambda setting: statistics.median(by_hand[setting]))
    share = statistics.median(tuned["at_the_end"]) / statistics.median(by_hand[best])
    console.print(f"The operator came to {share:.0%} of the best by hand ({best})")
    most = max(one["budget"] for one in tuned["series"] if one["budget"] is not None)
    console.print(f"{tuned['most_connections']} connections at most, of a budget of {most}")


def _seconds_of(step: Callable[[], None]) -> float:
    began = time.monotonic()
    step()
    return round(time.monotonic() - began, 1)


def _budget(connections: str) -> int | None:
    """Return the second number of "18/94"; None if it is unknown."""
    budget = connections.rpartition("/")[2]
    return int(budget) if budget.isdecimal() else None


def _without_series(result: Results) -> Results:
    return {key: value for key, value in result.items() if key != "series"}


if __name__ == "__main__":
    sys.exit(main())
