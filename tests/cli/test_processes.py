"""Children are restarted at growing intervals, unless a restart would only repeat their end."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from openvenue.cli.local.processes import Child, keep_running
from openvenue.commands import CommandError


@pytest.fixture
def child(tmp_path: Path) -> Callable[..., Child]:
    """Return a function that makes a child from a shell script."""

    def make(script: str, **terms: object) -> Child:
        return Child(
            name="child",
            command=["sh", "-c", script],
            environment={"PATH": "/usr/bin:/bin"},
            log=tmp_path / "child.log",
            stop_timeout_s=0.2,
            **terms,  # type: ignore[arg-type]
        )

    return make


async def test_a_child_that_dies_is_reported_and_started_again(
    child: Callable[..., Child],
) -> None:
    reports: asyncio.Queue[str] = asyncio.Queue()
    dying = child("exit 7")
    await dying.start()
    keeping = asyncio.ensure_future(keep_running(dying, reports.put_nowait))
    first, second = await reports.get(), await reports.get()
    keeping.cancel()
    assert "exit code 7" in first
    assert "in 0.5 s" in first
    assert "in 1.0 s" in second
    assert dying.restarts == 1


async def test_a_final_exit_code_ends_the_watch_with_the_end_of_the_log(
    child: Callable[..., Child],
) -> None:
    refusing = child("echo the journal is damaged; exit 3", final_exit_codes=frozenset({3}))
    await refusing.start()
    with pytest.raises(CommandError, match="the journal is damaged"):
        await keep_running(refusing, pytest.fail)


async def test_a_child_that_does_not_stop_is_killed(
    child: Callable[..., Child], tmp_path: Path
) -> None:
    ready = tmp_path / "ready"
    os.mkfifo(ready)
    stubborn = child(f"trap '' TERM; echo ready >{ready}; while :; do sleep 1; done")
    await stubborn.start()
    await asyncio.to_thread(ready.read_text)
    await stubborn.stop()
    assert stubborn.exit_code == -9
