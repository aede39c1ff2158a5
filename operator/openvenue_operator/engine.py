"""Reads and sets the engine's settings that change while it runs (gRPC `Admin.Tune`)."""

import contextlib

import grpc
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.engine.v1 import engine_pb2_grpc as rpc

from openvenue_operator.model import Engine

TIMEOUT_S = 2.0


class EngineUnreachable(Exception):
    """The engine did not take the setting; the message says why."""


class EngineClient:
    """Speaks to one engine, over one connection while its address stays."""

    def __init__(self) -> None:
        self._address: str | None = None
        self._channel: grpc.aio.Channel | None = None

    async def settings(self, address: str | None) -> Engine | None:
        """Return its running settings; None if it cannot be asked."""
        if address is None:
            return None
        try:
            response = await self._tune(address, pb.TuneRequest())
        except EngineUnreachable:
            return None
        return Engine(server_threads=response.server_threads_max)

    async def set_server_threads(self, address: str, count: int) -> None:
        """Set the maximum of its gRPC server's threads. Raises EngineUnreachable."""
        await self._tune(address, pb.TuneRequest(server_threads_max=count))

    async def close(self) -> None:
        """Close the connection."""
        self._address = None
        if self._channel is not None:
            await self._channel.close()
            self._channel = None

    async def _tune(self, address: str, request: pb.TuneRequest) -> pb.TuneResponse:
        if address != self._address or self._channel is None:
            await self.close()
            self._channel = grpc.aio.insecure_channel(address)
            self._address = address
        try:
            response: pb.TuneResponse = await rpc.AdminStub(self._channel).Tune(
                request, timeout=TIMEOUT_S
            )
        except grpc.aio.AioRpcError as error:
            with contextlib.suppress(grpc.aio.AioRpcError):
                # The next one connects at once, without gRPC's own back-off.
                await self.close()
            raise EngineUnreachable(
                f"the engine at {address} does not take its settings: "
                f"{error.code().name} {error.details()}"
            ) from error
        return response
