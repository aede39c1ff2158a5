"""This engine takes over a journal that an engine of an older version left behind."""

import gzip
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from openvenue.engine.v1 import engine_pb2 as pb

from tests.faults.engine_process import EngineProcess
from tests.faults.traders import INSTRUMENT_ID, Trader, assert_still_there, trade_until

JOURNALS = Path("engine/testdata")


def unpack(journal: Path, data: Path) -> None:
    data.mkdir(parents=True)
    for packed in journal.glob("*.ov?.gz"):
        (data / packed.stem).write_bytes(gzip.decompress(packed.read_bytes()))


def as_version_5(entry: dict[str, Any]) -> dict[str, Any]:
    """Return an entry as the older `journal dump` printed it, after checking its new fields."""
    for record in (entry["command"], *entry["events"]):
        for name in ("trail_ticks", "trail_ppm", "protection_ppm"):
            assert record.pop(name, 0) == 0
    return entry


def as_version_4(entry: dict[str, Any]) -> dict[str, Any]:
    """Return it as the one before that printed it."""
    entry = as_version_5(entry)
    assert entry["command"].pop("stop_price_ticks", 0) == 0
    for event in entry["events"]:
        assert event.pop("stop_price_ticks", 0) == 0
        assert event.pop("waiting", False) is False
    return entry


def as_version_3(entry: dict[str, Any]) -> dict[str, Any]:
    """Return it as the one before that printed it."""
    entry = as_version_4(entry)
    assert entry["command"].pop("self_trade_prevention", "none") == "none"
    assert entry["command"].pop("post_only", False) is False
    return entry


def as_version_2(entry: dict[str, Any]) -> dict[str, Any]:
    """Return it as the one before that printed it."""
    entry = as_version_3(entry)
    assert entry.pop("actor") == ""
    assert entry["command"].pop("position_intent", "unspecified") == "unspecified"
    assert entry["command"].pop("history_checked", False) is False
    assert entry["command"].pop("rules_version", 1) == 1
    if "max_positions_per_account" in entry["command"]:
        assert entry["command"].pop("max_positions_per_account") == 1 << 26
        assert entry["command"].pop("max_client_ids") == entry["command"]["max_orders"]
    return entry


@pytest.mark.parametrize("name", ["closed", "killed"])
@pytest.mark.parametrize(
    ("version", "as_printed"),
    [(2, as_version_2), (3, as_version_3), (4, as_version_4), (5, as_version_5)],
)
def test_an_older_journal_is_read_continued_and_verified(
    version: int,
    as_printed: Callable[[dict[str, Any]], dict[str, Any]],
    name: str,
    tmp_path: Path,
) -> None:
    engine = EngineProcess(tmp_path)
    journal = JOURNALS / f"journal-v{version}" / name
    unpack(journal, engine.data)
    expected = json.loads((journal / "expected.json").read_text())
    verdict = engine.verify_journal()
    assert verdict["entries"] == expected["entries"]
    assert verdict["snapshots"] == expected["snapshots"]
    printed = gzip.decompress((journal / "dump.jsonl.gz").read_bytes()).decode()
    of_before = {entry["sequence"]: entry for entry in map(json.loads, printed.splitlines())}
    assert of_before
    for entry in engine.dump_journal():
        if entry["sequence"] in of_before:
            assert as_printed(entry) == of_before[entry["sequence"]]

    engine.start()
    trader = Trader(account_id=9, seed=4)
    engine.apply(
        pb.AdminRequest(
            open_account=pb.OpenAccount(
                account_id=9, name="new", may_sell_short=True, credit_limit_micros=10**15
            )
        )
    )
    stop = threading.Event()
    timer = threading.Timer(1, stop.set)
    timer.start()
    trade_until(engine, [trader], stop)
    timer.join()
    assert trader.acknowledged
    engine.kill()
    engine.start()
    assert_still_there(engine, trader, newest=len(trader.acknowledged))
    reply = engine.submit(
        pb.Request(
            request_id=1,
            new_order=pb.NewOrder(
                account_id=3,
                instrument_id=INSTRUMENT_ID,
                side=pb.SIDE_SELL,
                type=pb.ORDER_TYPE_LIMIT,
                time_in_force=pb.TIME_IN_FORCE_GTC,
                qty_lots=1,
                limit_price_ticks=99_000,
                client_order_id="opens what it has",
                position_intent=pb.POSITION_INTENT_SELL_TO_OPEN,
            ),
        )
    )[0]
    assert reply.reject.reason == pb.REASON_POSITION_INTENT_MISMATCH
    assert engine.stop() == 0
    verdict = engine.verify_journal()
    assert verdict["ending"] == "clean"
    assert verdict["entries"] > expected["entries"] + len(trader.acknowledged)
