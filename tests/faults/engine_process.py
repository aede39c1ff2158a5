"""An engine process that tests start, kill and restart on one data directory."""

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import grpc
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.engine.v1 import engine_pb2_grpc as rpc

from tests.support.admin_access import AdminAccess
from tests.support.venue import engine_binary

START_TIMEOUT_S = 30.0


class EngineProcess:
    """`openvenue-engine serve` on one directory, with small segments and frequent snapshots.

    `options` are added to its command line.
    """

    def __init__(self, directory: Path, *options: str, snapshot_interval: int = 5000) -> None:
        self._options = options
        self._snapshot_interval = snapshot_interval
        self.admin = AdminAccess(directory)
        self.data = directory / "data"
        self.log = directory / "engine.log"
        self._port_file = directory / "port"
        self.process: subprocess.Popen[bytes] | None = None
        self.port = 0

    def spawn(self) -> subprocess.Popen[bytes]:
        """Start the process without waiting for it."""
        self._port_file.unlink(missing_ok=True)
        far_off = time.strftime("%H:%M", time.gmtime(time.time() + 12 * 3600))
        command = [str(engine_binary()), "serve", "--data-dir", str(self.data)]
        command += ["--listen", "127.0.0.1:0", "--metrics-listen", ""]
        command += ["--port-file", str(self._port_file), "--day-end-utc", far_off]
        command += ["--segment-bytes", str(1 << 20)]
        command += ["--snapshot-interval", str(self._snapshot_interval)]
        command += ["--max-orders", str(1 << 21)]  # the soak looks up every order at its end
        command += [*self.admin.options, *self._options]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        return self.process

    def start(self) -> "EngineProcess":
        """Start the process and wait until it serves."""
        process = self.spawn()
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._port_file.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the engine does not serve; its log ends:\n{self.log_tail()}")
            time.sleep(0.005)
        self.port = int(self._port_file.read_text())
        return self

    def kill(self) -> None:
        """Kill -9, and reap it."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def stop(self) -> int:
        """Stop it as an operator would; return the exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(START_TIMEOUT_S)

    def channel(self) -> grpc.Channel:
        # A pool of its own: channels to one address would otherwise share a connection, and so the
        # back-off of a killed engine.
        options = [("grpc.use_local_subchannel_pool", 1)]
        return grpc.insecure_channel(f"127.0.0.1:{self.port}", options=options)

    def status(self) -> pb.EngineStatus:
        status: pb.EngineStatus = self.admin.call(
            "GetStatus", pb.GetStatusRequest(with_state_hash=True)
        )
        return status

    def apply(self, *requests: pb.AdminRequest) -> None:
        """Execute administrative commands, which must succeed."""
        self.admin.apply(*requests)

    def submit(self, *requests: pb.Request) -> list[pb.Reply]:
        """Submit one batch and return its replies in the order of the requests."""
        with self.channel() as channel:
            response = rpc.TradingStub(channel).Submit(
                pb.SessionRequest(requests=requests), timeout=10
            )
        replies = {reply.request_id: reply for reply in response.replies}
        return [replies[request.request_id] for request in requests]

    def verify_journal(self) -> dict[str, Any]:
        """Run `journal verify`, which must find the journal whole."""
        result = self._journal("verify", "--json")
        assert result.returncode == 0, result.stdout + result.stderr
        verdict: dict[str, Any] = json.loads(result.stdout)
        return verdict

    def dump_journal(self) -> list[dict[str, Any]]:
        """Return every entry of the journal, in order."""
        result = self._journal("dump")
        assert result.returncode == 0, result.stderr
        return [json.loads(line) for line in result.stdout.splitlines()]

    def log_tail(self) -> str:
        return self.log.read_text()[-3000:] if self.log.exists() else ""

    def _journal(self, tool: str, *options: str) -> subprocess.CompletedProcess[str]:
        command = [str(engine_binary()), "journal", tool, str(self.data), *options]
        return subprocess.run(command, capture_output=True, text=True, check=False)
