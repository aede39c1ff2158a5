"""The operator's own process, as its pod runs it, on the API server of the tests."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.operator.installed_operator import OPERATOR
from tests.support import http
from tests.support.api_server import ApiServer
from tests.support.ports import free_port

STOP_TIMEOUT_S = 30.0


@dataclass
class OperatorProcess:
    """A running operator."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def get(self, path: str) -> httpx.Response:
        """Send a GET to its HTTP port."""
        return http.get(f"http://127.0.0.1:{self.port}{path}", timeout=5)

    def kill(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """End it as the kubelet does, and return its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_TIMEOUT_S)


@contextmanager
def running_operator(
    server: ApiServer,
    directory: Path,
    namespace: str,
    *,
    user: str = OPERATOR,
    identity: str = "test/operator-1",
    api_port: int | None = None,
    kubeconfig: Path | None = None,
    **settings: str,
) -> Iterator[OperatorProcess]:
    """Run an operator for one namespace, as `user`, through the given port or file."""
    port = free_port()
    environment = {
        "KUBECONFIG": str(kubeconfig or server.kubeconfig(user, api_port)),
        "OPENVENUE_OPERATOR_NAMESPACES": namespace,
        "OPENVENUE_OPERATOR_IDENTITY": identity,
        "OPENVENUE_OPERATOR_HTTP_PORT": str(port),
        "OPENVENUE_OPERATOR_TICK_S": "0.5",
        "OPENVENUE_OPERATOR_PROGRESS_TICK_S": "0.2",
        **{f"OPENVENUE_OPERATOR_{name.upper()}": value for name, value in settings.items()},
    }
    log = directory / f"{identity.replace('/', '-')}.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "openvenue_operator"],
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    running = OperatorProcess(process, port, log)
    try:
        _wait_until_it_serves(running)
        yield running
    finally:
        if process.poll() is None:
            running.stop()


def _wait_until_it_serves(operator: OperatorProcess) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            if operator.get("/healthz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        assert operator.process.poll() is None, operator.log.read_text()[-2000:]
        assert time.monotonic() < deadline, operator.log.read_text()[-2000:]
        time.sleep(0.05)
