"""Performs operations concurrently, with the same outcome as one by one."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

from openvenue.replay.operation import Operation, conflicts

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


async def dispatch(
    items: Iterable[tuple[Item, Sequence[Operation]]],
    perform: Callable[[Operation], Awaitable[Outcome]],
    window: int,
) -> AsyncIterator[tuple[Item, list[Outcome]]]:
    """Yield each item with the outcomes of its operations (maybe none), in the order given.

    An operation starts when no earlier unfinished one conflicts with it; at most `window` (≥ 1) are
    under way or waiting. An error of `perform` ends the iteration, and everything under way.
    """
    unfinished: deque[tuple[Operation, asyncio.Task[Outcome]]] = deque()
    waiting: deque[tuple[Item, list[asyncio.Task[Outcome]]]] = deque()

    async def perform_after(earlier: list[asyncio.Task[Outcome]], operation: Operation) -> Outcome:
        if earlier:
            await asyncio.wait(earlier)
        return await perform(operation)

    def start(operation: Operation) -> asyncio.Task[Outcome]:
        earlier = [
            task for other, task in unfinished if not task.done() and conflicts(other, operation)
        ]
        task = asyncio.ensure_future(perform_after(earlier, operation))
        unfinished.append((operation, task))
        return task

    try:
        for item, operations in items:
            tasks: list[asyncio.Task[Outcome]] = []
            for operation in operations:
                while unfinished and (len(unfinished) >= window or unfinished[0][1].done()):
                    await unfinished.popleft()[1]
                tasks.append(start(operation))
            waiting.append((item, tasks))
            while waiting and all(task.done() for task in waiting[0][1]):
                first, done = waiting.popleft()
                yield first, [task.result() for task in done]
        for first, remaining in waiting:
            yield first, [await task for task in remaining]
    finally:
        for _, task in unfinished:
            task.cancel()
        await asyncio.gather(*(task for _, task in unfinished), return_exceptions=True)
