"""Unit tests start no process: one that does fails, also where a fixture does it."""

import sys
from collections.abc import Iterator

import pytest

_STARTS = {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.system"}
_running: list[str] = []


def _refuse(event: str, _arguments: object) -> None:
    if _running and event in _STARTS:
        raise RuntimeError(f"a unit test starts a process ({event}): {_running[-1]}")


sys.addaudithook(_refuse)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    _running.append(item.nodeid)
    try:
        return (yield)
    finally:
        _running.pop()
