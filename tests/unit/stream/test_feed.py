"""The folds of the stream process: bars, places in the journal, and the window."""

from typing import Any

import msgspec
from openvenue.documents.views import Views
from openvenue.engine.instruments import Instrument
from openvenue.engine.trading_day import TradingDay
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.stream.channels import Channels
from openvenue.stream.feed import Feed, account_channel
from openvenue.stream.messages import SEQ_PER_ENTRY, Channel, Message

from tests.projector.entries import (
    LOT_NANOS,
    TICK_NANOS,
    TIME_NS,
    canceled,
    entry,
    new_order,
    trade,
    triggered,
)

MINUTE_NS = 60 * 10**9
AAPL = Instrument(
    1, "asset", "AAPL", "Apple Inc.", "us_equity", True, TICK_NANOS, LOT_NANOS, 1, 10**6, 10**6
)


def feed(window: int = 1000, sequence: int = 0) -> Feed:
    return Feed(0, Views(0, TradingDay()), Channels(sequence, window), {1: AAPL}, [], sequence)


def shown(feed: Feed, kind: str) -> list[dict[str, Any]]:
    messages = feed.channels.after(Channel("us_equity", kind, "AAPL"), 0, 100)
    return [msgspec.json.decode(message.json) for message in messages]


def a_trade(feed: Feed, timestamp_ns: int, price_ticks: int = 10_000) -> None:
    """Apply a buy of account 1 and a sale of account 2 that takes it, at one moment."""
    maker, taker = feed.sequence + 1, feed.sequence + 2
    fill = trade(maker, taker, 10, filled=(10, 10), trade_id=taker)
    fill.trade.price_ticks = price_ticks
    for made in (
        new_order(maker, limit_price_ticks=price_ticks),
        new_order(taker, fill, side=pb.SIDE_SELL, account_id=2, limit_price_ticks=price_ticks),
    ):
        made.timestamp_ns = timestamp_ns
        feed.apply(made)


def test_a_minute_is_sent_when_the_next_entry_is_of_a_later_one() -> None:
    one = feed()
    start_ns = TIME_NS // MINUTE_NS * MINUTE_NS
    a_trade(one, start_ns + 1, 10_000)
    a_trade(one, start_ns + 2, 10_200)
    assert shown(one, "bars") == []
    a_trade(one, start_ns + MINUTE_NS, 9_900)
    (bar,) = shown(one, "bars")
    assert (bar["T"], bar["o"], bar["h"], bar["l"], bar["c"]) == ("b", 100, 102, 100, 102)
    assert (bar["v"], bar["n"], bar["vw"]) == (20, 2, 101)
    (day,) = shown(one, "dailyBars")
    assert (day["T"], day["n"]) == ("d", 2)


def test_a_bar_has_the_same_place_whether_an_entry_or_the_clock_closes_it() -> None:
    places = []
    start_ns = TIME_NS // MINUTE_NS * MINUTE_NS
    for by_clock in (False, True):
        one = feed()
        a_trade(one, start_ns)
        if by_clock:
            one.close_bars(start_ns + MINUTE_NS)
        a_trade(one, start_ns + MINUTE_NS)
        places.append([bar["seq"] for bar in shown(one, "bars")])
    assert places[0] == places[1]
    assert len(places[0]) == 1


def test_a_late_trade_updates_the_bar() -> None:
    one = feed()
    start_ns = TIME_NS // MINUTE_NS * MINUTE_NS
    a_trade(one, start_ns, 10_000)
    one.close_bars(start_ns + MINUTE_NS)
    a_trade(one, start_ns + 5, 10_100)
    (updated,) = shown(one, "updatedBars")
    assert (updated["T"], updated["c"], updated["n"]) == ("u", 101, 2)


def test_a_bar_that_began_before_the_feed_is_not_sent() -> None:
    one = feed(sequence=7)
    start_ns = TIME_NS // MINUTE_NS * MINUTE_NS
    a_trade(one, start_ns + 1)
    a_trade(one, start_ns + MINUTE_NS)
    a_trade(one, start_ns + 2 * MINUTE_NS)
    (bar,) = shown(one, "bars")
    assert bar["n"] == 1
    assert shown(one, "dailyBars") == []


