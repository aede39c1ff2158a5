"""Measure the venue: `make bench`, or `python -m bench --help`.

Each figure and its comparison are measured in one run, because machines differ and are shared:
alternating runs, reported as medians. Prints tables; --json writes every single run.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from bench.load import CONNECTIONS, BenchError, Load, load
from bench.pictures import draw
from bench.servers import ROOT, Server, bare_asgi, venue
from bench.streams import SUBSCRIBERS, deliveries, order_entry_beside

ENGINE = ROOT / "build/release/engine/openvenue-engine"
DATA = Path(os.environ.get("OPENVENUE_TEST_DATA", ROOT.parent / "shared" / "data"))
WARM_UP_MAX_S = 2
BATCH = "/v2/orders:batch"
BATCH_SIZES = (1, 10, 100, 1000)
BATCH_CONNECTIONS = 8
METRICS_EXPORTED_S = 1.5
FLOWS = ("normal", "static", "swing-25")

console = Console(stderr=True)
Results = dict[str, Any]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--seconds", type=int, default=10, help="of each load (default 10)")
    parser.add_argument("--runs", type=int, default=3, help="of each measurement (default 3)")
    parser.add_argument(
        "--only",
        choices=sorted(PARTS),
        action="append",
        help="measure this part alone; may be given more than once",
    )
    parser.add_argument("--json", type=Path, help="file to write every run to")
    parser.add_argument("--pictures", type=Path, help="folder to draw pictures into (SVG)")
    arguments = parser.parse_args()

    results: Results = {}
    scratch = Path(tempfile.mkdtemp(prefix="bench-", dir=_scratch_parent()))
    try:
        for name in arguments.only or PARTS:
            results[name] = PARTS[name](scratch, arguments.seconds, arguments.runs)
    except BenchError as error:
        console.print(f"[red]{error}[/red]")
        return 1
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if arguments.pictures:
        draw(results, arguments.pictures)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n")
    return 0


def _scratch_parent() -> Path:
    """Return a directory on the project's disk: a memory file system has no fsync to measure."""
    parent = ROOT / "build"
    parent.mkdir(exist_ok=True)
    return parent


def measure_book(scratch: Path, _: int, runs: int) -> Results:
    """Measure messages a second of one book alone, fast and naive, on the conformance flows."""
    results: Results = {}
    table = _table("Book alone", "flow", "fast, msg/s", "naive, msg/s", "ratio")
    for flow in FLOWS:
        rates: dict[str, list[float]] = {"fast": [], "naive": []}
        for _run in range(runs):
            for book, seen in rates.items():
                seen.append(_book_rate(flow, book, scratch))
        fast, naive = (statistics.median(rates[book]) for book in ("fast", "naive"))
        table.add_row(flow, f"{fast:,.0f}", f"{naive:,.0f}", f"{fast / naive:.1f}")
        results[flow] = rates
    Console().print(table)
    return results


def _book_rate(flow: str, book: str, scratch: Path) -> float:
    command = [*_bench_book(flow, book, scratch), "--repeat", "20"]
    return float(_json_of(command)["messages_per_second"])


def _bench_book(flow: str, book: str, scratch: Path) -> list[str]:
    if not (DATA / "conformance").exists():
        raise BenchError(f"no flows at {DATA / 'conformance'}: set OPENVENUE_TEST_DATA")
    command = [str(ENGINE), "bench-book", "--book", book, "--json"]
    command += ["--messages", str(DATA / "conformance" / f"{flow}.messages.csv.gz")]
    return [*command, "--reports", str(scratch / "reports.csv")]


def measure_instructions(scratch: Path, _: int, __: int) -> Results:
    """Count instructions per message by callgrind: they are the same on every machine and run."""
    if shutil.which("valgrind") is None:
        raise BenchError("valgrind is missing: run scripts/install-packages")
    results: Results = {}
    table = _table("Instructions a message", "flow", "fast", "naive")
    for flow in FLOWS:
        results[flow] = {
            book: _instructions_per_message(flow, book, scratch) for book in ("fast", "naive")
        }
        table.add_row(flow, *(f"{count:,.0f}" for count in results[flow].values()))
    Console().print(table)
    return results


