"""Frameworks from PyPI trade on a venue, unmodified: only their URL is the venue's.

Each has an environment of its own with locked versions. They cannot share one, nor the project's.
"""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.command_line import Up
from tests.support import http
from tests.support.waiting import wait_for

HERE = Path(__file__).parent
CACHE = HERE.parents[1] / ".cache/frameworks"
UV = HERE.parents[1] / ".cache/uv/bin/uv"
# backtrader waits for the end of a minute, then for the next.
WITHIN_S = 240.0


@dataclass(frozen=True)
class Framework:
    """A framework, and the script with which it trades."""

    name: str
    account: str
    """Of the demo: each its own, so that none sees another's position."""
    command: Callable[[Path, dict[str, str]], list[str]]
    """Arguments after the environment's `bin`; the directory is the run's own."""
    success: str
    """Printed once it has traded."""


def script(name: str, *arguments: str) -> Callable[[Path, dict[str, str]], list[str]]:
    return lambda _directory, _variables: ["python", str(HERE / name), *arguments]


def freqtrade(directory: Path, variables: dict[str, str]) -> list[str]:
    """Write its configuration."""
    url = variables["APCA_API_BASE_URL"]
    price = {"price_side": "other", "use_order_book": False}
    configuration = {
        "max_open_trades": 1,
        "stake_currency": "USD",
        "stake_amount": 100,
        "dry_run": False,
        "entry_pricing": price,
        "exit_pricing": price,
        "exchange": {
            "name": "alpaca",
            "key": variables["APCA_API_KEY_ID"],
            "secret": variables["APCA_API_SECRET_KEY"],
            "pair_whitelist": ["BTC/USD"],
            "enable_ws": False,
            "ccxt_config": {"urls": {"api": {"trader": url, "market": url}}},
        },
        "pairlists": [{"method": "StaticPairList"}],
        "initial_state": "running",
    }
    file = directory / "config.json"
    file.write_text(json.dumps(configuration))
    (directory / "user_data").mkdir()
    return [
        *("freqtrade", "trade", "--config", str(file), "--db-url", "sqlite://"),
        *("--strategy", "AlwaysEnters", "--strategy-path", str(HERE / "freqtrade")),
        *("--userdir", str(directory / "user_data")),
    ]


FRAMEWORKS = (
    Framework("alpaca_trade_api", "alice", script("alpaca_trade_api_bot.py"), "traded"),
    Framework("backtrader", "bob", script("backtrader_bot.py", "TSLA"), "order: Completed"),
    Framework("freqtrade", "carol", freqtrade, "LIMIT_BUY has been fulfilled"),
    Framework("vectorbt", "dave", script("vectorbt_bot.py"), "read"),
)


def installed(framework: Framework) -> Path:
    """Return the `bin` of the framework's environment, made once for each lock file."""
    lock = HERE / f"requirements/{framework.name}.txt"
    home = CACHE / f"{framework.name}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"
    if not home.exists():
        part = home.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        uv = [str(UV), "--quiet"]
        venv = ["venv", "--relocatable", "-p", sys.executable, str(part)]
        subprocess.run([*uv, *venv], check=True)
        # The locks name everything; what some of these packages ask for no longer installs.
        install = ["pip", "install", "--no-deps", "-p", str(part), "-r", str(lock)]
        # Most of it is never imported.
        without_bytecode = {**os.environ, "UV_COMPILE_BYTECODE": "0"}
        subprocess.run([*uv, *install], check=True, env=without_bytecode)
        part.rename(home)
    return home / "bin"


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A venue with residents, on which a share and a pair have traded for a minute's bar."""
    up = Up(tmp_path_factory.mktemp("venue") / "data", "--market").wait_until_up()

    def bars() -> list[object]:
        of_shares = "/v2/stocks/bars?symbols=AAPL&timeframe=1Min"
        of_pairs = "/v1beta3/crypto/us/bars?symbols=BTC/USD&timeframe=1Min"
        answers = (http.get(up.url + path, headers=up.headers()) for path in (of_shares, of_pairs))
        return [answer.json()["bars"] for answer in answers]

    try:
        wait_for(lambda: all(bars()), 120)
        yield up
    finally:
        up.stop()


@dataclass(frozen=True)
class Run:
    """A framework that runs."""

    framework: Framework
    process: subprocess.Popen[bytes]
    log: Path

    def has_traded(self) -> bool:
        # freqtrade breaks its lines.
        return self.framework.success in " ".join(self.log.read_text().split())

    def end(self) -> None:
        """Wait for its end, which it was asked for."""
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()  # How long it takes to leave is not the venue's.
            self.process.wait()

    def has_traded_or_ended(self) -> bool:
        return self.has_traded() or self.process.poll() is not None


@pytest.mark.timeout(900)  # On a machine that has none of them yet.
def test_frameworks_trade_until_they_have_filled(up: Up, tmp_path: Path) -> None:
    """Together, because each waits most of the time: for the end of a minute."""
    for framework in FRAMEWORKS:
        installed(framework)
    runs = [_started(framework, up, tmp_path / framework.name) for framework in FRAMEWORKS]
    try:
        for run in runs:
            wait_for(run.has_traded_or_ended, WITHIN_S, every_s=0.5)
            assert run.has_traded(), f"{run.framework.name}:\n{run.log.read_text()}"
    finally:
        for run in runs:
            run.process.send_signal(signal.SIGINT)
        for run in runs:
            run.end()
    for framework in FRAMEWORKS:
        orders = http.get(
            up.url + "/v2/orders?status=closed", headers=up.headers(framework.account)
        ).json()
        filled = [order for order in orders if order["filled_qty"] != "0"]
        # vectorbt only reads.
        assert bool(filled) == (framework.name != "vectorbt"), framework.name


def _started(framework: Framework, up: Up, directory: Path) -> Run:
    directory.mkdir()
    key = up.headers(framework.account)
    variables = {
        "APCA_API_BASE_URL": up.url,
        "APCA_API_DATA_URL": up.url,
        # Streams are found at the same URL.
        "APCA_API_STREAM_URL": up.url,
        "APCA_API_KEY_ID": key["APCA-API-KEY-ID"],
        "APCA_API_SECRET_KEY": key["APCA-API-SECRET-KEY"],
    }
    program, *arguments = framework.command(directory, variables)
    log = directory / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [installed(framework) / program, *arguments],
            cwd=directory,
            env={**os.environ, **variables, "PYTHONUNBUFFERED": "1", "HOME": str(directory)},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    return Run(framework, process, log)
