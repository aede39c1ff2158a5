"""Finds the orders that a part of the journal changed."""

import asyncio

from openvenue.journal.books import changed_orders
from openvenue.journal.reader import JournalReader
from openvenue.settings import Settings

_TIMEOUT_S = 10.0


async def changed_between(settings: Settings, first: int, last: int) -> set[int]:
    """Return the ids of orders older than entry `first` that the entries from `first` to `last`
    filled, canceled, replaced or triggered: no more than were open before them.

    Raises grpc.aio.AioRpcError: with OUT_OF_RANGE if the journal no longer reaches back to `first`.
    """
    changed: set[int] = set()
    sequence = first - 1
    if sequence >= last:
        return changed
    async with JournalReader(settings, first) as reader:
        while sequence < last:
            batch = await reader.read(_TIMEOUT_S)
            if batch is None:
                raise TimeoutError("the engine sent no journal entry")
            for entry in batch.entries:
                changed.update(each for each in changed_orders(entry) if each < first)
            sequence = batch.entries[-1].sequence
            await asyncio.sleep(0)
    return changed
