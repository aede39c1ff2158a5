"""Clients that take all they can get of the engine's gRPC do not disturb others.

The attackers come from one address, over TCP. The undisturbed trader is another peer, on a Unix
socket, with one session that stays open.
"""

import contextlib
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import grpc
import h2.config
import h2.connection
import h2.events
import h2.exceptions
import psutil
import pytest
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.engine.v1 import engine_pb2_grpc as rpc

from tests.faults.engine_process import EngineProcess
from tests.faults.traders import INSTRUMENT_ID, open_market
from tests.support.venue import engine_binary

ACCOUNT = 1
REPLY_WITHIN_S = 20.0
CONNECTIONS_PER_PEER_MAX = 8
STREAMS_PER_CONNECTION_MAX = 32
MESSAGE_BYTES = 250 << 10  # a little less than the engine's limit
METHOD = "/openvenue.engine.v1.Trading/Submit"
# Indexes lie on huge pages: a few hundred ids touch all of them.
POOLS_TOUCHED_AFTER = 500


class UndisturbedTrader:
    """Enters and cancels orders in one session until it is stopped; `orders` counts them."""

    def __init__(self, address: str, name: str = "undisturbed") -> None:
        self.orders = 0
        self._name = name
        self._requests: list[pb.Request] = []
        self._wanted = threading.Semaphore(0)
        self._channel = grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)])
        self._replies = rpc.TradingStub(self._channel).Session(self._messages())

    def trade(self) -> None:
        """Enter an order and cancel it, both in the one session."""
        self.orders += 1
        order = pb.NewOrder(
            account_id=ACCOUNT,
            instrument_id=INSTRUMENT_ID,
            side=pb.SIDE_BUY,
            type=pb.ORDER_TYPE_LIMIT,
            time_in_force=pb.TIME_IN_FORCE_GTC,
            qty_lots=1,
            limit_price_ticks=1,
            client_order_id=f"{self._name}-{self.orders}",
        )
        entered = self._ask(pb.Request(request_id=2 * self.orders, new_order=order)).order
        assert entered.status == pb.ORDER_STATUS_NEW
        cancel = pb.CancelOrder(account_id=ACCOUNT, order_id=entered.order_id)
        canceled = self._ask(pb.Request(request_id=2 * self.orders + 1, cancel_order=cancel)).order
        assert canceled.status == pb.ORDER_STATUS_CANCELED

    def close(self) -> None:
        self._replies.cancel()
        self._channel.close()

    def _ask(self, request: pb.Request) -> pb.Reply:
        self._requests.append(request)
        self._wanted.release()
        (reply,) = next(self._replies).replies
        assert reply.request_id == request.request_id
        return reply

    def _messages(self) -> Iterator[pb.SessionRequest]:
        while True:
            self._wanted.acquire()
            yield pb.SessionRequest(requests=[self._requests.pop()])


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[EngineProcess]:
    options = ["--listen", f"127.0.0.1:0,unix:{tmp_path}/socket"]
    options += ["--connections-per-peer-max", str(CONNECTIONS_PER_PEER_MAX)]
    engine = EngineProcess(tmp_path, *options).start()
    yield engine
    engine.kill()


@pytest.fixture
def trader(engine: EngineProcess, tmp_path: Path) -> Iterator[UndisturbedTrader]:
    open_market(engine, [ACCOUNT])
    trader = UndisturbedTrader(f"unix:{tmp_path}/socket")
    trader.trade()
    yield trader
    trader.trade()
    trader.close()