def _instructions_per_message(flow: str, book: str, scratch: Path) -> float:
    """Return the difference between one pass and three, without reading and start-up."""
    totals = []
    for passes in (1, 3):
        profile = scratch / "callgrind.out"
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={profile}"]
        command += [*_bench_book(flow, book, scratch), "--repeat", str(passes)]
        messages = int(_json_of(command)["messages"])
        summary = next(line for line in profile.read_text().splitlines() if "totals:" in line)
        totals.append(int(summary.split()[1]))
    return (totals[1] - totals[0]) / (2 * messages)


def measure_growth(_: Path, __: int, runs: int) -> Results:
    """Measure a message's time by the number of resting orders, fast and naive."""
    seen: dict[str, dict[str, list[float]]] = {"fast": {}, "naive": {}}
    for _run in range(runs):
        for row in _json_of([str(ENGINE), "bench-book", "--growth", "--json"]):
            times = seen[row["book"]].setdefault(str(row["resting_orders"]), [])
            times.append(row["ns_per_message"])
    table = _table("A message's time", "resting orders", "fast, ns", "naive, ns")
    for orders in seen["fast"]:
        medians = [f"{statistics.median(seen[book][orders]):,.0f}" for book in ("fast", "naive")]
        table.add_row(f"{int(orders):,}", *medians)
    Console().print(table)
    return dict(seen)


def measure_exchange(_: Path, seconds: int, runs: int) -> Results:
    """Measure the state machine without journal: closed loop, and open loop at half of it."""
    results: Results = {}
    table = _table("State machine", "load", "commands/s", "p50 ns", "p99 ns", "p99.9 ns")

    def measure(load: str, *options: str) -> float:
        command = [str(ENGINE), "bench-exchange", "--json", "--repeat", str(runs), *options]
        row = results[load] = _json_of([*command, "--commands", str(seconds * 200_000)])
        names = ("commands_per_second", "p50_ns", "p99_ns", "p999_ns")
        table.add_row(load, *(f"{row[name]:,.0f}" for name in names))
        return float(row["commands_per_second"])

    most = measure("1 instrument")
    measure("1 instrument, half of that", "--rate", str(most / 2))
    measure("1,000 instruments", "--instruments", "1000")
    measure("1 instrument, 1,000,000 resting", "--resting", "1000000")
    Console().print(table)
    return results


def measure_engine(scratch: Path, seconds: int, runs: int) -> Results:
    """Measure durable commands through gRPC, and an empty echo server."""
    command = [str(ENGINE), "bench-rpc", "--json", "--seconds", str(seconds)]
    command += ["--data-parent", str(scratch)]
    seen = [_json_of(command) for _run in range(runs)]
    table = _table(
        "Engine through gRPC", "server, load", "answered/s", "p50 µs", "p99 µs", "p99.9 µs"
    )
    for rows in zip(*(run["runs"] for run in seen), strict=True):
        medians = [
            f"{statistics.median(row[name] for row in rows):,.0f}"
            for name in ("answered_per_s", "p50_us", "p99_us", "p99_9_us")
        ]
        table.add_row(f"{rows[0]['server']}, {rows[0]['load']}", *medians)
    Console().print(table)
    return {"runs": seen}


def measure_rest(scratch: Path, seconds: int, runs: int) -> Results:
    """Measure POST /v2/orders, durable, a bare ASGI app, and one unary call per order."""
    return {
        f"{workers} workers": _measure_http(
            f"POST /v2/orders, {workers} worker{'s' if workers > 1 else ''}, durable",
            "order_flow.lua",
            "/v2/orders",
            {
                "bare ASGI": partial(bare_asgi, workers),
                "venue": partial(venue, scratch / f"session-{workers}", workers),
                "venue, unary": partial(
                    venue,
                    scratch / f"unary-{workers}",
                    workers,
                    OPENVENUE_ENGINE_TRANSPORT="unary",
                ),
            },
            scratch,
            seconds,
            runs,
        )
        for workers in (1, 2)
    }


