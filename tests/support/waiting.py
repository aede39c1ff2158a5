"""Waiting for a fact, never for a while: the one loop for each kind of caller."""

import asyncio
import time
from collections.abc import Callable

WITHIN_S = 60.0
"""Bounds a failure, not a success: on a machine that is busy everything takes longer."""


def wait_for(
    condition: Callable[[], object], within_s: float = WITHIN_S, *, every_s: float = 0.05
) -> None:
    """Return once `condition()` is true. Raises AssertionError after `within_s` seconds."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"it did not happen within {within_s:g} s"
        time.sleep(every_s)


async def until(
    condition: Callable[[], object], within_s: float = WITHIN_S, *, every_s: float = 0.05
) -> None:
    """Do the same in an event loop, which goes on while a thread asks for `condition()`."""
    deadline = time.monotonic() + within_s
    while not await asyncio.to_thread(condition):
        assert time.monotonic() < deadline, f"it did not happen within {within_s:g} s"
        await asyncio.sleep(every_s)
