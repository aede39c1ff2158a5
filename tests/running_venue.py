"""A real venue for tests: engine, API and projector processes, each on ports of its own."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import httpx
from admin_access import AdminAccess
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.security.keys import NewKey, create_key
from openvenue.settings import Settings
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import create_async_engine

Result = TypeVar("Result")

ROOT = Path(__file__).resolve().parents[1]
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
        """Let it do nothing more until `resume`.

        SIGSTOP alone takes effect when one of the threads gets to it; the others work until then.
        """
        self.process.send_signal(signal.SIGSTOP)
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while any(state != "T" for state in self._thread_states()):
            assert time.monotonic() < deadline, "it does not pause"
            time.sleep(0.001)

    def resume(self) -> None:
        """Let it go on, if it was paused."""
        self.process.send_signal(signal.SIGCONT)

    def _thread_states(self) -> Iterator[str]:
        for file in Path(f"/proc/{self.pid}/task").glob("*/stat"):
            with contextlib.suppress(OSError):  # a thread may end
                # After the name in parentheses, which may hold anything.
                yield file.read_text().rpartition(")")[2].split()[0]


@dataclass
class Venue:
    """One engine, API and projector on a migrated database; `stop` ends what runs."""

    directory: Path
    database_url: str
    environment: dict[str, str] = field(default_factory=dict)
    engine: ChildProcess | None = None
    api: ChildProcess | None = None
    projector: ChildProcess | None = None
    engine_port: int = 0
    api_port: int = 0
    operations_port: int = 0

    @cached_property
    def admin(self) -> AdminAccess:
        """Who administrates the engine."""
        return AdminAccess(self.directory)

    @property
    def settings(self) -> Settings:
        """The settings that the venue's processes run with."""
        return Settings(
            database_url=SecretStr(self.database_url),
            engine_target=f"127.0.0.1:{self.engine_port}",
            shard_id=int(self.environment.get("OPENVENUE_SHARD_ID", "0")),
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
        """Return what the API says of its readiness."""
        return httpx.get(f"{self.operations_url}/readyz", timeout=5)

    def metrics(self) -> str:
        """Return the metrics of all workers, at most a second old."""
        return httpx.get(f"{self.operations_url}/metrics", timeout=20).text

    def start(self, *, projector: bool = True, **environment: str) -> "Venue":
        """Start every process and wait until the API is ready."""
        self.start_engine()
        self.define_instruments()
        if projector:
            self.start_projector()
        self.start_api(**environment)
        return self

    def start_engine(self, metrics_listen: str = "") -> None:
        """Start the engine, on the port that it had before if there was one."""
        port_file = self.directory / "engine.port"
        port_file.unlink(missing_ok=True)
        command = [str(engine_binary()), "serve"]
        command += ["--data-dir", str(self.directory / "journal")]
        command += ["--listen", f"127.0.0.1:{self.engine_port}", "--metrics-listen", metrics_listen]
        command += ["--port-file", str(port_file), "--segment-bytes", str(4 << 20)]
        command += ["--max-orders", "65536", *self.admin.options]
        self.engine = self._spawn("engine", command, {})
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
            # Many tests name symbols that there are not.
            "OPENVENUE_INSTRUMENTS_ASK_INTERVAL_S": "0.05",
            **{f"OPENVENUE_{name.upper()}": value for name, value in environment.items()},
        }
        self.api = self._spawn("api", [sys.executable, "-m", "openvenue.server"], extra)
        self.api_port = self._wait_for_port(port_file, self.api)
        self.operations_port = self._wait_for_port(operations_file, self.api)

    def start_projector(self, **environment: str) -> None:
        """Start the projector with these further OPENVENUE_ settings."""
        extra = {f"OPENVENUE_{name.upper()}": value for name, value in environment.items()}
        command = [sys.executable, "-m", "openvenue.projector"]
        self.projector = self._spawn("projector", command, extra)

    def wait_until_ready(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Wait until the API says that it can serve."""
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
            time.sleep(0.02)
        raise TimeoutError(f"the API is not ready ({answer}); see {self.directory}/*.log")

    def worker_pids(self) -> set[int]:
        """Return the processes that serve requests."""
        assert self.api is not None
        children = Path(f"/proc/{self.api.pid}/task/{self.api.pid}/children").read_text().split()
        return {
            int(child)
            for child in children
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()
        }

    def wait_for_workers(
        self, count: int, other_than: frozenset[int] | set[int] = frozenset()
    ) -> None:
        """Wait until exactly `count` worker processes run, none of them of `other_than`."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while len(pids := self.worker_pids()) != count or pids & other_than:
            assert time.monotonic() < deadline, f"workers: {pids}"
            time.sleep(0.05)

    def wait_until_projected(self, client: httpx.Client) -> None:
        """Wait until the history holds all that the client's account was told."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while client.get("/v2/orders", params={"status": "all"}).status_code != 200:
            assert time.monotonic() < deadline, f"no projection; see {self.directory}/*.log"
            time.sleep(0.02)

    def stop(self) -> None:
        """End all processes, the outermost first."""
        for child in (self.api, self.projector, self.engine):
            if child is not None:
                child.stop()

    def define_instruments(self) -> None:
        for terms in INSTRUMENTS:
            self.apply(pb.AdminRequest(define_instrument=terms))

    def open_account(self, account_id: int, cash: int = 10_000_000, **terms: bool) -> NewKey:
        """Open an account with cash in whole units of the currency, and return a key to it."""
        name = f"account {account_id}"
        self.apply(
            pb.AdminRequest(open_account=pb.OpenAccount(account_id=account_id, name=name, **terms))
        )
        if cash:
            self.apply(
                pb.AdminRequest(
                    adjust_balance=pb.AdjustBalance(
                        account_id=account_id, amount_micros=cash * 1_000_000
                    )
                )
            )
        return run_apart(self._create_key(account_id))

    def give(self, account_id: int, instrument_id: int, qty_lots: int) -> None:
        """Credit an account with a position."""
        adjustment = pb.AdjustPosition(
            account_id=account_id,
            instrument_id=instrument_id,
            qty_lots=qty_lots,
            cost_micros=qty_lots * 1_000_000,
        )
        self.apply(pb.AdminRequest(adjust_position=adjustment))

    def apply(self, request: pb.AdminRequest) -> pb.AdminResponse:
        """Carry out an administrative command, which must succeed."""
        request.shard_id = self.settings.shard_id
        return self.admin.apply(request)[0]

    def client(self, key: NewKey) -> httpx.Client:
        """Return an HTTP client with the headers of a key."""
        return httpx.Client(base_url=self.url, headers=key_headers(key), timeout=15)

    async def _create_key(self, account_id: int) -> NewKey:
        engine = create_async_engine(self.database_url)
        try:
            async with engine.begin() as connection:
                return await create_key(connection, self.settings.shard_id, account_id, "test")
        finally:
            await engine.dispose()

    def _spawn(self, name: str, command: list[str], environment: Mapping[str, str]) -> ChildProcess:
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
        return ChildProcess(process, log)

    def _wait_for_port(self, port_file: Path, child: ChildProcess) -> int:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if port_file.exists() and (text := port_file.read_text()).endswith("\n"):
                return int(text)
            if not child.running:
                break
            time.sleep(0.02)
        raise TimeoutError(f"not serving; {child.log} ends: {child.log.read_text()[-2000:]}")


def run_apart(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine to its end, also where the caller is within an event loop itself."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()


def log_lines(venue: Venue, event: str) -> list[dict[str, Any]]:
    """Return the API's log lines of an event."""
    assert venue.api is not None
    lines = (json.loads(line) for line in venue.api.log.read_text().splitlines())
    return [line for line in lines if line["event"] == event]


def key_headers(key: NewKey) -> dict[str, str]:
    """Return the authentication headers of a key."""
    return {"APCA-API-KEY-ID": key.key_id, "APCA-API-SECRET-KEY": key.secret}
