"""`openvenue up` starts from nothing, stops cleanly, and starts again with its data."""

import asyncio
import fcntl
import json
import os
import random
import shutil
import signal
import socket
import stat
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from openvenue.cli.local import venue
from openvenue.cli.local.ports import held_ports
from openvenue.cli.local.processes import Child
from openvenue.commands import CommandError

from tests.cli.command_line import OPENVENUE, Up, openvenue
from tests.support import http
from tests.support.venue import engine_binary

ORDER = {
    "symbol": "AAPL",
    "side": "buy",
    "type": "limit",
    "time_in_force": "gtc",
    "qty": "10",
    "limit_price": "585.00",
}


def is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_trades_survive_a_stop_and_a_start_in_a_directory_of_any_name(tmp_path: Path) -> None:
    # Longer than a socket's path may be.
    data = tmp_path / ('it\'s a "Börse", #1?a=b & 100%25 $HOME; `x`' + "v" * 150)
    first = Up(data).wait_until_up()
    entered = http.post(f"{first.url}/v2/orders", json=ORDER, headers=first.headers())
    sold = {**ORDER, "side": "sell", "qty": "4", "time_in_force": "ioc"}
    http.post(f"{first.url}/v2/orders", json=sold, headers=first.headers("bob"))
    assert openvenue("accounts", "list", "--json", data_dir=data).data
    assert openvenue("keys", "list", data_dir=data).exit_code == 0
    processes = psutil.Process(first.process.pid).children(recursive=True)
    keys = (data / "keys.json").read_bytes()
    assert first.stop() == 0
    assert "is down" in first.output
    assert "gRPC" not in first.output
    assert not [process for process in processes if is_alive(process)]
    assert not (data / "venue.json").exists()

    assert list(tmp_path.iterdir()) == [data]
    assert {"postgres", "engine", "logs"} <= {path.name for path in data.iterdir()}
    second = Up(data).wait_until_up()
    try:
        again = http.get(
            f"{second.url}/v2/orders/{entered.json()['id']}", headers=second.headers()
        ).json()
        assert (again["status"], again["filled_qty"]) == ("partially_filled", "4")
        ended = http.get(
            f"{second.url}/v2/orders?status=closed", headers=second.headers("bob"), timeout=10
        ).json()
        assert [order["filled_qty"] for order in ended] == ["4"]
        assert (data / "keys.json").read_bytes() == keys
    finally:
        assert second.stop(signal.SIGTERM) == 0


def test_the_demo_keys_work_with_a_database_that_was_made_anew(tmp_path: Path) -> None:
    assert Up(tmp_path / "data").wait_until_up().stop() == 0
    shutil.rmtree(tmp_path / "data/postgres")
    again = Up(tmp_path / "data").wait_until_up()
    try:
        account = http.get(f"{again.url}/v2/account", headers=again.headers(), timeout=10)
        assert account.status_code == 200
    finally:
        assert again.stop() == 0


def test_a_venue_that_was_killed_leaves_nothing_that_keeps_the_next_from_starting(
    tmp_path: Path,
) -> None:
    drains = {"OPENVENUE_DRAIN_TIMEOUT_S": "3"}
    killed = Up(tmp_path / "data", variables=drains).wait_until_up()
    entered = http.post(f"{killed.url}/v2/orders", json=ORDER, headers=killed.headers())
    # An open connection, so that the API does not end at once.
    with http.Client(base_url=killed.url) as client:
        client.get("/healthz")
        ports = ("--port", str(client.base_url.port))
        killed.stop(signal.SIGKILL)
        assert (tmp_path / "data/venue.json").exists()
        down = openvenue("accounts", "list", data_dir=tmp_path / "data")
        assert (down.exit_code, "no venue is up" in down.errors) == (1, True)
        second = Up(tmp_path / "data", *ports).wait_until_up()
    try:
        path = f"/v2/orders/{entered.json()['id']}"
        assert http.get(second.url + path, headers=second.headers()).status_code == 200
    finally:
        assert second.stop() == 0


async def test_an_engine_that_is_still_ending_is_waited_for(tmp_path: Path) -> None:
    held = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    waiting = asyncio.create_task(venue._journal_released(tmp_path))
    done, _ = await asyncio.wait((waiting,), timeout=0.3)
    assert not done
    os.close(held)
    await waiting


def test_a_database_named_in_the_environment_is_used(
    tmp_path: Path, new_database: Callable[[], str]
) -> None:
    url = new_database()
    up = Up(tmp_path / "data", variables={"OPENVENUE_DATABASE_URL": url}).wait_until_up()
    try:
        assert up.running["database_url"] == url
        assert not (tmp_path / "data/postgres").exists()
    finally:
        assert up.stop() == 0


def test_another_process_with_the_number_of_a_killed_venue_is_not_taken_for_it(
    tmp_path: Path, up: Up
) -> None:
    left_behind = {**up.running, "pid": os.getpid()}
    (tmp_path / "venue.json").write_text(json.dumps(left_behind))
    result = openvenue("accounts", "list", data_dir=tmp_path)
    assert result.exit_code == 1
    assert "no venue is up" in result.errors


def test_keys_tokens_and_sockets_are_for_their_owner_only(up: Up) -> None:
    for name in ("keys.json", "venue.json", "admin/local"):
        assert stat.S_IMODE((up.data_dir / name).stat().st_mode) == 0o600
    for target in ("engine_target", "engine_admin_target"):
        status = Path(up.running[target].removeprefix("unix:")).stat()
        assert stat.S_ISSOCK(status.st_mode)
        assert stat.S_IMODE(status.st_mode) == 0o600
    assert stat.S_IMODE((up.data_dir / "admin").stat().st_mode) == 0o700
    postgres = next((up.data_dir / "postgres").glob(".s.PGSQL.*[0-9]"))
    assert stat.S_IMODE(postgres.stat().st_mode) == 0o700


