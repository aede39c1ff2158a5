"""A market follows a recorded day, and keeps its promises whatever the file says."""

import gzip
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openvenue.market.agents import Side
from openvenue.market.client import Asset
from openvenue.market.day import (
    DayAction,
    DayBook,
    Move,
    RecordedDay,
    Reduce,
    Remove,
    Rest,
    Take,
)
from openvenue.market.day_trader import Start
from openvenue.market.settings import MarketSettings
from openvenue.replay.lines import MalformedFile
from openvenue.replay.lobster import Message, MessageType
from pydantic import ValidationError

NEW, REDUCE, DELETE = MessageType.NEW, MessageType.REDUCE, MessageType.DELETE
EXECUTE, HIDDEN, HALT = MessageType.EXECUTE, MessageType.EXECUTE_HIDDEN, MessageType.HALT
FIRST, START = 2_200_000, 58_500
# A tick is a cent, and ten shares of the day are one lot.
MOVE = Move(FIRST, START, ticks_per_unit=0.01, lots_per_share=0.1)
MIRROR = Move(FIRST, START, ticks_per_unit=0.01, lots_per_share=0.1, mirrored=True)


def message(
    kind: MessageType, order_id: int = 1, size: int = 100, cents: int = 0, side: Side = "buy"
) -> Message:
    """Return a message at so many cents above the first price."""
    return Message(0, 34_200.0, kind, order_id, size, FIRST + 100 * cents, side)


def followed(*messages: Message, move: Move = MOVE, orders_max: int = 200) -> list[DayAction]:
    """Return what the last message makes the market do."""
    book = DayBook(move, orders_max)
    return [book.follow(each) for each in messages][-1]


def test_prices_are_moved_by_a_constant_and_sizes_scaled() -> None:
    placed = [followed(message(NEW, cents=cents, size=250)) for cents in (-5, 0, 3)]
    assert placed == [[Rest(1, "buy", START + cents, 25)] for cents in (-5, 0, 3)]


def test_a_mirrored_day_goes_the_other_way() -> None:
    assert followed(message(NEW, cents=-5), move=MIRROR) == [Rest(1, "sell", START + 5, 10)]
    sold = message(EXECUTE, order_id=9, cents=7, side="sell")
    assert followed(sold, move=MIRROR) == [Take("sell", START - 7, 10)]


def test_a_price_between_two_ticks_goes_to_a_tick() -> None:
    assert MOVE.price(FIRST + 149) == START + 1
    assert MOVE.price(FIRST - 151) == START - 2


def test_an_order_below_the_first_tick_is_left_out() -> None:
    assert followed(message(NEW, cents=-START)) == []
    assert followed(message(NEW, cents=-START), message(REDUCE, size=10, cents=-START)) == []


def test_an_execution_takes_from_the_other_side() -> None:
    rests = message(NEW)
    assert followed(rests, message(EXECUTE, size=40)) == [Take("sell", START, 4)]
    whole = [Take("sell", START, 10), Remove(1)]
    assert followed(rests, message(EXECUTE, size=100)) == whole
    assert followed(message(EXECUTE, order_id=7, side="sell")) == [Take("buy", START, 10)]


def test_parts_of_an_order_take_as_many_lots_as_the_whole() -> None:
    book = DayBook(MOVE)
    book.follow(message(NEW, size=107))
    actions = [action for _ in range(107) for action in book.follow(message(EXECUTE, size=1))]
    assert sum(action.qty for action in actions if isinstance(action, Take)) == 11
    assert actions[-1] == Remove(1)


def test_a_reduction_keeps_what_is_left_and_what_was_filled() -> None:
    rests, part = message(NEW, size=200), message(REDUCE, size=50)
    assert followed(rests, part) == [Reduce(1, START, 15)]
    # Of twenty lots ten traded: five of a total of fifteen are left.
    assert followed(rests, message(EXECUTE, size=100), part) == [Reduce(1, START, 15)]
    assert followed(rests, message(REDUCE, size=200)) == [Remove(1)]
    assert followed(rests, message(REDUCE, size=1)) == []


def test_orders_that_are_not_known_are_not_canceled_or_reduced() -> None:
    assert followed(message(DELETE)) == []
    assert followed(message(REDUCE)) == []
    assert followed(message(NEW), message(DELETE), message(DELETE)) == []


def test_an_order_that_a_new_one_would_meet_is_gone() -> None:
    ask = message(NEW, order_id=1, cents=2, side="sell")
    above = message(NEW, order_id=2, cents=3, side="sell")
    bid = message(NEW, order_id=3, cents=2)
    assert followed(ask, above, bid) == [Remove(1), Rest(3, "buy", START + 2, 10)]


def test_an_order_better_than_one_that_is_executed_is_gone() -> None:
    best, second = message(NEW, order_id=1, cents=1), message(NEW, order_id=2)
    executed = message(EXECUTE, order_id=2, size=50)
    assert followed(best, second, executed) == [Remove(1), Take("sell", START, 5)]
    assert followed(best, second, message(EXECUTE, order_id=1, size=50, cents=1)) == [
        Take("sell", START + 1, 5)
    ]


def test_beyond_its_bound_the_oldest_order_goes() -> None:
    placed = [message(NEW, order_id=number, cents=-number) for number in range(4)]
    assert followed(*placed, orders_max=3) == [Remove(0), Rest(3, "buy", START - 3, 10)]


