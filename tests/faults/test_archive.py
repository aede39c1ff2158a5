"""Segments that an engine moved to its archive: it starts without them, and nothing is lost."""

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.engine.v1 import engine_pb2_grpc as rpc

from tests.faults.engine_process import EngineProcess
from tests.faults.small_disk import BATCH, new_orders, small_disk
from tests.faults.traders import open_market
from tests.support.venue import engine_binary

PATIENCE_S = 120.0
# Many segments and snapshots.
BATCHES_ENOUGH = 100_000 // BATCH
BATCHES_OF_A_SEGMENT = 14_000 // BATCH


@pytest.fixture
def archived(tmp_path: Path) -> Iterator[EngineProcess]:
    """An engine that keeps 2 MiB of its journal, and has moved the rest to another file system."""
    with small_disk(tmp_path / "archive", 200):
        engine = EngineProcess(
            tmp_path,
            *("--archive-dir", str(tmp_path / "archive"), "--journal-retention-bytes", "2097152"),
        ).start()
        try:
            open_market(engine, [1])
            trade_until_archived(engine)
            yield engine
        finally:
            engine.kill()


def trade_until_archived(engine: EngineProcess) -> None:
    """Enter orders until the engine has moved a segment."""
    deadline = time.monotonic() + PATIENCE_S
    batches = 0
    while oldest(engine.data) == 1:
        assert time.monotonic() < deadline, engine.log_tail()
        if batches > BATCHES_ENOUGH:
            time.sleep(0.25)  # A snapshot needs new entries.
        for reply in engine.submit(*new_orders(1, 1 + batches * BATCH)):
            assert reply.HasField("order"), f"{reply}{engine.log_tail()}"
        batches += 1
        if batches % BATCHES_OF_A_SEGMENT == 0:
            # By itself the engine rests after each, the longer the slower the machine.
            engine.admin.call("TakeSnapshot", pb.TakeSnapshotRequest())


def oldest(directory: Path) -> int:
    return int(min(directory.glob("journal-*.ovj")).stem.split("-")[-1])


def journal(tool: str, directory: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [str(engine_binary()), "journal", tool, str(directory), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def verdict(result: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert result.returncode == 0, result.stdout + result.stderr
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


def entries_from(engine: EngineProcess, sequence: int, count: int) -> list[pb.JournalEntry]:
    entries: list[pb.JournalEntry] = []
    with engine.channel() as channel:
        stream = rpc.MarketDataStub(channel).StreamJournal(
            pb.StreamJournalRequest(from_sequence=sequence), timeout=60
        )
        for batch in stream:
            entries += batch.entries
            if len(entries) >= count:
                stream.cancel()
                break
    return entries[:count]


def test_it_starts_without_what_is_archived_in_the_same_state(archived: EngineProcess) -> None:
    before = archived.status()
    archived.kill()
    archived.start()
    after = archived.status()
    assert (after.state_hash, after.open_orders) == (before.state_hash, before.open_orders)
    first = archived.submit(
        pb.Request(request_id=1, get_order=pb.GetOrder(account_id=1, client_order_id="order-1"))
    )[0]
    assert first.order.status == pb.ORDER_STATUS_NEW
    archived.stop()
    rest = archived.verify_journal()
    assert rest["first_sequence"] == oldest(archived.data)
    assert rest["replayed_from"] > rest["first_sequence"]
    archive = str(archived.data.parent / "archive")
    whole = verdict(journal("verify", archived.data, "--archive-dir", archive, "--json"))
    assert (whole["first_sequence"], whole["replayed_from"]) == (1, 0)
    assert whole["state_hash"] == rest["state_hash"] == f"{after.state_hash:016x}"


def test_a_reader_gets_all_from_the_archive_and_a_sentence_where_it_is_gone(
    archived: EngineProcess,
) -> None:
    last = archived.status().durable_sequence
    entries = entries_from(archived, 1, last)
    assert [entry.sequence for entry in entries] == list(range(1, last + 1))
    for segment in (archived.data.parent / "archive").glob("*.ovj"):
        segment.unlink()
    with pytest.raises(grpc.RpcError) as refused:
        entries_from(archived, 1, 1)
    assert refused.value.code() == grpc.StatusCode.OUT_OF_RANGE
    assert "openvenue journal restore" in (refused.value.details() or "")
    assert entries_from(archived, oldest(archived.data), 1)


def test_a_journal_is_restored_up_to_an_entry_and_an_engine_goes_on_with_it(
    archived: EngineProcess, tmp_path: Path
) -> None:
    # An order within the archive; the engine runs on.
    wanted = oldest(archived.data) // 2
    options = ["--archive-dir", str(tmp_path / "archive"), "--until", str(wanted), "--json"]
    second = tmp_path / "second"
    second.mkdir()
    restored = verdict(journal("restore", archived.data, "--to", str(second / "data"), *options))
    assert (restored["last_sequence"], restored["first_sequence"]) == (wanted, 1)
    assert (
        "not an empty"
        in journal("restore", archived.data, "--to", str(second / "data"), *options).stderr
    )

    engine = EngineProcess(second).start()
    try:
        assert engine.status().state_hash == int(restored["state_hash"], 16)
        assert engine.submit(*new_orders(1, 10_000_000, 1))[0].sequence == wanted + 1
    finally:
        engine.kill()


def test_without_archive_or_snapshot_it_says_what_is_missing(
    archived: EngineProcess, tmp_path: Path
) -> None:
    archived.kill()
    for snapshot in archived.data.glob("*.ovs"):
        snapshot.unlink()
    alone = EngineProcess(tmp_path)
    assert alone.spawn().wait(20) == 3
    assert "no snapshot in" in alone.log_tail()
    assert "--archive-dir" in alone.log_tail()
    archived.start()  # it has the archive
    assert archived.status().open_orders > 0


def test_segments_that_are_to_go_need_an_archive(tmp_path: Path) -> None:
    engine = EngineProcess(tmp_path, "--journal-retention-seconds", "60")
    assert engine.spawn().wait(20) == 1
    assert "--archive-dir" in engine.log_tail()
