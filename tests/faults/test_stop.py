"""SIGTERM ends the engine in time, whatever its clients do, and loses nothing acknowledged."""

import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.engine.v1 import engine_pb2_grpc as rpc

from tests.faults.engine_process import EngineProcess
from tests.faults.traders import INSTRUMENT_ID, open_market

ACCOUNT = 1
STOPPED_WITHIN_S = 30.0  # the engine's own bound is 15 s, after which its status is not 0
SMALL_WINDOW = [
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", 16 << 10),
]


def order(number: int) -> pb.Request:
    return pb.Request(
        request_id=number,
        new_order=pb.NewOrder(
            account_id=ACCOUNT,
            instrument_id=INSTRUMENT_ID,
            side=pb.SIDE_BUY,
            type=pb.ORDER_TYPE_LIMIT,
            time_in_force=pb.TIME_IN_FORCE_GTC,
            qty_lots=1,
            limit_price_ticks=1,
            client_order_id=f"order-{number}",
        ),
    )


def lists_of_orders(sent: threading.Event, end: threading.Event) -> Iterator[pb.SessionRequest]:
    """Ask for far more than a client's window holds, and keep the session open."""
    query = pb.ListOpenOrders(account_id=ACCOUNT, limit=500)
    for number in range(50):
        yield pb.SessionRequest(requests=[pb.Request(request_id=number, list_open_orders=query)])
    sent.set()
    end.wait()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[EngineProcess]:
    engine = EngineProcess(tmp_path).start()
    yield engine
    engine.kill()


def test_a_stop_waits_for_no_client_and_no_snapshot(engine: EngineProcess) -> None:
    open_market(engine, [ACCOUNT])
    acknowledged = 0
    for page in range(20):
        replies = engine.submit(*(order(page * 1000 + number) for number in range(1000)))
        assert all(reply.HasField("order") for reply in replies)
        acknowledged = max(reply.sequence for reply in replies)

    target = f"127.0.0.1:{engine.port}"
    with grpc.insecure_channel(target, options=SMALL_WINDOW) as channel:
        sent = [threading.Event() for _ in range(8)]
        end = threading.Event()
        silent = [rpc.TradingStub(channel).Session(lists_of_orders(event, end)) for event in sent]
        journal = rpc.MarketDataStub(channel).StreamJournal(pb.StreamJournalRequest())
        first = next(journal)  # and no further batch
        assert first.entries
        for event in sent:
            event.wait(STOPPED_WITHIN_S)
        with engine.admin.stub() as stub:
            snapshot = stub.TakeSnapshot.future(
                pb.TakeSnapshotRequest(), metadata=engine.admin.metadata
            )
            assert engine.process is not None
            engine.process.send_signal(signal.SIGTERM)
            assert engine.process.wait(STOPPED_WITHIN_S) == 0
            calls: list[Any] = [*silent, journal, snapshot]
            for call in calls:
                call.cancel()
        end.set()

    assert engine.verify_journal()["last_sequence"] >= acknowledged
    assert not list(engine.data.glob("next-snapshot.tmp"))
