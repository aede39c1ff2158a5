"""LOBSTER files: both of their forms are read, and damage is named."""

import gzip
from pathlib import Path

import pytest
from openvenue.replay.lines import MalformedFile
from openvenue.replay.lobster import (
    MessageType,
    find_orderbook,
    read_day,
    symbol_of,
)

from tests.replay.days import HIDDEN, message, row, write_day


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


@pytest.mark.parametrize(
    "line",
    [
        "nan,1,7,30,1000100,1",
        "inf,1,7,30,1000100,1",
        "-1.5,1,7,30,1000100,1",
        "34200.1,1,7,0,1000100,1",
        "34200.1,1,7,-30,1000100,1",
        "34200.1,4,7,30,0,1",
        "34200.1,3,7,30,-1000100,1",
        "34200.1,1,7,30,1000100,0",
        "34200.1,5,0,30,1000100,2",
    ],
)
def test_a_message_that_cannot_have_been_is_named(tmp_path: Path, line: str) -> None:
    file = write_day(tmp_path, [(HIDDEN, row()), (line, row())])
    with pytest.raises(MalformedFile, match=rf"message_1\.csv:2: .*{line}"):
        read_day(file, None, None)


@pytest.mark.parametrize(
    "line", ["34200.1,7,0,0,-1,-1", "34200.1,7,0,0,0,-1", "34200.1,7,0,0,1,-1", "1,6,-1,5,1,0"]
)
def test_halts_and_crosses_are_of_no_order(tmp_path: Path, line: str) -> None:
    file = write_day(tmp_path, [(line, row())])
    assert len(read_day(file, None, None).messages) == 1


@pytest.mark.parametrize(
    "levels",
    ["1000200,-5,1000000,100", "0,5,1000000,100", "1000200,5", "1000200,5,1000000,100,1,1,1,1"],
)
def test_a_row_that_cannot_have_been_is_named(tmp_path: Path, levels: str) -> None:
    file = write_day(tmp_path, [(HIDDEN, row()), (HIDDEN, levels), (HIDDEN, row())])
    with pytest.raises(MalformedFile, match=rf"orderbook_1\.csv:2: .*{levels}"):
        read_day(file, find_orderbook(file), None)


@pytest.mark.parametrize("price", [9_999_999_999, -9_999_999_999])
def test_a_level_that_does_not_exist_has_either_sign(tmp_path: Path, price: int) -> None:
    file = write_day(tmp_path, [(HIDDEN, row(ask=(price, 0), bid=(price, 0)))])
    (empty,) = read_day(file, find_orderbook(file), None).rows
    assert (empty.asks, empty.bids) == ((), ())


PLACED = [
    (HIDDEN, row()),
    (message(1, 7, 30, 1_000_100, 1), row(bid=(1_000_100, 30))),
    (message(1, 8, 20, 1_000_100, 1), row(bid=(1_000_100, 50))),
    (message(3, 7, 30, 1_000_100, 1), row(bid=(1_000_100, 20))),
]


@pytest.mark.parametrize("cut", [1, 3, 12, 20])
@pytest.mark.parametrize("kind", ["message", "orderbook"])
def test_a_last_line_that_is_cut_off_is_left_out_and_noted(
    tmp_path: Path, kind: str, cut: int
) -> None:
    file = write_day(tmp_path, PLACED)
    damaged = file.with_name(file.name.replace("message", kind))
    lines = damaged.read_text().splitlines(keepends=True)
    damaged.write_text("".join(lines[:-1]) + lines[-1].rsplit(",", 1)[0][:cut])
    day = read_day(file, find_orderbook(file), None)
    assert (len(day.messages), len(day.rows)) == (3, 3)
    assert f"{damaged}:4, its last line, is cut off" in day.notes[0]
    assert "the first 3 of both are replayed" in day.notes[1]


