"""Follows the engine's journal stream, which can be resumed from any sequence number."""

import asyncio
from typing import Self

from openvenue.engine.client import open_channel
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.engine.v1 import engine_pb2_grpc as rpc
from openvenue.settings import Settings


class JournalReader:
    """Reads batches of entries from `from_sequence` on; use as an async context manager.

    At most one message is read ahead: the rest waits in gRPC's own flow control.
    """

    def __init__(self, settings: Settings, from_sequence: int) -> None:
        self._channel = open_channel(settings)
        self._call = rpc.MarketDataStub(self._channel).StreamJournal(
            pb.StreamJournalRequest(shard_id=settings.shard_id, from_sequence=from_sequence)
        )
        self._next: asyncio.Future[object] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._call.cancel()
        if self._next is not None:
            self._next.cancel()
            await asyncio.gather(self._next, return_exceptions=True)
        await self._channel.close()

    async def read(self, timeout_s: float | None) -> pb.JournalBatch | None:
        """Return the next message; None if none came in time, which loses none.

        Raises grpc.aio.AioRpcError when the engine is away, ConnectionError when it ends
        the stream.
        """
        if self._next is None:
            self._next = asyncio.ensure_future(self._call.read())
        await asyncio.wait((self._next,), timeout=timeout_s)
        if not self._next.done():
            return None
        message, self._next = self._next.result(), None
        if not isinstance(message, pb.JournalBatch):
            raise ConnectionError("the engine ended the journal stream")
        return message
