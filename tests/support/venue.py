"""A real venue for tests: engine, API and projector processes, each on its own ports."""

import asyncio
import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import httpx
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.security.keys import (
    DATA_ONLY,
    NO_LIMITS,
    READ_AND_TRADE,
    READ_ONLY,
    KeyLimits,
    NewKey,
    create_key,
)
from openvenue.settings import Settings
from openvenue.vocabulary import Scope
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from tests.support import http, metrics
from tests.support.admin_access import AdminAccess
from tests.support.waiting import wait_for

Result = TypeVar("Result")

ROOT = Path(__file__).resolve().parents[2]
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0

NANOS = 1_000_000_000
INSTRUMENTS = [
    pb.DefineInstrument(
        instrument_id=1,
        symbol="AAPL",
        name="Apple Inc.",
        asset_class=pb.ASSET_CLASS_US_EQUITY,
        state=pb.INSTRUMENT_STATE_ACTIVE,
        tick_size_nanos=NANOS // 100,
        lot_size_nanos=NANOS,
        min_price_ticks=1,
        max_price_ticks=10_000_000,
        max_order_qty_lots=1_000_000,
    ),
    pb.DefineInstrument(
        instrument_id=2,
        symbol="BTC/USD",
        name="Bitcoin",
        asset_class=pb.ASSET_CLASS_CRYPTO,
        state=pb.INSTRUMENT_STATE_ACTIVE,
        tick_size_nanos=NANOS // 10,
        lot_size_nanos=NANOS // 10_000,
        min_price_ticks=1,
        max_price_ticks=10_000_000,
        max_order_qty_lots=100_000_000,
    ),
    pb.DefineInstrument(
        instrument_id=3,
        symbol="OLD",
        name="Delisted Corp.",
        asset_class=pb.ASSET_CLASS_US_EQUITY,
        state=pb.INSTRUMENT_STATE_INACTIVE,
        tick_size_nanos=NANOS // 100,
        lot_size_nanos=NANOS,
        min_price_ticks=1,
        max_price_ticks=10_000_000,
        max_order_qty_lots=1_000_000,
    ),
]


def engine_binary() -> Path:
    """Return the engine to test, or fail with the command that builds it."""
    given = os.environ.get("OPENVENUE_ENGINE_BINARY")
    binary = Path(given) if given else ROOT / "build/release/engine/openvenue-engine"
    if not binary.exists():
        raise RuntimeError(
            f"{binary} is missing; build it with: "
            "cmake --preset release && ninja -C build/release openvenue-engine"
        )
    return binary


@dataclass(frozen=True)
class Bearer:
    """A bearer token and its account."""

    account_id: int
    token: str = field(repr=False)


@dataclass
class ChildProcess:
    """A process of the venue and its log."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Signal it and return its exit status."""
        if self.running:
            self.process.send_signal(number)
            self.resume()
        return self.process.wait(STOP_TIMEOUT_S)

    def pause(self) -> None:
        """Stop it from working until `resume`.

        SIGSTOP takes effect when one of the threads handles it; the others work until then.
        """
        self.process.send_signal(signal.SIGSTOP)
        wait_for(
            lambda: all(state == "T" for state in self._thread_states()),
            STOP_TIMEOUT_S,
            every_s=0.001,
        )

    def resume(self) -> None:
        """Let it continue, if it was paused."""
        self.process.send_signal(signal.SIGCONT)  # Nothing, if it has ended.

    def _thread_states(self) -> Iterator[str]:
        for file in Path(f"/proc/{self.pid}/task").glob("*/stat"):
            with contextlib.suppress(OSError):  # a thread may end
                # After the name in parentheses, which may contain anything.
                yield file.read_text().rpartition(")")[2].split()[0]


