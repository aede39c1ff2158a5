"""Private parts of libraries that this project uses.

pyproject.toml bounds the versions of these libraries from above. Allow a new version once this test
passes with it.
"""

import inspect
from typing import Any

import asyncpg
import httptools
import pytest
from prometheus_client import Counter, Histogram, values
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from sqlalchemy.pool import AsyncAdaptedQueuePool
from uvicorn import Server
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from websockets.asyncio.connection import Connection
from websockets.frames import Frame, Opcode


async def _application(*_: object) -> None: ...


@pytest.mark.parametrize(
    "name",
    [
        *("_should_upgrade", "_unset_keepalive_if_required", "handle_websocket_upgrade"),
        *("connection_made", "connection_lost", "data_received", "pause_writing", "resume_writing"),
        *("on_message_begin", "on_headers_complete", "on_body", "on_message_complete"),
        *("on_response_complete", "send_400_response", "shutdown"),
    ],
)
def test_uvicorn_calls_what_the_protocol_overrides(name: str) -> None:
    assert callable(getattr(HttpToolsProtocol, name))


async def test_uvicorns_protocol_keeps_what_ours_reads() -> None:
    config = Config(_application)
    protocol = HttpToolsProtocol(config, Server(config).server_state, {})
    for name in ("app", "client", "connections", "cycle", "flow", "loop", "parser", "pipeline"):
        assert hasattr(protocol, name)
    assert isinstance(protocol.parser, httptools.HttpRequestParser)
    protocol.on_message_begin()
    assert (protocol.url, protocol.headers) == (b"", [])
    cycle = set(inspect.signature(RequestResponseCycle).parameters)
    assert {"scope", "transport", "flow", "on_response"} <= cycle
    source = inspect.getsource(RequestResponseCycle)
    for name in ("more_body", "response_started", "response_complete", "keep_alive"):
        assert f"self.{name} = " in source
    for name in ("pause_reading", "resume_reading", "read_paused", "write_paused", "drain"):
        assert name in inspect.getsource(FlowControl)


def test_uvicorns_server_has_what_ours_overrides() -> None:
    for name in ("on_tick", "shutdown", "handle_exit"):
        assert callable(getattr(Server, name))
    server = Server(Config(_application))
    assert server.should_exit is False
    assert server.server_state.connections == set()


def test_sqlalchemys_pool_keeps_what_resizing_changes() -> None:
    creator: Any = lambda: None  # noqa: E731
    pool: Any = AsyncAdaptedQueuePool(creator, pool_size=2, max_overflow=1)
    assert (pool._overflow, pool._max_overflow, pool._pool.maxsize) == (-2, 1, 2)
    assert pool._pool._queue._maxsize == 2
    for name in ("_do_get", "_do_return_conn", "_create_connection", "_inc_overflow"):
        assert callable(getattr(pool, name))
    assert pool._inc_overflow() is True
    assert pool._dec_overflow() is True


def test_prometheus_client_keeps_what_counting_ahead_and_slots_use() -> None:
    histogram = Histogram("private_parts_seconds", "x", buckets=(1.0,))
    assert len(histogram._buckets) == 2
    histogram._sum.inc(1.0)
    Counter("private_parts", "x").inc(0)
    assert "process_identifier" in inspect.signature(values.MultiProcessValue).parameters
    assert callable(MultiProcessCollector.merge)
    assert list(inspect.signature(mark_process_dead).parameters) == ["pid", "path"]


def test_asyncpg_hands_its_transport_to_a_connection() -> None:
    parameters = list(inspect.signature(asyncpg.Connection.__init__).parameters)
    assert parameters[:3] == ["self", "protocol", "transport"]
    assert callable(asyncpg.Connection.get_server_pid)


def test_websockets_writes_whole_frames_to_the_transport_that_ours_go_to() -> None:
    source = inspect.getsource(Connection)
    assert "self.transport.write(" in source
    assert "self.transport = transport" in source
    assert Frame(Opcode.TEXT, b"{}").serialize(mask=False) == b"\x81\x02{}"
