"""Unit tests start no process: a test that does fails, also if a fixture does it."""

import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

_HERE = Path(__file__).parent

_STARTS = {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.system"}
_running: list[str] = []


def _refuse(event: str, _arguments: object) -> None:
    if _running and event in _STARTS:
        raise RuntimeError(f"a unit test starts a process ({event}): {_running[-1]}")


sys.addaudithook(_refuse)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, Any, Any]:
    return (yield from _refusing(item))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    return (yield from _refusing(item))


def _refusing(item: pytest.Item) -> Generator[None, Any, Any]:
    """Refuse within the hook. Not at a test's end: after the last, servers of others end too."""
    # pytest calls the hooks for the tests of every folder.
    if _HERE not in item.path.parents:
        return (yield)
    _running.append(item.nodeid)
    try:
        return (yield)
    finally:
        _running.pop()
