"""Tells the engine how far the projection is, so that it archives nothing that is still wanted."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import grpc

from openvenue.engine.client import open_channel
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.engine.v1 import engine_pb2_grpc as rpc
from openvenue.settings import Settings
from openvenue.telemetry import get_logger

_log = get_logger(__name__)

_TIMEOUT_S = 10.0


@contextlib.asynccontextmanager
async def acknowledging(
    settings: Settings, reader: str, interval_s: float, sequence: Callable[[], int]
) -> AsyncIterator[None]:
    """Acknowledge what `sequence` returns, at once and every `interval_s`, within the block.

    A failed call is tried again with the next one: a late acknowledgement only keeps more. An
    engine of the version before does not know the call, and removes no segment.
    """
    task = asyncio.ensure_future(_acknowledge(settings, reader, interval_s, sequence))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _acknowledge(
    settings: Settings, reader: str, interval_s: float, sequence: Callable[[], int]
) -> None:
    acknowledged: int | None = None
    async with open_channel(settings) as channel:
        stub = rpc.MarketDataStub(channel)
        while True:
            now = sequence()
            if now != acknowledged:
                request = pb.AcknowledgeJournalRequest(
                    shard_id=settings.shard_id, reader=reader, sequence=now
                )
                try:
                    await stub.AcknowledgeJournal(request, timeout=_TIMEOUT_S)
                    acknowledged = now
                except grpc.aio.AioRpcError as error:
                    if error.code() == grpc.StatusCode.UNIMPLEMENTED:
                        return
                    _log.warning("journal not acknowledged", sequence=now, error=error.details())
            await asyncio.sleep(interval_s)