def measure_batches(scratch: Path, seconds: int, runs: int) -> Results:
    """Measure durable orders a second by the number of orders in a request, two workers.

    Beside them, the requests a second of a bare ASGI app, which says what the machine does then. A
    worker's processor time for an order also depends on the machine's other load, but less.
    """
    stand_in_keys = scratch / "stand-in-keys.txt"
    stand_in_keys.write_text("key-a secret-a\nkey-b secret-b\n")
    seen: dict[str, list[dict[str, float]]] = {}
    for run in range(runs):
        console.print(f"[dim]batches, run {run + 1} of {runs}[/dim]")
        with bare_asgi(2) as server:
            arguments = (CONNECTIONS[0], seconds, str(stand_in_keys))
            bare = load(server.url + "/v2/orders", "order_flow.lua", *arguments)
            figures = {
                "orders_per_s": bare.per_second,
                "worker_us_per_order": 0.0,
                "p50_ms": bare.p50_ms,
                "p99_ms": bare.p99_ms,
                "failures": bare.failures,
            }
            seen.setdefault("bare ASGI, 1", []).append(figures)
        with venue(scratch / f"batches-{run}", 2) as server:
            _load_orders(server, BATCH_SIZES[-1], min(seconds, WARM_UP_MAX_S))
            for size in BATCH_SIZES:
                seen.setdefault(f"venue, {size:,}", []).append(_load_orders(server, size, seconds))
    table = _table(
        "Orders by their number in a request, 2 workers, durable",
        *("server, orders a request", "orders/s", "ratio", "worker, µs/order"),
        *("p50 ms", "p99 ms", "failures"),
    )
    medians = {
        name: {key: statistics.median(load[key] for load in loads) for key in loads[0]}
        for name, loads in seen.items()
    }
    for name, median in medians.items():
        table.add_row(
            name,
            f"{median['orders_per_s']:,.0f}",
            f"{median['orders_per_s'] / medians['bare ASGI, 1']['orders_per_s']:.2f}",
            *(f"{median[key]:.1f}" for key in ("worker_us_per_order", "p50_ms", "p99_ms")),
            f"{sum(load['failures'] for load in seen[name]):.0f}",
        )
    Console().print(table)
    return dict(seen)


def _load_orders(server: Server, size: int, seconds: int) -> dict[str, float]:
    """Load a venue with `size` orders a request; count those that it took by its own metrics."""
    single = size == 1
    path, script = ("/v2/orders", "order_flow.lua") if single else (BATCH, "batch_flow.lua")
    taken = 'openvenue_api_requests_total{route="POST /v2/orders",status="200"}'
    if not single:
        taken = f'openvenue_api_batch_results_total{{route="POST {BATCH}",status="200"}}'
    before = server.metrics()
    connections = CONNECTIONS[0] if single else BATCH_CONNECTIONS
    run = load(server.url + path, script, connections, seconds, str(server.keys), str(size))
    time.sleep(METRICS_EXPORTED_S)
    after = server.metrics()
    orders = after[taken] - before.get(taken, 0)
    cpu = "openvenue_api_cpu_seconds_total"
    return {
        "orders_per_s": orders / seconds,
        "worker_us_per_order": (after[cpu] - before[cpu]) / max(orders, 1) * 1e6,
        "p50_ms": run.p50_ms,
        "p99_ms": run.p99_ms,
        "failures": run.failures,
    }


def measure_health(scratch: Path, seconds: int, runs: int) -> Results:
    """Measure GET /healthz and a bare ASGI app's GET."""
    return _measure_http(
        "GET /healthz, 2 workers",
        "report.lua",
        "/healthz",
        {
            "bare ASGI": partial(bare_asgi, 2),
            "venue": partial(venue, scratch / "health", 2),
        },
        scratch,
        seconds,
        runs,
    )


def measure_streams(scratch: Path, seconds: int, runs: int) -> Results:
    """Measure one stream process with many subscribers of a busy book, and order entry beside."""
    table = _table(
        f"Streams, {SUBSCRIBERS:,} subscribers of a book",
        *("trades/s", "offered/s", "delivered/s", "p50 ms", "p99 ms", "processor", "MiB", "closed"),
    )
    rows = deliveries(scratch, seconds)
    for row in rows:
        table.add_row(
            f"{row['pairs_per_s']:.0f}",
            f"{row['offered_per_s']:,.0f}",
            f"{row['delivered_per_s']:,.0f}",
            f"{row['p50_ms']:.1f}",
            f"{row['p99_ms']:.1f}",
            f"{row['cpu_share']:.2f}",
            f"{row['memory_bytes'] / (1 << 20):.0f}",
            str(row["closed"]),
        )
    Console().print(table)
    beside = [order_entry_beside(scratch / f"run-{run}", seconds) for run in range(runs)]
    table = _table(
        "Order entry beside a stream", "orders/s alone", "beside", "ratio", "delivered/s"
    )
    for rates in beside:
        table.add_row(
            f"{rates['alone']:,.0f}",
            f"{rates['beside']:,.0f}",
            f"{rates['beside'] / rates['alone']:.2f}",
            f"{rates['delivered_per_s']:,.0f}",
        )
    Console().print(table)
    return {"deliveries": rows, "order entry": beside}


