"""Reads a part of the journal that is durable already, and ends."""

import asyncio
from collections.abc import AsyncGenerator

import grpc

from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.journal.reader import JournalReader
from openvenue.settings import Settings

_MESSAGE_TIMEOUT_S = 10.0


class NoLongerThere(Exception):
    """The engine's directory and archive lack the first entry; the engine says what they have."""


async def entries_between(
    settings: Settings, first: int, last: int
) -> AsyncGenerator[pb.JournalEntry, None]:
    """Yield the entries from `first` to `last`, which must be durable. Close it after use.

    The event loop gets a turn after each message of the engine. Raises NoLongerThere,
    grpc.aio.AioRpcError or OSError when the engine is away.
    """
    if first > last:
        return
    async with JournalReader(settings, first) as reader:
        while True:
            try:
                message = await reader.read(_MESSAGE_TIMEOUT_S)
            except grpc.aio.AioRpcError as error:
                if error.code() == grpc.StatusCode.OUT_OF_RANGE:
                    raise NoLongerThere(error.details()) from error
                raise
            if message is None:
                raise TimeoutError("the engine sent no journal entry")
            for entry in message.entries:
                if entry.sequence > last:
                    return
                yield entry
                if entry.sequence == last:
                    return
            await asyncio.sleep(0)
