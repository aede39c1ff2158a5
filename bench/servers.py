"""The measured servers: the venue, and the bare ASGI app for comparison."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.load import BenchError

START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 60.0
ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Server:
    url: str
    keys: Path | None = None  # "key-id secret" per line, for order_flow.lua
    data_dir: Path | None = None
    operations_url: str = ""
    stream_url: str = ""

    def metrics(self) -> dict[str, float]:
        """Return the venue's metrics by name and labels, as Prometheus reads them."""
        with urllib.request.urlopen(f"{self.operations_url}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        samples = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {name: float(value) for name, _, value in samples}


@contextmanager
def bare_asgi(workers: int) -> Iterator[Server]:
    """Run bare_asgi.py on uvicorn, with the settings of the venue's workers."""
    with socket.socket() as held:
        # Bound and never listened on: the kernel gives the port to nobody else, and lets uvicorn
        # listen, which asks for SO_REUSEADDR as well.
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        command = [sys.executable, "-m", "uvicorn", "bench.bare_asgi:app", "--port", str(port)]
        command += ["--workers", str(workers), "--loop", "uvloop", "--http", "httptools"]
        command += ["--no-access-log", "--log-level", "warning", "--lifespan", "off"]
        url = f"http://127.0.0.1:{port}"
        with _running(command, {}) as process:
            _wait_until_answers(url, process)
            yield Server(url)


@contextmanager
def venue(data_dir: Path, workers: int, *options: str, **environment: str) -> Iterator[Server]:
    """Run a whole venue by `openvenue up`, with its data in `data_dir`."""
    command = ["openvenue", "up", "--data-dir", str(data_dir), "--workers", str(workers)]
    command += ["--port", "0", "--engine-port", "0", *options]
    with _running(command, environment) as process:
        described = data_dir / "venue.json"
        deadline = time.monotonic() + START_TIMEOUT_S
        while not described.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise BenchError(f"the venue did not start; see {data_dir / 'logs'}")
            time.sleep(0.1)
        running = json.loads(described.read_text())
        url = running["api_url"]
        _wait_until_answers(f"{running['operations_url']}/readyz", process)
        keys = data_dir / "bench-keys.txt"
        demo = json.loads((data_dir / "keys.json").read_text())["keys"]
        keys.touch(mode=0o600)
        keys.write_text("".join(f"{key['key_id']} {key['secret']}\n" for key in demo))
        yield Server(url, keys, data_dir, running["operations_url"], running["stream_url"])


@contextmanager
def _running(command: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(STOP_TIMEOUT_S)


def _wait_until_answers(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            urllib.request.urlopen(url, timeout=1)
        except (urllib.error.URLError, OSError) as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise BenchError(f"{url} does not answer: {error}") from error
            time.sleep(0.1)
        else:
            return