def test_a_compressed_file_that_is_cut_off_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    lines = [(message(1, order_id, 30, 1_000_100, 1), row()) for order_id in range(1, 999)]
    file = write_day(tmp_path, lines)
    whole = gzip.compress(file.read_bytes())
    file.write_bytes(whole[: len(whole) // 2])
    day = read_day(file, None, None)
    assert 100 < len(day.messages) < 900
    assert "cut off" in day.notes[0]


@pytest.mark.parametrize("kind", ["message", "orderbook"])
def test_files_of_one_day_and_different_length_are_read_as_far_as_both_go(
    tmp_path: Path, kind: str
) -> None:
    file = write_day(tmp_path, PLACED)
    shorter = file.with_name(file.name.replace("message", kind))
    shorter.write_text("".join(shorter.read_text().splitlines(keepends=True)[:3]))
    day = read_day(file, find_orderbook(file), None)
    assert (len(day.messages), len(day.rows)) == (3, 3)
    assert len(day.notes) == 1


def test_an_orderbook_that_lacks_its_first_row_is_refused(tmp_path: Path) -> None:
    file = write_day(tmp_path, PLACED)
    orderbook = find_orderbook(file)
    assert orderbook is not None
    orderbook.write_text("".join(orderbook.read_text().splitlines(keepends=True)[1:]))
    with pytest.raises(MalformedFile, match="3 rows but"):
        read_day(file, orderbook, None)


def test_files_of_one_length_but_different_days_are_noted(tmp_path: Path) -> None:
    placed = [(message(1, order_id, 30, 1_000_100, 1), row()) for order_id in range(1, 13)]
    file = write_day(tmp_path, placed)
    (note,) = read_day(file, find_orderbook(file), None).notes
    assert "only 0 of 11 rows show what their message did" in note


def test_files_of_different_days_are_refused(tmp_path: Path) -> None:
    file = write_day(tmp_path, [(HIDDEN, row())])
    (tmp_path / "other.csv").write_text(row() + "\n" + row() + "\n")
    with pytest.raises(MalformedFile, match="2 rows but"):
        read_day(file, tmp_path / "other.csv", None)


def test_files_compressed_with_gzip_are_read_whatever_their_names(tmp_path: Path) -> None:
    file = write_day(tmp_path, [(HIDDEN, row())] * 3)
    orderbook = find_orderbook(file)
    assert orderbook is not None
    compressed = orderbook.with_name(f"{orderbook.name}.gz")
    compressed.write_bytes(gzip.compress(orderbook.read_bytes()))
    orderbook.unlink()
    file.write_bytes(gzip.compress(file.read_bytes()))
    assert find_orderbook(file) == compressed
    day = read_day(file, compressed, None)
    assert (len(day.messages), len(day.rows)) == (3, 3)


def test_binary_content_is_quoted_shortly_and_in_printable_characters(tmp_path: Path) -> None:
    file = tmp_path / "AAPL_2012-06-21_34200000_57600000_message_1.csv"
    file.write_bytes(b"7z\xbc\xaf\x27\x1c,\x1b[2J\x00" * 100)
    with pytest.raises(MalformedFile, match=r"message_1\.csv:1: expected time") as refused:
        read_day(file, None, None)
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < len(str(file)) + 300


def test_a_damaged_archive_is_named(tmp_path: Path) -> None:
    file = write_day(tmp_path, [(HIDDEN, row())] * 50)
    damaged = bytearray(gzip.compress(file.read_bytes()))
    damaged[-8] ^= 0xFF  # of the checksum
    file.write_bytes(damaged)
    with pytest.raises(MalformedFile, match="does not unpack"):
        read_day(file, None, None)


def test_a_byte_order_mark_is_no_part_of_the_first_field(tmp_path: Path) -> None:
    file = write_day(tmp_path, [("Time,Type,OrderId,Size,Price,Direction", ""), (HIDDEN, row())])
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert len(read_day(file, None, None).messages) == 1


@pytest.mark.parametrize(
    ("name", "ticker"),
    [
        ("AMZN_2012-06-21_34200000_57600000_message_1.csv", "AMZN"),
        ("BRK.B_2012-06-21_34200000_57600000_message_5.csv.gz", "BRK.B"),
        ("BF-B_2012-06-21_34200000_57600000_message_5.csv", "BF-B"),
        ("aapl_2012-06-21_34200000_37800000_message_50.csv", "AAPL"),
        ("SPY_morning.csv", "SPY"),
        ("my_messages.csv", None),
        ("messages.csv", None),
    ],
)
def test_the_symbol_is_the_start_of_the_file_name(name: str, ticker: str | None) -> None:
    assert symbol_of(Path(name)) == ticker
