"""The engine with a journal that cannot be written, is held by another, or is damaged."""

import resource
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.engine_process import EngineProcess
from tests.faults.traders import Trader, assert_still_there, open_market, trade_until

EXIT_JOURNAL_REFUSED = 3
EXIT_JOURNAL_FAILED = 4
SEGMENT_HEADER_BYTES = 4096
FRAME_HEADER_BYTES = 64
FRAME_MAGIC = b"OVF\xff"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[EngineProcess]:
    """Yield a running engine with one account that trades."""
    process = EngineProcess(tmp_path).start()
    open_market(process, [1])
    yield process
    process.kill()


def trade_for(engine: EngineProcess, trader: Trader, seconds: float) -> None:
    stop = threading.Event()
    timer = threading.Timer(seconds, stop.set)
    timer.start()
    trade_until(engine, [trader], stop)
    timer.join()


def newest_segment(engine: EngineProcess) -> Path:
    return max(engine.data.glob("journal-*.ovj"))


def frame_offsets(segment: Path) -> list[int]:
    """Return where frames begin; only for a test's flow, which never contains the magic bytes."""
    content = segment.read_bytes()
    offsets = []
    at = content.find(FRAME_MAGIC, SEGMENT_HEADER_BYTES)
    while at >= 0:
        offsets.append(at)
        at = content.find(FRAME_MAGIC, at + 1)
    return offsets


def overwrite(segment: Path, offset: int, content: bytes) -> None:
    with segment.open("r+b") as file:
        file.seek(offset)
        file.write(content)


def test_a_failed_write_ends_the_engine_and_nothing_acknowledged_is_lost(
    engine: EngineProcess,
) -> None:
    trader = Trader(1, seed=1)
    assert engine.process is not None
    # From now on no file of the process may grow beyond this, as on a full disk.
    limit_bytes = 256 << 10
    resource.prlimit(engine.process.pid, resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))
    trade_until(engine, [trader], threading.Event())

    assert engine.process.wait(10) == EXIT_JOURNAL_FAILED
    assert "the journal cannot be written" in engine.log_tail()
    assert f"{newest_segment(engine)} at offset" in engine.log_tail()
    assert trader.acknowledged
    engine.start()
    assert_still_there(engine, trader, newest=len(trader.acknowledged))


def test_a_second_engine_on_the_same_directory_is_refused(engine: EngineProcess) -> None:
    assert engine.process is not None
    second = EngineProcess(engine.data.parent)
    second.log = engine.data.parent / "second.log"
    assert second.spawn().wait(10) == EXIT_JOURNAL_REFUSED
    assert f"is in use by process {engine.process.pid}" in second.log_tail()
    assert engine.status().applied_sequence > 0


def test_damage_within_the_journal_stops_the_engine_with_file_and_offset(
    engine: EngineProcess,
) -> None:
    trade_for(engine, Trader(1, seed=2), 0.2)
    assert engine.stop() == 0
    segment = newest_segment(engine)
    content = segment.read_bytes()
    # Some frames are marks without entries: an engine that is idle for a moment writes one.
    with_entries = [at for at in frame_offsets(segment) if content[at + 12 : at + 16] != bytes(4)]
    damaged = with_entries[len(with_entries) // 2]
    overwrite(segment, damaged + FRAME_HEADER_BYTES, b"\xa5" * 4)

    assert engine.spawn().wait(10) == EXIT_JOURNAL_REFUSED
    assert f"{segment} at offset {damaged}" in engine.log_tail()
    assert "journal verify" in engine.log_tail()


def test_a_torn_last_frame_is_cut_off_with_a_log_line(engine: EngineProcess) -> None:
    trader = Trader(1, seed=3)
    trade_for(engine, trader, 0.2)
    applied = engine.status().applied_sequence
    engine.kill()
    segment = newest_segment(engine)
    last = frame_offsets(segment)[-1]
    content = segment.read_bytes()
    (payload_bytes,) = struct.unpack_from("<I", content, last + 12)
    end = last + (64 + payload_bytes + 7) // 8 * 8
    overwrite(segment, end, content[last : last + 99] + b"x")

    engine.start()
    assert "torn_bytes_cut=100" in engine.log_tail()
    assert engine.status().applied_sequence == applied
    assert_still_there(engine, trader, newest=len(trader.acknowledged))