def test_the_day_ends_in_expired_orders_with_the_whole_order() -> None:
    one = feed()
    one.apply(new_order(1, time_in_force=pb.TIME_IN_FORCE_DAY))
    ended = pb.JournalEntry(
        sequence=2,
        timestamp_ns=TIME_NS,
        events=[canceled(1, pb.REASON_DAY_ENDED)],
        end_trading_day=pb.EndTradingDay(),
    )
    one.apply(ended)
    messages = one.channels.after(account_channel(1), 0, 10)
    _, data = (msgspec.json.decode(message.json)["data"] for message in messages)
    assert (data["event"], data["order"]["status"]) == ("expired", "expired")
    assert data["order"]["client_order_id"] == "order-1"


def updates(feed: Feed, account_id: int) -> list[dict[str, Any]]:
    messages = feed.channels.after(account_channel(account_id), 0, 100)
    return [msgspec.json.decode(message.json)["data"] for message in messages]


def test_self_trade_prevention_cancels_another_order_than_the_entrys_between_trades() -> None:
    one = feed()
    for number, account_id in ((1, 1), (2, 2), (3, 1)):
        one.apply(new_order(number, account_id=account_id, qty_lots=2))
    one.apply(
        new_order(
            4,
            trade(1, 4, 2, filled=(2, 2)),
            canceled(2, pb.REASON_SELF_TRADE),
            trade(3, 4, 2, filled=(2, 4), trade_id=2),
            canceled(4, pb.REASON_IMMEDIATE_OR_CANCEL),
            account_id=2,
            side=pb.SIDE_SELL,
            self_trade_prevention=pb.SELF_TRADE_PREVENTION_CANCEL_OLDEST,
        )
    )
    assert [
        (data["event"], data["order"]["client_order_id"], data["order"]["filled_qty"])
        for data in updates(one, 2)
    ] == [
        ("new", "order-2", "0"),
        ("new", "order-4", "0"),
        ("partial_fill", "order-4", "2"),
        ("canceled", "order-2", "0"),
        ("partial_fill", "order-4", "4"),
        ("canceled", "order-4", "4"),
    ]
    assert [data["event"] for data in updates(one, 1)] == ["new", "new", "fill", "fill"]
    assert updates(one, 2)[-1]["order"]["self_trade_prevention"] == "cancel_oldest"
    *_, last = shown(one, "orderbooks")
    assert (last["b"], last["a"]) == ([{"p": 100, "s": 0}], [])


def test_a_replacement_asks_what_its_predecessor_asked() -> None:
    one = feed()
    prevention = pb.SELF_TRADE_PREVENTION_CANCEL_BOTH
    one.apply(new_order(1, post_only=True, self_trade_prevention=prevention))
    replaced = pb.OrderReplaced(
        order_id=2,
        old_order_id=1,
        account_id=1,
        instrument_id=1,
        side=pb.SIDE_BUY,
        time_in_force=pb.TIME_IN_FORCE_GTC,
        qty_lots=3,
        limit_price_ticks=9_000,
    )
    one.apply(entry(2, pb.Event(order_replaced=replaced), replace_order=pb.ReplaceOrder()))
    one.apply(new_order(3))
    asked = (True, "cancel_both")
    assert [
        (data["order"].get("post_only"), data["order"].get("self_trade_prevention"))
        for data in updates(one, 1)
    ] == [asked, asked, asked, (None, None)]


class Taker:
    """A subscriber that keeps what it takes."""

    def __init__(self) -> None:
        self.taken: list[Message] = []

    def take(self, message: Message) -> None:
        self.taken.append(message)

    def flush(self) -> None: ...


def test_orders_that_were_open_before_the_feed_are_no_changes() -> None:
    resting = [
        pb.Order(order_id=number, instrument_id=1, side=pb.SIDE_BUY, limit_price_ticks=price)
        for number, price in ((1, 9_000), (2, 8_000))
    ]
    for order in resting:
        order.qty_lots = 10
    one = Feed(0, Views(0, TradingDay()), Channels(7, 1000), {1: AAPL}, resting, 7)
    one.apply(new_order(8, limit_price_ticks=8_500))
    (delta,) = shown(one, "orderbooks")
    assert delta["b"] == [{"p": 85, "s": 10}]
    assert shown(one, "quotes") == []


