"""An engine whose disk fills: read-only in time, with cancels, and back by itself."""

import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.engine.v1 import engine_pb2_grpc as rpc

from tests.faults.engine_process import EngineProcess
from tests.faults.small_disk import MIB, enlarge, fill_until_refused, new_orders, small_disk
from tests.faults.traders import open_market

PATIENCE_S = 20.0


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[EngineProcess]:
    """An engine with one account, on a disk of 16 MiB of which 8 are the reserve."""
    with small_disk(tmp_path / "data", 16):
        process = EngineProcess(
            tmp_path, "--disk-reserve-bytes", str(8 * MIB), snapshot_interval=0
        ).start()
        open_market(process, [1])
        yield process
        process.kill()


def cancel(order_id: int) -> pb.Request:
    return pb.Request(request_id=1, cancel_order=pb.CancelOrder(account_id=1, order_id=order_id))


def read_only(engine: EngineProcess) -> bool:
    with engine.channel() as channel:
        status = rpc.AdminStub(channel).GetStatus(pb.GetStatusRequest(), timeout=10)
    return bool(status.read_only)


def wait_until_writable(engine: EngineProcess) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while read_only(engine):
        assert time.monotonic() < deadline, engine.log_tail()
        time.sleep(0.02)


def test_a_disk_that_fills_makes_the_engine_read_only_and_loses_nothing(
    engine: EngineProcess,
) -> None:
    replies = fill_until_refused(engine, 1)
    refused = [reply.not_sequenced for reply in replies if reply.HasField("not_sequenced")]
    acknowledged = [reply.order for reply in replies if reply.HasField("order")]
    assert {refusal.cause for refusal in refused} == {pb.NotSequenced.CAUSE_READ_ONLY}
    assert "read-only" in refused[0].message
    assert read_only(engine)
    assert "the engine is read-only" in engine.log_tail()

    # More cancels than fit into what was left of the segment in use: the reserve pays for them.
    for first in range(0, 8_000, 500):
        batch = [
            pb.Request(
                request_id=index,
                cancel_order=pb.CancelOrder(account_id=1, order_id=order.order_id),
            )
            for index, order in enumerate(acknowledged[first : first + 500])
        ]
        for reply in engine.submit(*batch):
            assert reply.order.status == pb.ORDER_STATUS_CANCELED
    newest = acknowledged[-1]
    found = engine.submit(
        pb.Request(
            request_id=1,
            get_order=pb.GetOrder(account_id=1, client_order_id=newest.client_order_id),
        )
    )[0]
    assert found.order == newest
    with pytest.raises(grpc.RpcError, match="read-only"):
        engine.apply(
            pb.AdminRequest(adjust_balance=pb.AdjustBalance(account_id=1, amount_micros=1))
        )

    enlarge(engine.data, 40)
    wait_until_writable(engine)
    assert engine.submit(*new_orders(1, 1_000_000, 1))[0].HasField("order")
    assert engine.stop() == 0
    # What was refused never reached the journal.
    entered = [entry for entry in engine.dump_journal() if "new_order" in str(entry)]
    assert len(entered) == len(acknowledged) + 1
    engine.verify_journal()


@pytest.mark.parametrize("left_bytes", [0, MIB // 2])
def test_an_engine_that_starts_on_a_full_disk_serves_what_is_there(
    engine: EngineProcess, left_bytes: int
) -> None:
    order = engine.submit(*new_orders(1, 1, 1))[0].order
    engine.kill()
    ballast = engine.data / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            file.truncate(file.tell() // 4096 * 4096 - left_bytes)

    for _ in range(2):  # and again: it leaves nothing that would not fit
        engine.start()
        assert read_only(engine)
        refused = engine.submit(*new_orders(1, 2, 1), cancel(order.order_id))
        assert [reply.not_sequenced.cause for reply in refused] == [
            pb.NotSequenced.CAUSE_READ_ONLY,
            pb.NotSequenced.CAUSE_READ_ONLY,
        ]
        assert engine.status().open_orders == 1
        assert engine.stop() == 0

    engine.start()
    ballast.unlink()
    wait_until_writable(engine)
    assert engine.submit(cancel(order.order_id))[0].order.status == pb.ORDER_STATUS_CANCELED
    assert engine.submit(*new_orders(1, 2, 1))[0].HasField("order")
