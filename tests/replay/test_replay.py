"""Replays through the public REST API of a real venue, with known answers."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from openvenue.replay.session import WINDOW_DEFAULT
from openvenue.security.keys import NewKey

from tests.replay.days import HIDDEN, message, row, write_day
from tests.support.venue import Venue

DATA = Path(os.environ.get("OPENVENUE_TEST_DATA", "../shared/data")) / "lobster"
SHARES = 10_000_000


@pytest.fixture
def keys(venue: Venue, new_account: Callable[..., NewKey], tmp_path: Path) -> Path:
    """Return a keys file of three accounts that hold money and shares."""
    made = [new_account(cash=1_000_000_000) for _ in range(3)]
    for key in made:
        venue.give(key.account_id, instrument_id=1, qty_lots=SHARES)
    file = tmp_path / "keys.json"
    entries = [{"key_id": key.key_id, "secret": key.secret} for key in made]
    file.write_text(json.dumps({"keys": entries}))
    return file


def replay(venue: Venue, keys: Path, *arguments: str) -> dict[str, Any]:
    """Run the command and return the summary of a venue that took everything correctly."""
    summary = summary_of(venue, keys, *arguments)
    assert summary["refused"] == {}
    assert summary["venue_book"]["equal_to_reports"] == summary["venue_book"]["read"] > 0
    assert summary["price_time_priority"]["broken"] == 0
    return summary


def summary_of(venue: Venue, keys: Path, *arguments: str) -> dict[str, Any]:
    """Run the command and return its summary."""
    with started(venue, keys, "--json", *arguments) as process:
        output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    summary: dict[str, Any] = json.loads(output)
    return summary


@contextmanager
def started(
    venue: Venue, keys: Path, *arguments: str, **environment: str
) -> Iterator[subprocess.Popen[str]]:
    """Yield the running command; afterwards the book is empty for other tests."""
    command = [sys.executable, "-m", "openvenue.cli.main", "replay", "--url", venue.url]
    command += ["--keys", str(keys), "--symbol", "AAPL", *arguments]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    ) as process:
        try:
            yield process
        finally:
            process.kill()
    for entry in json.loads(keys.read_text())["keys"]:
        key = NewKey(entry["key_id"], entry["secret"], 0, "")
        with venue.client(key) as client:
            client.delete("/v2/orders")


def test_a_small_day_with_known_answers(venue: Venue, keys: Path, tmp_path: Path) -> None:
    file = write_day(
        tmp_path,
        [
            (HIDDEN, row()),
            (message(1, 7, 30, 1_000_100, 1), row(bid=(1_000_100, 30))),
            (message(1, 8, 20, 1_000_100, 1), row(bid=(1_000_100, 50))),
            (message(2, 7, 10, 1_000_100, 1), row(bid=(1_000_100, 40))),
            (message(4, 7, 20, 1_000_100, 1), row(bid=(1_000_100, 20))),
            (message(4, 8, 5, 1_000_100, 1), row(bid=(1_000_100, 15))),
            (message(3, 8, 15, 1_000_100, 1), row(bid=(999_900, 60))),
        ],
    )
    summary = replay(venue, keys, str(file))
    assert summary["executions"] == {
        "total": 2,
        "at_the_named_order": 2,
        "share": 1.0,
        "by_target": {"named": 2},
    }
    assert summary["trades"] == 2
    assert summary["traded_qty"] == 25
    assert summary["rows"]["right_after_the_message"]["agree"] == 6
    assert summary["rows"]["right_after_the_message"]["levels_differing"] == {
        "vanished": 1,
        "surfaced": 1,
    }
    assert summary["rows"]["after_corrections"]["agree"] == 7
    assert summary["rows"]["read_from_the_venue"] == {
        "compared": 1,
        "agree": 1,
        "share": 1.0,
        "levels_differing": {},
    }
    assert summary["sent_by_cause"] == {
        "message": {"place": 2, "reduce": 1, "take": 2, "cancel": 1},
        "seeded": {"place": 2},
        "surfaced": {"place": 1},
        "vanished": {"cancel": 1},
    }
    assert summary["messages_without_request"] == {"hidden_execution": 1}


def test_effects_of_a_refused_order_are_no_fault_of_matching(
    venue: Venue, keys: Path, tmp_path: Path
) -> None:
    over_the_maximum = 2_000_000
    file = write_day(
        tmp_path,
        [
            (HIDDEN, row()),
            (message(1, 7, over_the_maximum, 1_000_100, 1), row(bid=(1_000_100, 2_000_000))),
            (message(1, 8, 50, 1_000_100, 1), row(bid=(1_000_100, 2_000_050))),
            (message(4, 7, 20, 1_000_100, 1), row(bid=(1_000_100, 2_000_030))),
            (message(4, 7, 1_999_980, 1_000_100, 1), row(bid=(1_000_100, 50))),
            (message(4, 8, 50, 1_000_100, 1), row()),
        ],
    )
    summary = summary_of(venue, keys, str(file))
    assert any("place" in reason for reason in summary["refused"])
    assert summary["executions"]["by_target"] == {"refused": 2, "named": 1}
    assert summary["price_time_priority"] == {"kept": 1, "broken": 0, "not_judged": 2}
    assert summary["venue_book"]["equal_to_reports"] == summary["venue_book"]["read"]
    assert summary["rows"]["after_corrections"]["agree"] == 3


def test_the_omitted_part_of_a_damaged_file_is_reported(
    venue: Venue, keys: Path, tmp_path: Path
) -> None:
    file = write_day(
        tmp_path, [(HIDDEN, row()), (message(1, 7, 30, 1_000_100, 1), row(bid=(1_000_100, 30)))]
    )
    file.write_text(file.read_text() + "34200.7,1,8")
    summary = replay(venue, keys, str(file))
    assert summary["messages"] == 2
    assert summary["notes"] == [f"{file}:3, its last line, is cut off and left out"]


def test_a_real_morning_trades_as_nasdaq_did(venue: Venue, keys: Path) -> None:
    file = DATA / "AAPL_2012-06-21_34200000_message_10_first998.csv"
    if not file.exists():
        pytest.skip(f"{file} is not there; set OPENVENUE_TEST_DATA to the folder of test data")
    summary = replay(venue, keys, str(file), "--limit", "400")
    executions = summary["executions"]
    assert executions["total"] > 30
    assert executions["at_the_named_order"] == executions["total"]
    assert summary["rows"]["right_after_the_message"]["share"] > 0.95
    assert summary["rows"]["after_corrections"]["agree"] == 400


def test_a_generated_day_is_matched_as_price_time_priority_says(venue: Venue, keys: Path) -> None:
    summary = replay(venue, keys, "--synthetic", "--orders", "600", "--seed", "5")
    assert summary["operations"] == 600
    assert summary["price_time_priority"]["kept"] > 50
    assert summary["venue_book"]["taken_qty"] == summary["venue_book"]["given_qty"] > 0


def test_json_is_all_that_a_terminal_gets_for_it(venue: Venue, keys: Path) -> None:
    arguments = ("--synthetic", "--orders", "20", "--json")
    with started(venue, keys, *arguments, FORCE_COLOR="1") as process:
        output, errors = process.communicate(timeout=120)
    assert json.loads(output)["operations"] == 20
    assert errors == ""


@pytest.mark.parametrize("in_background", [False, True])
def test_an_interrupted_replay_ends_with_the_summary_of_what_was_done(
    venue: Venue, keys: Path, in_background: bool
) -> None:
    # A shell without job control starts background commands with SIGINT ignored.
    before = signal.signal(
        signal.SIGINT, signal.SIG_IGN if in_background else signal.default_int_handler
    )
    try:
        arguments = ("--synthetic", "--orders", "1000000", "--json")
        with started(venue, keys, *arguments) as process:
            wait_until_orders_are_done(venue, keys)
            process.send_signal(signal.SIGINT)
            output, errors = process.communicate(timeout=60)
    finally:
        signal.signal(signal.SIGINT, before)
    assert process.returncode == 130, errors
    summary = json.loads(output)
    assert summary["interrupted"] is True
    assert 0 < summary["operations"] < 1_000_000
    assert errors == ""


def test_where_there_is_no_terminal_lines_tell_how_far_it_is(venue: Venue, keys: Path) -> None:
    with started(venue, keys, "--synthetic", "--orders", "1000000") as process:
        assert process.stderr is not None
        lines = [process.stderr.readline() for _ in range(2)]
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    told = [
        re.match(r"replaying AAPL: ([\d,]+) of 1,000,000 after \d+ s, ", line) for line in lines
    ]
    done = [int(found[1].replace(",", "")) for found in told if found]
    assert 0 < done[0] < done[1]
    assert "Replay of AAPL, interrupted" in output


def wait_until_orders_are_done(venue: Venue, keys: Path) -> None:
    """Wait for more orders than may be under way at once."""
    entry = json.loads(keys.read_text())["keys"][0]
    with venue.client(NewKey(entry["key_id"], entry["secret"], 0, "")) as client:
        deadline = time.monotonic() + 60
        entered = 0
        while entered <= WINDOW_DEFAULT:
            assert time.monotonic() < deadline, f"{entered} orders were entered"
            answer = client.get("/v2/orders", params={"status": "all", "limit": 500})
            if answer.status_code == 200:
                entered = len(answer.json())
            time.sleep(0.05)


@pytest.mark.parametrize("symbol", ["NONE", "../../metrics", "BRK.B", "NONE?limit=1"])
def test_a_symbol_that_is_not_traded_is_explained(venue: Venue, keys: Path, symbol: str) -> None:
    with started(venue, keys, "--synthetic", "--symbol", symbol) as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"openvenue instruments define {symbol}" in errors
    assert "Traceback" not in errors


def test_a_pair_is_traded_under_its_symbol(venue: Venue, keys: Path) -> None:
    summary = summary_of(venue, keys, "--synthetic", "--orders", "5", "--symbol", "BTC/USD")
    assert summary["symbol"] == "BTC/USD"
    assert summary["venue_book"]["equal_to_reports"] == summary["venue_book"]["read"] > 0


def test_a_keys_file_without_keys_is_explained(venue: Venue, keys: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty.json"
    empty.write_text('{"keys": []}')
    with started(venue, keys, "--synthetic", "--keys", str(empty)) as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "it holds no key" in errors
