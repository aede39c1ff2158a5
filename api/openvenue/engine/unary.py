"""One unary call per request: for few of them, and to compare the session with in benchmarks."""

import asyncio
from collections.abc import Sequence

import grpc

from openvenue.engine.errors import EngineBusy, FateUnknown
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.engine.v1 import engine_pb2_grpc as rpc


class UnarySession:
    """Answers like `Session`, with one `Trading.Submit` for each request."""

    connected = True
    batching = False
    message_due = False
    unsent = 0

    def __init__(
        self,
        channel: grpc.aio.Channel,
        *,
        shard_id: int,
        in_flight_max: int,
        reply_timeout_s: float,
    ) -> None:
        self.channel = channel
        self.in_flight_max = in_flight_max
        self._shard_id = shard_id
        self._reply_timeout_s = reply_timeout_s
        self._stub = rpc.TradingStub(channel)
        self._calls: set[asyncio.Task[pb.Reply]] = set()

    @property
    def in_flight(self) -> int:
        """Calls that have not returned."""
        return len(self._calls)

    @property
    def has_room(self) -> bool:
        """True if `submit` would take a request now."""
        return len(self._calls) < self.in_flight_max

    def submit(self, request: pb.Request) -> asyncio.Future[pb.Reply]:
        """Send `request` and return the future of its reply, which may raise FateUnknown."""
        self._check_room()
        return self._take(request)

    def submit_all(self, requests: Sequence[pb.Request]) -> list[asyncio.Future[pb.Reply]]:
        """Send `requests`, all at once and in no order; see `Session.submit_all`."""
        self._check_room()
        return [self._take(request) for request in requests]

    def _check_room(self) -> None:
        if not self.has_room:
            raise EngineBusy(f"{self.in_flight_max} requests are waiting for the matching engine")

    def _take(self, request: pb.Request) -> asyncio.Future[pb.Reply]:
        call = asyncio.get_running_loop().create_task(self._call(request))
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        return call

    async def close(self, drain_timeout_s: float) -> None:
        """Wait for the calls under way, at most `drain_timeout_s`, and close the channel."""
        if self._calls:
            await asyncio.wait(self._calls, timeout=drain_timeout_s)
        await self.channel.close()

    async def _call(self, request: pb.Request) -> pb.Reply:
        try:
            response = await self._stub.Submit(
                pb.SessionRequest(requests=[request], shard_id=self._shard_id),
                timeout=self._reply_timeout_s,
            )
        except grpc.aio.AioRpcError as error:
            raise FateUnknown(
                f"the matching engine's reply did not come ({error.code().name})"
            ) from error
        return response.replies[0]