@dataclass
class Venue:
    """One engine, API and projector on a migrated database; `stop` ends those that run."""

    directory: Path
    database_url: str
    environment: dict[str, str] = field(default_factory=dict)
    processes: dict[str, ChildProcess] = field(default_factory=dict)
    """Started processes, the outermost last."""
    engine_port: int = 0
    api_port: int = 0
    operations_port: int = 0
    stream_port: int = 0
    admin_port: int = 0
    _account_numbers: Iterator[int] = field(default_factory=lambda: itertools.count(100))

    @cached_property
    def admin(self) -> AdminAccess:
        """Access to the engine's administration."""
        return AdminAccess(self.directory)

    @property
    def engine(self) -> ChildProcess:
        return self.processes["engine"]

    @property
    def projector(self) -> ChildProcess:
        return self.processes["projector"]

    @property
    def api(self) -> ChildProcess:
        return self.processes["api"]

    @property
    def stream(self) -> ChildProcess:
        return self.processes["stream"]

    @property
    def administration(self) -> ChildProcess:
        return self.processes["administration"]

    @property
    def admin_url(self) -> str:
        return f"http://127.0.0.1:{self.admin_port}"

    @property
    def stream_url(self) -> str:
        return f"ws://127.0.0.1:{self.stream_port}"

    @property
    def shard_id(self) -> int:
        return int(self.environment.get("OPENVENUE_SHARD_ID", "0"))

    @property
    def settings(self) -> Settings:
        """Settings of the venue's processes."""
        return Settings(
            database_url=SecretStr(self.database_url),
            engine_target=f"127.0.0.1:{self.engine_port}",
            shard_id=self.shard_id,
            engine_admin_target=self.admin.target,
            engine_admin_token_file=self.admin.token_file,
            workers=1,
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.api_port}"

    @property
    def operations_url(self) -> str:
        return f"http://127.0.0.1:{self.operations_port}"

    def readiness(self) -> httpx.Response:
        """Return the API's answer to its readiness probe."""
        return http.get(f"{self.operations_url}/readyz", timeout=5)

    def metrics(self) -> str:
        """Return the metrics of all workers, at most a second old."""
        return http.get(f"{self.operations_url}/metrics", timeout=20).text

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of a metric's samples over all workers."""
        return metrics.total(self.metrics(), f"openvenue_api_{name}", **labels)

    def start(self, *, projector: bool = True, **environment: str) -> "Venue":
        """Start every process and wait until the API is ready."""
        self.start_engine()
        self.define_instruments()
        if projector:
            self.start_projector()
        self.start_api(**environment)
        return self

    def start_engine(self, metrics_listen: str = "") -> None:
        """Start the engine, on its former port if there was one."""
        if "api" in self.processes and self.api.running:
            # The last report on the former engine would count as the new one's readiness.
            wait_for(lambda: self.readiness().status_code == 503)
        port_file = self.directory / "engine.port"
        port_file.unlink(missing_ok=True)
        command = [str(engine_binary()), "serve"]
        command += ["--data-dir", str(self.directory / "journal")]
        command += ["--listen", f"127.0.0.1:{self.engine_port}", "--metrics-listen", metrics_listen]
        command += ["--port-file", str(port_file), "--segment-bytes", str(4 << 20)]
        command += ["--max-orders", "65536", *self.admin.options]
        self._spawn("engine", command, {})
        self.engine_port = self._wait_for_port(port_file, self.engine)

    def start_api(self, **environment: str) -> None:
        """Start the API with these further OPENVENUE_ settings; wait until it is ready."""
        self.spawn_api(**environment)
        self.wait_until_ready()

    def spawn_api(self, **environment: str) -> None:
        """Start the API with these further OPENVENUE_ settings; wait until it listens."""
        port_file = self.directory / "api.port"
        operations_file = self.directory / "operations.port"
        for file in (port_file, operations_file):
            file.unlink(missing_ok=True)
        extra = {
            "OPENVENUE_API_PORT": str(self.api_port),
            "OPENVENUE_OPERATIONS_PORT": str(self.operations_port),
            "OPENVENUE_OPERATIONS_PORT_FILE": str(operations_file),
            "OPENVENUE_API_PORT_FILE": str(port_file),
            "OPENVENUE_DRAIN_TIMEOUT_S": "1",
            # Each takes a second of processor time to start.
            "OPENVENUE_WORKERS": "1",
            # Many tests name unknown symbols.
            "OPENVENUE_INSTRUMENTS_ASK_INTERVAL_S": "0.05",
            **{f"OPENVENUE_{name.upper()}": value for name, value in environment.items()},
        }
        self._spawn("api", [sys.executable, "-m", "openvenue.server"], extra)
        self.api_port = self._wait_for_port(port_file, self.api)
        self.operations_port = self._wait_for_port(operations_file, self.api)

    def start_projector(self, **environment: str) -> None:
        """Start the projector with these further OPENVENUE_ settings."""
        extra = {f"OPENVENUE_{name.upper()}": value for name, value in environment.items()}
        command = [sys.executable, "-m", "openvenue.projector"]
        self._spawn("projector", command, extra)

    def start_stream(self, **environment: str) -> None:
        """Start the stream process with these further OPENVENUE_STREAM_ settings, on its former
        port if there was one; wait until it takes connections."""
        port_file = self.directory / "stream.port"
        port_file.unlink(missing_ok=True)
        extra = {
            "OPENVENUE_STREAM_PORT": str(self.stream_port),
            "OPENVENUE_STREAM_PORT_FILE": str(port_file),
            **{f"OPENVENUE_STREAM_{name.upper()}": value for name, value in environment.items()},
        }
        self._spawn("stream", [sys.executable, "-m", "openvenue.stream"], extra)
        self.stream_port = self._wait_for_port(port_file, self.stream)

    def start_administration(self, target: str = "", **environment: str) -> None:
        """Start the administration over HTTP with these further OPENVENUE_ADMIN_ settings, on its
        former port if there was one; wait until it listens. `target` is its engine's address, if
        it is not that of the engine's administration."""
        port_file = self.directory / "administration.port"
        port_file.unlink(missing_ok=True)
        extra = {
            "OPENVENUE_ENGINE_ADMIN_TARGET": target or self.admin.target,
            "OPENVENUE_ADMIN_PORT": str(self.admin_port),
            "OPENVENUE_ADMIN_PORT_FILE": str(port_file),
            **{f"OPENVENUE_ADMIN_{name.upper()}": value for name, value in environment.items()},
        }
        self._spawn("administration", [sys.executable, "-m", "openvenue.admin_server"], extra)
        self.admin_port = self._wait_for_port(port_file, self.administration)

    def wait_until_ready(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Wait until the API is ready."""
        answer = "nothing"
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            try:
                response = self.readiness()
            except httpx.TransportError as error:
                answer = repr(error)
            else:
                if response.status_code == 200:
                    return
                answer = response.text
            # Each question takes milliseconds from what it waits for.
            time.sleep(0.05)
        raise TimeoutError(f"the API is not ready ({answer}); see {self.directory}/*.log")

    def worker_pids(self) -> set[int]:
        """Return the process ids of the workers."""
        children = Path(f"/proc/{self.api.pid}/task/{self.api.pid}/children").read_text().split()
        return {int(child) for child in children if _is_worker(child)}

    def wait_for_workers(
        self, count: int, other_than: frozenset[int] | set[int] = frozenset()
    ) -> None:
        """Wait until exactly `count` worker processes run, none of them of `other_than`."""
        wait_for(lambda: len(pids := self.worker_pids()) == count and not pids & other_than)

    def wait_until_projected(self, client: httpx.Client) -> None:
        """Wait until the history holds everything that the client's account was told."""
        wait_for(lambda: client.get("/v2/orders", params={"status": "all"}).status_code == 200)

    def all_running(self) -> bool:
        """Let paused processes continue; return True if none has ended."""
        for child in self.processes.values():
            child.resume()
        return all(child.running for child in self.processes.values())

    def stop(self) -> None:
        """End all processes, the outermost first."""
        for child in reversed(self.processes.values()):
            child.stop()

    def define_instruments(self) -> None:
        self.apply(*(pb.AdminRequest(define_instrument=terms) for terms in INSTRUMENTS))

    def open_account(
        self, account_id: int | None = None, cash: int = 10_000_000, **terms: bool
    ) -> NewKey:
        """Open an account with cash in whole units of the currency, and return a key to it."""
        if account_id is None:
            account_id = next(self._account_numbers)
        name = f"account {account_id}"
        opened = pb.OpenAccount(account_id=account_id, name=name, **terms)
        requests = [pb.AdminRequest(open_account=opened)]
        if cash:
            credit = pb.AdjustBalance(account_id=account_id, amount_micros=cash * 1_000_000)
            requests.append(pb.AdminRequest(adjust_balance=credit))
        self.apply(*requests)
        return run_apart(self._create_key(account_id))

    def limited_key(self, account_id: int, **limits: Any) -> NewKey:
        """Return a key to an account with these `KeyLimits`."""
        return run_apart(self._create_key(account_id, limits=KeyLimits(**limits)))

    def data_only_key(self, account_id: int) -> NewKey:
        """Return a key to an account that reads market data only."""
        return run_apart(self._create_key(account_id, DATA_ONLY))

    def read_only_key(self, account_id: int) -> NewKey:
        """Return a key to an account that reads only."""
        return run_apart(self._create_key(account_id, READ_ONLY))

    def give(self, account_id: int, instrument_id: int, qty_lots: int) -> None:
        """Credit an account with a position."""
        adjustment = pb.AdjustPosition(
            account_id=account_id,
            instrument_id=instrument_id,
            qty_lots=qty_lots,
            cost_micros=qty_lots * 1_000_000,
        )
        self.apply(pb.AdminRequest(adjust_position=adjustment))

    def apply(self, *requests: pb.AdminRequest) -> None:
        """Carry out administrative commands, which must succeed."""
        for request in requests:
            request.shard_id = self.shard_id
        self.admin.apply(*requests)

    def client(self, key: NewKey | Bearer) -> httpx.Client:
        """Return an HTTP client with the headers of a key or token."""
        return http.Client(base_url=self.url, headers=key_headers(key), timeout=15)

    async def _create_key(
        self,
        account_id: int,
        scopes: Collection[Scope] = READ_AND_TRADE,
        limits: KeyLimits = NO_LIMITS,
    ) -> NewKey:
        engine = create_async_engine(self.database_url)
        try:
            async with engine.begin() as connection:
                return await create_key(
                    connection, self.shard_id, account_id, "test", scopes, limits
                )
        finally:
            await engine.dispose()

    def _spawn(self, name: str, command: list[str], environment: Mapping[str, str]) -> None:
        log = self.directory / f"{name}.log"
        settings = {
            "OPENVENUE_DATABASE_URL": self.database_url,
            "OPENVENUE_ENGINE_TARGET": f"127.0.0.1:{self.engine_port}",
        }
        with log.open("ab") as output:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, **settings, **self.environment, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        # A restarted engine stays the innermost process.
        self.processes[name] = ChildProcess(process, log)

    def _wait_for_port(self, port_file: Path, child: ChildProcess) -> int:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if port_file.exists() and (text := port_file.read_text()).endswith("\n"):
                return int(text)
            if not child.running:
                break
            time.sleep(0.02)
        raise TimeoutError(f"not serving; {child.log} ends: {child.log.read_text()[-2000:]}")


def _is_worker(pid: str) -> bool:
    try:
        return b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False  # It has ended meanwhile.


def run_apart(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine to its end, even if the caller runs in an event loop."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()


def in_database(venue: Venue, work: Callable[[AsyncConnection], Awaitable[Any]]) -> Any:
    """Return the result of `work` on a connection to the venue's database, in one transaction."""

    async def run() -> Any:
        engine = create_async_engine(venue.database_url)
        try:
            async with engine.begin() as connection:
                return await work(connection)
        finally:
            await engine.dispose()

    return run_apart(run())


def log_lines(venue: Venue, event: str) -> list[dict[str, Any]]:
    """Return the API's log lines of an event."""
    lines = (json.loads(line) for line in venue.api.log.read_text().splitlines())
    return [line for line in lines if line["event"] == event]


def key_headers(key: NewKey | Bearer) -> dict[str, str]:
    """Return the headers of a test's requests: of its key or token, and `Prefer: wait`.

    Most tests look at what became of an order, not at the order as it was accepted.
    """
    if isinstance(key, Bearer):
        return {"Authorization": f"Bearer {key.token}", "Prefer": "wait"}
    keys = {"APCA-API-KEY-ID": key.key_id, "APCA-API-SECRET-KEY": key.secret}
    return {**keys, "Prefer": "wait"}