def test_who_subscribes_to_all_and_to_one_gets_each_message_once() -> None:
    one, taker = feed(), Taker()
    one.channels.subscribe(Channel("us_equity", "trades", "*"), taker)
    one.channels.subscribe(Channel("us_equity", "trades", "AAPL"), taker)
    a_trade(one, TIME_NS)
    assert len(taker.taken) == 1


def test_the_window_keeps_the_newest_and_says_from_where() -> None:
    one = feed(window=2)
    for sequence in range(1, 6):
        one.apply(new_order(sequence, limit_price_ticks=100))
    assert one.channels.floor > 4 * SEQ_PER_ENTRY
    assert one.channels.after(account_channel(1), 0, 10) == []


def test_an_order_that_waits_is_told_of_and_is_in_no_book_until_it_is_triggered() -> None:
    one = feed()
    terms = {"type": pb.ORDER_TYPE_STOP_LIMIT, "stop_price_ticks": 9_900}
    one.apply(new_order(1, account_id=2, **terms))
    (entered,) = updates(one, 2)
    assert (entered["event"], entered["order"]["status"]) == ("new", "new")
    assert shown(one, "orderbooks") == shown(one, "quotes") == []
    one.apply(new_order(2, side=pb.SIDE_SELL, qty_lots=4))
    fill = trade(2, 1, 4, filled=(4, 4))
    fill.trade.taker_side = pb.SIDE_BUY
    one.apply(triggered(3, 1, fill))
    assert [data["event"] for data in updates(one, 2)] == ["new", "partial_fill"]
    assert shown(one, "quotes")[-1]["bs"] == 6
    one.apply(entry(4, canceled(1)))
    last = updates(one, 2)[-1]
    assert (last["event"], last["order"]["filled_qty"]) == ("canceled", "4")
    assert shown(one, "quotes")[-1]["bs"] == 0


def test_an_order_that_waits_expires_is_replaced_and_is_canceled_without_a_book() -> None:
    one = feed()
    terms = {"type": pb.ORDER_TYPE_STOP, "stop_price_ticks": 10_100, "limit_price_ticks": 10_500}
    for number in (1, 2):
        one.apply(new_order(number, **terms))
    replaced = pb.OrderReplaced(
        old_order_id=1,
        order_id=3,
        account_id=1,
        instrument_id=1,
        side=pb.SIDE_BUY,
        time_in_force=pb.TIME_IN_FORCE_DAY,
        qty_lots=10,
        limit_price_ticks=10_600,
        stop_price_ticks=10_200,
        waiting=True,
    )
    command = pb.ReplaceOrder(order_id=1, client_order_id="higher")
    one.apply(entry(3, pb.Event(order_replaced=replaced), replace_order=command))
    one.apply(entry(4, canceled(2)))
    one.apply(entry(5, canceled(3, pb.REASON_DAY_ENDED), end_trading_day=pb.EndTradingDay()))
    assert [
        (data["event"], data["order"]["client_order_id"], data["order"]["type"])
        for data in updates(one, 1)
    ] == [
        ("new", "order-1", "stop"),
        ("new", "order-2", "stop"),
        ("replaced", "order-1", "stop"),
        ("new", "higher", "stop"),
        ("canceled", "order-2", "stop"),
        ("expired", "higher", "stop"),
    ]
    assert shown(one, "orderbooks") == []


def test_a_feed_begins_with_orders_that_wait() -> None:
    waiting, resting = (
        pb.Order(
            order_id=number,
            account_id=1,
            instrument_id=1,
            side=pb.SIDE_BUY,
            type=pb.ORDER_TYPE_STOP_LIMIT,
            time_in_force=pb.TIME_IN_FORCE_GTC,
            status=status,
            qty_lots=10,
            limit_price_ticks=10_000,
            stop_price_ticks=9_900,
        )
        for number, status in ((1, pb.ORDER_STATUS_WAITING), (2, pb.ORDER_STATUS_NEW))
    )
    one = Feed(0, Views(0, TradingDay()), Channels(2, 1000), {1: AAPL}, [waiting, resting], 2)
    one.apply(triggered(3, 1))
    assert shown(one, "quotes")[-1]["bs"] == 20
    one.apply(entry(4, canceled(1), canceled(2)))
    assert shown(one, "quotes")[-1]["bs"] == 0