def test_the_engine_listens_on_no_port_but_that_of_its_metrics(up: Up) -> None:
    engine = next(
        process
        for process in psutil.Process(up.process.pid).children()
        if process.cmdline()[1] == "serve"
    )
    listening = [each for each in engine.net_connections("tcp") if each.status == "LISTEN"]
    assert len(listening) == 1
    metrics = http.get(f"http://127.0.0.1:{listening[0].laddr.port}/metrics").text
    assert "openvenue_engine_refused_admin_calls_total" in metrics


def test_the_engine_takes_tcp_where_it_is_asked_to(tmp_path: Path) -> None:
    venue = Up(tmp_path / "data", "--engine-port", "0", "--no-demo").wait_until_up()
    try:
        host, _, port = venue.running["engine_target"].partition(":")
        socket.create_connection((host, int(port)), timeout=5).close()
        assert venue.running["engine_admin_target"].startswith("unix:")
        assert openvenue("accounts", "list", data_dir=tmp_path / "data").exit_code == 0
    finally:
        assert venue.stop() == 0


async def test_an_engine_that_dies_while_the_api_is_waited_for_is_named(tmp_path: Path) -> None:
    children = {
        name: Child(name, ["sh", "-c", script], dict(os.environ), tmp_path / f"{name}.log", 5)
        for name, script in {"engine": "echo the disk is gone; exit 4", "api": "sleep 60"}.items()
    }
    for child in children.values():
        await child.start()

    async def never() -> bool:
        return False

    try:
        with pytest.raises(CommandError, match=r"engine ended with exit code 4.*") as raised:
            await venue._ready(children["api"], never, 60, [children["engine"]])
        assert "the disk is gone" in str(raised.value)
    finally:
        await children["api"].stop()


def test_ports_of_a_killed_venue_are_waited_for(tmp_path: Path) -> None:
    # Below those that the kernel gives to other programs meanwhile.
    port = random.randrange(20_000, 32_000)
    with socket.create_server(("127.0.0.1", port)) as taken:
        threading.Timer(1, taken.close).start()
        with held_ports(port, None, 0, patience_s=10) as ports:
            assert ports.api == port


def test_a_held_port_is_its_venues_and_nobody_elses() -> None:
    with held_ports(0, None, 0) as ports, socket.socket() as other:
        socket.create_server(("127.0.0.1", ports.api)).close()
        # The kernel refuses a program that does not share its port.
        with pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", ports.stream))


def test_the_first_order_that_it_prints_works_as_printed(up: Up) -> None:
    lines = up.output.splitlines()
    start = next(i for i, line in enumerate(lines) if line.strip().startswith("eval"))
    script = "\n".join(lines[start : lines.index("", start)])
    openvenue_function = f'openvenue() {{ {" ".join(OPENVENUE)} "$@"; }}\n'
    done = subprocess.run(
        ["bash", "-ec", openvenue_function + script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert '"symbol":"AAPL"' in done.stdout


def test_a_second_venue_in_the_directory_is_refused(up: Up) -> None:
    result = openvenue("up", "--data-dir", str(up.data_dir))
    assert result.exit_code == 1
    assert f"process {up.process.pid}" in result.errors
    assert "--data-dir" in result.errors


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = openvenue("up", "--data-dir", str(tmp_path / "data"), "--port", str(port))
    assert result.exit_code == 1
    assert f"port {port} is taken" in result.errors


def test_a_process_that_dies_is_started_again(up: Up) -> None:
    projector = next(
        process
        for process in psutil.Process(up.process.pid).children()
        if "openvenue.projector" in process.cmdline()
    )
    projector.kill()
    up.wait_for("projector ended with exit code -9, starting it again")


def test_a_database_that_dies_is_started_again(up: Up) -> None:
    postmaster = int((up.data_dir / "postgres/postmaster.pid").read_text().split()[0])
    os.kill(postmaster, signal.SIGKILL)
    up.wait_for("PostgreSQL ended, starting it again").wait_for("PostgreSQL is up again")
    assert openvenue("keys", "list", data_dir=up.data_dir).exit_code == 0


def test_its_processes_end_with_it_even_when_it_is_killed(tmp_path: Path) -> None:
    venue = Up(tmp_path / "data", "--no-demo").wait_until_up()
    children = psutil.Process(venue.process.pid).children(recursive=True)
    venue.stop(signal.SIGKILL)
    _, alive = psutil.wait_procs(children, timeout=20)
    assert alive == []
    # The next start takes over the database left behind, and its stop ends it.
    assert Up(tmp_path / "data", "--no-demo").wait_until_up().stop() == 0
    assert not (tmp_path / "data/postgres/postmaster.pid").exists()


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """Return a data directory whose journal has a flipped byte before its end."""
    (tmp_path / "data/engine").mkdir(parents=True)
    command = [str(engine_binary()), "serve", f"--data-dir={tmp_path / 'data/engine'}"]
    command += ["--listen", "127.0.0.1:0", "--metrics-listen", ""]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as engine:
        assert engine.stderr is not None
        next(line for line in engine.stderr if " ready " in line)
        engine.terminate()
    segment = next((tmp_path / "data/engine").glob("journal-*"))
    with segment.open("r+b") as file:
        file.seek(4096 + 100)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 0xFF]))
    return tmp_path / "data"


def test_an_engine_that_refuses_its_journal_ends_the_venue_with_its_reason(damaged: Path) -> None:
    result = openvenue("up", "--data-dir", str(damaged), "--port", "0", "--metrics-port", "0")
    assert result.exit_code == 1
    assert "engine ended with exit code 3" in result.errors
    assert "journal-" in result.errors
