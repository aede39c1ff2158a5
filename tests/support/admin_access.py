"""An administrator's access to an engine that a test starts: its listener and a token."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.engine.v1 import engine_pb2_grpc as rpc

if TYPE_CHECKING:
    from openvenue.engine.v1.engine_pb2_grpc import AdminStub

NAME = "tests"
TOKEN = "a-token-for-tests-and-nothing-else"


class AdminAccess:
    """Keeps its files in a directory; `options` go to the engine's command line."""

    metadata = (("authorization", f"Bearer {TOKEN}"),)

    def __init__(self, directory: Path) -> None:
        tokens = directory / "admin-tokens"
        self.token_file = tokens / NAME
        self._port_file = directory / "admin.port"
        tokens.mkdir(parents=True, exist_ok=True)
        self.token_file.write_text(TOKEN)
        self.options = ["--admin-listen", "127.0.0.1:0", "--admin-tokens", str(tokens)]
        self.options += ["--admin-port-file", str(self._port_file)]

    @property
    def target(self) -> str:
        """Address of the serving engine's administration; a closed port before one serves."""
        port = self._port_file.read_text().strip() if self._port_file.exists() else "1"
        return f"127.0.0.1:{port}"

    @property
    def environment(self) -> dict[str, str]:
        """Variables that give the command line this access."""
        return {
            "OPENVENUE_ENGINE_ADMIN_TARGET": self.target,
            "OPENVENUE_ENGINE_ADMIN_TOKEN_FILE": str(self.token_file),
        }

    @contextmanager
    def stub(self) -> Iterator["AdminStub"]:
        """Connect; calls take `metadata`."""
        # A pool of its own, see EngineProcess.channel.
        options = [("grpc.use_local_subchannel_pool", 1)]
        with grpc.insecure_channel(self.target, options=options) as channel:
            yield rpc.AdminStub(channel)

    def apply(self, *requests: pb.AdminRequest) -> list[pb.AdminResponse]:
        """Execute administrative commands, which must succeed."""
        with self.stub() as stub:
            responses = [
                stub.Apply(request, timeout=10, metadata=self.metadata) for request in requests
            ]
        for response in responses:
            assert response.reject_reason == pb.REASON_NONE, pb.Reason.Name(response.reject_reason)
        return responses

    def call(self, method: str, request: Any) -> Any:
        """Make one call of the service."""
        with self.stub() as stub:
            return getattr(stub, method)(request, timeout=30, metadata=self.metadata)
