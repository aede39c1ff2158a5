"""LOBSTER files: both of their spellings are read, and damage is named."""

from pathlib import Path

import pytest
from days import HIDDEN, message, row, write_day
from openvenue.replay.lobster import (
    MalformedFile,
    MessageType,
    find_orderbook,
    read_day,
    symbol_of,
)


def test_a_header_line_is_skipped_in_either_file(tmp_path: Path) -> None:
    header = ("Time,Type,OrderId,Size,Price,Direction", "BestAsk,Size,BestBid,Size")
    with_header = write_day(tmp_path, [header, (HIDDEN, row())])
    day = read_day(with_header, find_orderbook(with_header), None)
    assert [message.row for message in day.messages] == [0]
    assert day.rows[0].bids == ((1_000_000, 100),)


def test_a_direction_of_one_is_a_resting_buy_order(tmp_path: Path) -> None:
    file = write_day(tmp_path, [(message(4, 9, 5, 1_000_000, 1), row())])
    (executed,) = read_day(file, None, None).messages
    assert (executed.type, executed.side) == (MessageType.EXECUTE, "buy")


def test_levels_that_do_not_exist_are_left_out(tmp_path: Path) -> None:
    file = write_day(tmp_path, [(HIDDEN, "9999999999,0,1000000,100")])
    assert read_day(file, find_orderbook(file), None).rows[0].asks == ()


def test_a_limit_reads_as_many_messages_and_rows(tmp_path: Path) -> None:
    file = write_day(tmp_path, [(HIDDEN, row())] * 5)
    day = read_day(file, find_orderbook(file), 3)
    assert (len(day.messages), len(day.rows)) == (3, 3)


def test_a_bad_line_is_named_with_what_was_expected(tmp_path: Path) -> None:
    file = write_day(tmp_path, [(HIDDEN, row()), ("34200.1,9,1,1,1,1", row())])
    with pytest.raises(MalformedFile, match=r"message_1\.csv:2: expected time,type 1-7"):
        read_day(file, None, None)


def test_files_of_different_days_are_refused(tmp_path: Path) -> None:
    file = write_day(tmp_path, [(HIDDEN, row())])
    (tmp_path / "other.csv").write_text(row() + "\n" + row() + "\n")
    with pytest.raises(MalformedFile, match="2 rows but"):
        read_day(file, tmp_path / "other.csv", None)


def test_the_symbol_is_the_start_of_the_file_name() -> None:
    assert symbol_of(Path("AMZN_2012-06-21_34200000_57600000_message_1.csv")) == "AMZN"
    assert symbol_of(Path("messages.csv")) is None