def test_what_changes_no_visible_order_does_nothing() -> None:
    for kind in (HIDDEN, HALT, MessageType.CROSS):
        assert followed(message(kind)) == []


def test_trades_of_the_day_show_its_price() -> None:
    book = DayBook(MOVE)
    book.follow(message(NEW, cents=4))
    assert book.last_price is None
    book.follow(message(HIDDEN, cents=3))
    assert book.last_price == START + 3
    book.follow(message(EXECUTE, cents=4))
    assert book.last_price == START + 4


messages = st.builds(
    message,
    st.sampled_from((NEW, NEW, NEW, REDUCE, DELETE, EXECUTE, HIDDEN, HALT)),
    order_id=st.integers(1, 12),
    size=st.integers(1, 500),
    cents=st.integers(-8, 8) | st.integers(-START - 3, -START + 3),
    side=st.sampled_from(("buy", "sell")),
)


@given(flow=st.lists(messages, max_size=60), move=st.sampled_from((MOVE, MIRROR)))
def test_whatever_the_file_says_orders_are_whole_bounded_and_never_meet(
    flow: list[Message], move: Move
) -> None:
    book = DayBook(move, orders_max=5)
    resting: dict[int, Rest] = {}
    totals: dict[int, int] = {}
    for each in flow:
        for action in book.follow(each):
            if isinstance(action, Remove):
                del resting[action.key]
            elif isinstance(action, Reduce):
                assert resting[action.key].price == action.price
                assert 1 <= action.qty < totals[action.key]
                totals[action.key] = action.qty
            else:
                assert action.price >= 1
                assert action.qty >= 1
            if isinstance(action, Rest):
                assert action.key not in resting
                resting[action.key] = action
                totals[action.key] = action.qty
            bids = [order.price for order in resting.values() if order.side == "buy"]
            asks = [order.price for order in resting.values() if order.side == "sell"]
            assert not bids or not asks or max(bids) < min(asks)
            assert len(resting) <= 5


@given(flow=st.lists(messages, max_size=40))
def test_a_mirrored_lap_does_the_opposite_of_the_one_before(flow: list[Message]) -> None:
    far = [each for each in flow if each.price > FIRST - 100 * 100]
    book, mirrored = DayBook(MOVE), DayBook(MIRROR)
    for each in far:
        for one, other in zip(book.follow(each), mirrored.follow(each), strict=True):
            if isinstance(one, Rest | Take):
                assert isinstance(other, Rest | Take)
                assert one.price - START == START - other.price
                assert (one.qty, one.side != other.side) == (other.qty, True)


LINES = [
    "34200.5,5,0,1,2200100,1",
    "34201.5,1,11,100,2200000,1",
    "34202.5,1,12,300,2201000,-1",
    "34203.5,3,11,100,2200000,1",
]


def write(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def test_a_day_is_read_with_what_it_starts_from(tmp_path: Path) -> None:
    day = RecordedDay.read(write(tmp_path / "AMZN_day.csv", *LINES))
    assert (day.messages, day.first_s, day.first_price) == (4, 34_200.5, 2_200_100)
    assert day.usual_size == 200
    assert [each.order_id for each in day] == [each.order_id for each in day] == [0, 11, 12, 11]


def test_a_day_may_be_packed_and_without_trades(tmp_path: Path) -> None:
    packed = tmp_path / "day.csv.gz"
    packed.write_bytes(gzip.compress("\n".join(LINES[1:]).encode()))
    assert RecordedDay.read(packed).first_price == 2_200_000


@pytest.mark.parametrize("lines", [[], LINES[:1], [*LINES, "x,1,1,1,1,1"]])
def test_a_file_without_orders_or_with_damage_is_refused(tmp_path: Path, lines: list[str]) -> None:
    with pytest.raises(MalformedFile, match=r"day\.csv"):
        RecordedDay.read(write(tmp_path / "day.csv", *lines, *["z"] * bool(lines)))


@pytest.mark.parametrize(("increment", "lots"), [("0.01", "1"), ("0.0001", "0.001"), ("5", "1")])
def test_a_usual_order_of_the_day_is_a_usual_order_of_the_market(
    increment: str, lots: str, tmp_path: Path
) -> None:
    day = RecordedDay.read(write(tmp_path / "day.csv", *LINES))
    asset = Asset("id", "crypto", "X/USD", True, Decimal(increment), Decimal(lots))
    move = Start(asset, 1000, 7).move(day, mirrored=False)
    assert move.lots(200) == 7
    assert move.price(day.first_price) == 1000
    # A hundred dollars more.
    assert move.price(day.first_price + 1_000_000) == 1000 + Decimal(100) / Decimal(increment)


def test_the_day_needs_a_symbol_that_the_market_trades() -> None:
    named = Path("AMZN_2012-06-21_34200000_57600000_message_1.csv")
    assert MarketSettings(day_file=named).replayed_symbol == "AMZN"
    assert MarketSettings(day_file=named, day_symbol="AAPL").replayed_symbol == "AAPL"
    assert MarketSettings(day_symbol="AAPL").replayed_symbol is None
    with pytest.raises(ValidationError, match="day_symbol is needed"):
        MarketSettings(day_file=Path("day.csv"))
    with pytest.raises(ValidationError, match="AMZN, of the day, is not among the symbols"):
        MarketSettings(day_file=named, symbols=["AAPL"])