class HalfSender:
    """One HTTP/2 connection on which every message lacks its last byte."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._http = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self._http.initiate_connection()
        self.sent_bytes = 0

    def fill(self, streams: int) -> None:
        """Send as much of that many messages as the engine accepts."""
        message = struct.pack(">BI", 0, MESSAGE_BYTES) + bytes(MESSAGE_BYTES - 1)
        left = {}
        for _ in range(streams):
            stream = self._http.get_next_available_stream_id()
            headers = [(":method", "POST"), (":scheme", "http"), (":path", METHOD)]
            headers += [(":authority", "engine"), ("te", "trailers")]
            self._http.send_headers(stream, [*headers, ("content-type", "application/grpc")])
            left[stream] = memoryview(message)
        while left:
            for stream, rest in list(left.items()):
                window = self._http.local_flow_control_window(stream)
                piece = rest[: min(window, self._http.max_outbound_frame_size)]
                self._http.send_data(stream, piece.tobytes())
                self.sent_bytes += len(piece)
                left[stream] = rest[len(piece) :]
                if not left[stream]:
                    del left[stream]
            self._socket.sendall(self._http.data_to_send())
            if not self._receive():
                return

    def _receive(self) -> bool:
        self._socket.settimeout(0.5)
        with contextlib.suppress(TimeoutError):
            data = self._socket.recv(1 << 16)
            if not data:
                raise ConnectionResetError
            for event in self._http.receive_data(data):
                assert not isinstance(event, h2.events.StreamReset)
            return True
        return False

    def close(self) -> None:
        self._socket.close()


def test_messages_that_never_end_on_as_many_connections_as_one_can_have(
    engine: EngineProcess, trader: UndisturbedTrader
) -> None:
    assert engine.process is not None
    process = psutil.Process(engine.process.pid)
    for _ in range(POOLS_TOUCHED_AFTER):
        trader.trade()
    before = process.memory_info().rss
    senders: list[HalfSender] = []
    refused = 0
    for _ in range(10 * CONNECTIONS_PER_PEER_MAX):
        sender = HalfSender(engine.port)
        try:
            sender.fill(STREAMS_PER_CONNECTION_MAX)
        except (ConnectionError, h2.exceptions.ProtocolError):
            refused += 1
            sender.close()
        else:
            senders.append(sender)
        trader.trade()
    assert len(senders) == CONNECTIONS_PER_PEER_MAX
    assert refused == 9 * CONNECTIONS_PER_PEER_MAX
    sent = sum(sender.sent_bytes for sender in senders)
    assert sent > CONNECTIONS_PER_PEER_MAX * STREAMS_PER_CONNECTION_MAX * MESSAGE_BYTES // 2
    grown = process.memory_info().rss - before
    assert grown < CONNECTIONS_PER_PEER_MAX * (16 << 20)
    for sender in senders:
        sender.close()


def channels(engine: EngineProcess, count: int) -> list[grpc.Channel]:
    return [engine.channel() for _ in range(count)]


Open = Callable[[grpc.Channel], grpc.Call]


def open_reflection(channel: grpc.Channel) -> grpc.Call:
    def requests() -> Iterator[reflection_pb2.ServerReflectionRequest]:
        yield reflection_pb2.ServerReflectionRequest(list_services="")
        time.sleep(REPLY_WITHIN_S)

    call: grpc.Call = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(
        requests()
    )
    return call


def open_idle_session(channel: grpc.Channel) -> grpc.Call:
    never = threading.Event()
    call: grpc.Call = rpc.TradingStub(channel).Session(cast("Any", iter(never.wait, True)))
    return call


def open_unread_journal(channel: grpc.Channel) -> grpc.Call:
    call: grpc.Call = rpc.MarketDataStub(channel).StreamJournal(pb.StreamJournalRequest())
    return call


@pytest.mark.parametrize("open_call", [open_reflection, open_idle_session, open_unread_journal])
def test_streams_that_are_only_held(
    engine: EngineProcess, trader: UndisturbedTrader, open_call: Open, tmp_path: Path
) -> None:
    held_on = channels(engine, CONNECTIONS_PER_PEER_MAX - 1)
    calls = [open_call(channel) for channel in held_on for _ in range(STREAMS_PER_CONNECTION_MAX)]
    deadline = time.monotonic() + REPLY_WITHIN_S
    while not any(call.code() for call in calls if not call.is_active()):
        assert time.monotonic() < deadline, "nothing was refused"
        time.sleep(0.01)
    trader.trade()
    engine.status()  # a unary call of the same peer
    late = UndisturbedTrader(f"unix:{tmp_path}/socket", name="late")
    late.trade()
    late.close()
    with grpc.insecure_channel(f"unix:{tmp_path}/socket") as channel:
        journal = rpc.MarketDataStub(channel).StreamJournal(
            pb.StreamJournalRequest(from_sequence=1), timeout=REPLY_WITHIN_S
        )
        assert next(journal).entries
        journal.cancel()
    for call in calls:
        call.cancel()
    for channel in held_on:
        channel.close()


def test_an_engine_without_descriptors_for_its_connections_does_not_start(tmp_path: Path) -> None:
    command = ["prlimit", "--nofile=200", str(engine_binary()), "serve", "--metrics-listen", ""]
    command += ["--data-dir", str(tmp_path / "data"), "--listen", "127.0.0.1:0"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=REPLY_WITHIN_S)
    assert result.returncode == 1
    assert "limit on open files is 200" in result.stderr
    assert "--connections-max" in result.stderr
    assert not (tmp_path / "data").exists()
