"""Runs `openvenue` as a user does, and keeps a venue running in a directory."""

import json
import os
import select
import selectors
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.support.venue import ROOT, engine_binary

START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 60.0
OPENVENUE = [sys.executable, "-m", "openvenue.cli.main"]


def environment() -> dict[str, str]:
    """Return an environment that names no other venue."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("OPENVENUE_")}
    return {**kept, "OPENVENUE_ENGINE_BINARY": str(engine_binary()), "COLUMNS": "200"}


@dataclass
class Result:
    exit_code: int
    output: str
    errors: str

    @property
    def data(self) -> Any:
        """Output of `--json`."""
        return json.loads(self.output)


def openvenue(
    *arguments: str, data_dir: Path | None = None, variables: Mapping[str, str] | None = None
) -> Result:
    """Run a command to its end."""
    variables = {**environment(), **(variables or {})}
    if data_dir is not None:
        variables["OPENVENUE_DATA_DIR"] = str(data_dir)
    with tempfile.TemporaryDirectory() as directory, _ONE_AT_A_TIME:
        output, errors = Path(directory) / "output", Path(directory) / "errors"
        command = {
            "arguments": arguments,
            "variables": variables,
            "output": str(output),
            "errors": str(errors),
        }
        server = _command_server()
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(json.dumps(command) + "\n")
        server.stdin.flush()
        answered, _, _ = select.select([server.stdout], [], [], 120)
        assert answered, f"{arguments} does not end; {errors.read_text()}"
        result = Result(int(server.stdout.readline()), output.read_text(), errors.read_text())
    assert "Traceback" not in result.errors, result.errors
    return result


_ONE_AT_A_TIME = threading.Lock()


@cache
def _command_server() -> "subprocess.Popen[str]":
    """Start what runs the commands of these tests; it ends with them."""
    command = [sys.executable, "-m", "tests.cli.command_server"]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


class Up:
    """A running `openvenue up` on any free ports."""

    def __init__(
        self, data_dir: Path, *arguments: str, variables: Mapping[str, str] | None = None
    ) -> None:
        self.data_dir = data_dir
        self.output = ""
        self.process = subprocess.Popen(
            [
                *OPENVENUE,
                *("up", "--data-dir", str(data_dir), "--port", "0", "--metrics-port", "0"),
                *("--workers", "1", *arguments),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**environment(), **(variables or {})},
        )

    def wait_for(self, text: str, timeout_s: float = START_TIMEOUT_S) -> "Up":
        """Read its output until `text` appears."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + timeout_s
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while text not in self.output:
                left_s = deadline - time.monotonic()
                chunk = b""
                if left_s > 0 and selector.select(left_s):
                    chunk = os.read(self.process.stdout.fileno(), 65_536)
                if not chunk:
                    raise AssertionError(f"no {text!r} in the output:\n{self.output}")
                self.output += chunk.decode()
        return self

    def wait_until_up(self) -> "Up":
        return self.wait_for("Ctrl-C stops the venue")

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Signal it, read the rest of its output, and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        rest, _ = self.process.communicate(timeout=STOP_TIMEOUT_S)
        self.output += rest.decode()
        return self.process.returncode

    @property
    def running(self) -> dict[str, Any]:
        """Return the running venue's file for other commands."""
        content: dict[str, Any] = json.loads((self.data_dir / "venue.json").read_text())
        return content

    @property
    def url(self) -> str:
        return str(self.running["api_url"])

    def headers(self, account: str = "alice") -> dict[str, str]:
        keys = json.loads((self.data_dir / "keys.json").read_text())["keys"]
        key = next(key for key in keys if key["account"] == account)
        return {"APCA-API-KEY-ID": key["key_id"], "APCA-API-SECRET-KEY": key["secret"]}