def measure_market(scratch: Path, seconds: int, runs: int) -> Results:
    """Measure processor seconds a second of a whole venue, with residents and without."""
    results: Results = {}
    table = _table("Resident traders", "venue", "processor s/s")
    for name, options in {"idle": (), "with a market": ("--market",)}.items():
        shares = []
        for run in range(runs):
            with venue(scratch / f"market-{len(options)}-{run}", 1, *options) as server:
                assert server.data_dir is not None
                time.sleep(WARM_UP_MAX_S)
                before = _processor_s(server.data_dir)
                time.sleep(seconds)
                shares.append((_processor_s(server.data_dir) - before) / seconds)
        results[name] = shares
        table.add_row(name, f"{statistics.median(shares):.3f}")
    Console().print(table)
    return results


def _processor_s(data_dir: Path) -> float:
    """Return the processor time of all processes of a venue, its database included."""
    up = int((data_dir / "up.lock").read_text())
    postmaster = int((data_dir / "postgres/postmaster.pid").read_text().split()[0])
    total_s = 0.0
    for root in (psutil.Process(up), psutil.Process(postmaster)):
        for process in (root, *root.children(recursive=True)):
            times = process.cpu_times()
            total_s += times.user + times.system
    return total_s


def _measure_http(
    title: str,
    script: str,
    path: str,
    servers: dict[str, Callable[[], AbstractContextManager[Server]]],
    scratch: Path,
    seconds: int,
    runs: int,
) -> Results:
    """Load each server in turn, `runs` times, and print medians and ratios to the first."""
    stand_in_keys = scratch / "stand-in-keys.txt"
    stand_in_keys.write_text("key-a secret-a\nkey-b secret-b\n")
    seen: dict[int, dict[str, list[Load]]] = {
        connections: {name: [] for name in servers} for connections in CONNECTIONS
    }
    for run in range(runs):
        for name, start in servers.items():
            console.print(f"[dim]{title}: {name}, run {run + 1} of {runs}[/dim]")
            with start() as server:
                keys = str(server.keys or stand_in_keys)
                warm_up_s = min(seconds, WARM_UP_MAX_S)
                load(server.url + path, script, CONNECTIONS[0], warm_up_s, keys)
                for connections, loads in seen.items():
                    loads[name].append(load(server.url + path, script, connections, seconds, keys))
    table = _table(
        title, "connections", "server", "requests/s", "ratio", "p50 ms", "p99 ms", "failures"
    )
    for connections, loads in seen.items():
        rates = {name: statistics.median(run.per_second for run in loads[name]) for name in loads}
        first = next(iter(rates.values()))
        for name, rate in rates.items():
            table.add_row(
                str(connections),
                name,
                f"{rate:,.0f}",
                f"{rate / first:.2f}",
                f"{statistics.median(run.p50_ms for run in loads[name]):.2f}",
                f"{statistics.median(run.p99_ms for run in loads[name]):.2f}",
                str(sum(run.failures for run in loads[name])),
            )
    Console().print(table)
    return {
        f"{connections} connections": {
            name: [asdict(run) for run in runs_seen] for name, runs_seen in loads.items()
        }
        for connections, loads in seen.items()
    }


def _json_of(command: list[str]) -> Any:
    if not ENGINE.exists():
        raise BenchError(f"{ENGINE} is missing: run `make engine`")
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise BenchError(f"{' '.join(command)}: {result.stderr.strip()}")
    return json.loads(result.stdout)


def _table(title: str, first: str, *numbers: str) -> Table:
    table = Table(title=title)
    table.add_column(first)
    for number in numbers:
        table.add_column(number, justify="right")
    return table


PARTS: dict[str, Callable[[Path, int, int], Results]] = {
    "book": measure_book,
    "growth": measure_growth,
    "instructions": measure_instructions,
    "exchange": measure_exchange,
    "engine": measure_engine,
    "rest": measure_rest,
    "batches": measure_batches,
    "health": measure_health,
    "streams": measure_streams,
    "market": measure_market,
}

if __name__ == "__main__":
    sys.exit(main())
