"""One stream to the engine over one gRPC channel: micro-batched, pipelined, self-healing.

Requests submitted in one event-loop tick, or while the previous message is being written, become
one message; in a busy tick, the first of them leave early. Replies come in any grouping and resolve
the futures of their requests. Each request is answered once, or ends as EngineUnavailable (it never
left) or as FateUnknown (it left, and the stream broke or the reply took too long).
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Sequence

import grpc

from openvenue import metrics
from openvenue.engine.errors import EngineBusy, EngineUnavailable, FateUnknown
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.engine.v1 import engine_pb2_grpc as rpc
from openvenue.telemetry import get_logger

REQUESTS_PER_MESSAGE_MAX = 1024  # the engine's limit

# This many do not wait for the rest of a busy tick: engine and disk would idle until its end, and
# then this process until their answer.
_REQUESTS_DUE = 32

_BACKOFF_MIN_S = 0.05
_HANDSHAKE_TIMEOUT_S = 5.0
_CLOSE_TIMEOUT_S = 1.0
_LAST_REPLIES_S = 1.0
_SWEEPS_PER_TIMEOUT = 10

_log = get_logger(__name__)

_Call = grpc.aio.StreamStreamCall[pb.SessionRequest, pb.SessionResponse]


class Session:
    """Keeps one stream open until `close`; the module's docstring has its promises."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        *,
        shard_id: int,
        in_flight_max: int,
        reply_timeout_s: float,
        backoff_max_s: float,
    ) -> None:
        self.channel = channel
        self.in_flight_max = in_flight_max
        self.connected = False
        self._shard_id = shard_id
        self._reply_timeout_s = reply_timeout_s
        self._backoff_max_s = backoff_max_s
        self._loop = asyncio.get_running_loop()
        self._pending: dict[int, asyncio.Future[pb.Reply]] = {}
        self._batch: list[pb.Request] = []
        self._writer_idle: asyncio.Future[None] | None = None
        self._writing = False
        self._next_id = 1
        self._tasks = [
            self._loop.create_task(self._keep_connected()),
            self._loop.create_task(self._expire_overdue()),
        ]

    @property
    def in_flight(self) -> int:
        """Number of requests submitted and not answered."""
        return len(self._pending)

    @property
    def has_room(self) -> bool:
        """True if `submit` would take a request now."""
        return self.connected and len(self._pending) < self.in_flight_max

    @property
    def unsent(self) -> int:
        """Number of requests that wait to leave."""
        return len(self._batch)

    @property
    def batching(self) -> bool:
        """True if a message is being filled, which a further request would join for free."""
        return bool(self._batch)

    @property
    def message_due(self) -> bool:
        """True if the message being filled is large enough to leave in the next turn of the event
        loop."""
        return len(self._batch) >= _REQUESTS_DUE and not self._writing

    def submit(self, request: pb.Request) -> asyncio.Future[pb.Reply]:
        """Send `request`, whose request_id is set here, and return the future of its reply.

        Raises EngineUnavailable and EngineBusy at once; the future may raise EngineUnavailable and
        FateUnknown.
        """
        self._check_room()
        return self._take(request)

    def submit_all(self, requests: Sequence[pb.Request]) -> list[asyncio.Future[pb.Reply]]:
        """Send `requests` in their order; see `submit`. All are taken, or none.

        They may exceed `in_flight_max`, by all but one of them: a session with little room would
        never take many at once otherwise.
        """
        self._check_room()
        return [self._take(request) for request in requests]

    def _check_room(self) -> None:
        if not self.connected:
            raise EngineUnavailable("the matching engine cannot be reached")
        if not self.has_room:
            raise EngineBusy(f"{self.in_flight_max} requests are waiting for the matching engine")

    def _take(self, request: pb.Request) -> asyncio.Future[pb.Reply]:
        request.request_id = request_id = self._next_id
        self._next_id = request_id + 1
        future = self._loop.create_future()
        self._pending[request_id] = future
        self._batch.append(request)
        if self._writer_idle is not None:
            self._writer_idle.set_result(None)
            self._writer_idle = None
        return future

    async def close(self, drain_timeout_s: float) -> None:
        """Wait for outstanding replies, at most `drain_timeout_s`, and close the channel."""
        if self._pending:
            await asyncio.wait(list(self._pending.values()), timeout=drain_timeout_s)
        for task in self._tasks:
            task.cancel()
        await self.channel.close()
        await asyncio.wait(self._tasks, timeout=_CLOSE_TIMEOUT_S)
        self._disconnect("the session was closed")

    async def _keep_connected(self) -> None:
        backoff_s = _BACKOFF_MIN_S
        while True:
            try:
                await self.channel.channel_ready()
                await self._check_shard()
                async with _open_stream(self.channel) as call:
                    self.connected = True
                    backoff_s = _BACKOFF_MIN_S
                    await self._run(call)
                    reason = "the engine ended the stream"
            except grpc.aio.AioRpcError as error:
                reason = f"{error.code().name}: {error.details()}"
            except Exception as error:
                # Every error is handled in the same way: by a new stream.
                reason = repr(error)
            if self.connected:
                metrics.ENGINE_CONNECTIONS_LOST.inc()
            _log.warning("engine session lost", reason=reason, in_flight=len(self._pending))
            self._disconnect(reason)
            await asyncio.sleep(backoff_s)
            backoff_s = min(backoff_s * 2, self._backoff_max_s)

    async def _check_shard(self) -> None:
        status = await rpc.AdminStub(self.channel).GetStatus(
            pb.GetStatusRequest(), timeout=_HANDSHAKE_TIMEOUT_S
        )
        if status.shard_id != self._shard_id:
            raise ConnectionError(
                f"the engine serves shard {status.shard_id}, not {self._shard_id}; "
                "compare OPENVENUE_SHARD_ID with the engine's --shard-id"
            )

    async def _run(self, call: _Call) -> None:
        """Read and write until the stream ends; raise its error, if there was one."""
        writer = self._loop.create_task(self._write_batches(call))
        reader = self._loop.create_task(self._read_replies(call))
        try:
            # If the writer alone failed, the session would take requests and send none.
            await asyncio.wait((writer, reader), return_when=asyncio.FIRST_COMPLETED)
            if not reader.done():
                # Wait for replies under way, and for the stream's status.
                await asyncio.wait((reader,), timeout=_LAST_REPLIES_S)
            await (reader if reader.done() else writer)
        finally:
            writer.cancel()
            reader.cancel()
            self._writer_idle = None
            self._writing = False
            await asyncio.gather(writer, reader, return_exceptions=True)

    async def _read_replies(self, call: _Call) -> None:
        pending = self._pending
        while isinstance(response := await call.read(), pb.SessionResponse):  # else: EOF
            for reply in response.replies:
                future = pending.pop(reply.request_id, None)
                if future is not None and not future.done():
                    future.set_result(reply)

    async def _write_batches(self, call: _Call) -> None:
        while True:
            if not self._batch:
                self._writer_idle = self._loop.create_future()
                await self._writer_idle
                if len(self._batch) < _REQUESTS_DUE:
                    # Yield once, so that requests that have arrived by now go along.
                    await asyncio.sleep(0)
            batch = self._take_batch()
            if not batch:
                continue
            metrics.ENGINE_BATCHES.inc()
            metrics.ENGINE_REQUESTS.inc(len(batch))
            self._writing = True
            await call.write(pb.SessionRequest(requests=batch, shard_id=self._shard_id))
            self._writing = False

    def _take_batch(self) -> list[pb.Request]:
        """Return the requests of the next message, without those whose callers have gone."""
        taken = self._batch[:REQUESTS_PER_MESSAGE_MAX]
        del self._batch[:REQUESTS_PER_MESSAGE_MAX]
        pending = self._pending
        batch = [request for request in taken if not pending[request.request_id].done()]
        if len(batch) < len(taken):
            for request in taken:
                if pending[request.request_id].done():
                    del pending[request.request_id]
        return batch

    def _disconnect(self, reason: str) -> None:
        """Settle every request: unwritten ones never left; the fate of the others is unknown."""
        self.connected = False
        unsent = {request.request_id for request in self._batch}
        self._batch.clear()
        pending, self._pending = self._pending, {}
        for request_id, future in pending.items():
            if future.done():
                continue
            if request_id in unsent:
                future.set_exception(EngineUnavailable("the matching engine cannot be reached"))
            else:
                self._lose(future, reason)

    async def _expire_overdue(self) -> None:
        """Give up overdue replies, without a timer for each request."""
        interval_s = self._reply_timeout_s / _SWEEPS_PER_TIMEOUT
        marks: deque[int] = deque(maxlen=_SWEEPS_PER_TIMEOUT)
        while True:
            await asyncio.sleep(interval_s)
            overdue_below = marks[0] if len(marks) == _SWEEPS_PER_TIMEOUT else 0
            marks.append(self._next_id)
            self._withdraw_unsent(overdue_below)
            while self._pending and (request_id := next(iter(self._pending))) < overdue_below:
                future = self._pending.pop(request_id)
                if not future.done():
                    self._lose(future, f"no reply in {self._reply_timeout_s:g} s")

    def _withdraw_unsent(self, below_id: int) -> None:
        """Settle overdue requests that have not left, and make sure that they never will."""
        overdue = 0
        while overdue < len(self._batch) and self._batch[overdue].request_id < below_id:
            future = self._pending.pop(self._batch[overdue].request_id)
            if not future.done():
                future.set_exception(EngineUnavailable("the matching engine takes no requests"))
            overdue += 1
        del self._batch[:overdue]

    @staticmethod
    def _lose(future: asyncio.Future[pb.Reply], reason: str) -> None:
        future.set_exception(FateUnknown(f"the matching engine's reply did not come ({reason})"))


@contextlib.asynccontextmanager
async def _open_stream(channel: grpc.aio.Channel) -> AsyncIterator[_Call]:
    call = rpc.TradingStub(channel).Session()
    try:
        await call.wait_for_connection()
        yield call
    finally:
        call.cancel()
