"""Quotes that a run of journal entries results in."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.journal.books import Books, RestingOrder, UnknownOrder
from openvenue.projector.projection import Sizes, UnknownInstrument
from openvenue.projector.quotes.fold import QuoteRow, QuotesBatch

from tests.projector.entries import (
    LOT_NANOS,
    TICK_NANOS,
    canceled,
    entry,
    new_order,
    trade,
    triggered,
)
from tests.projector.naive_exchange import NaiveExchange, Tops, tops
from tests.support.examples import examples

SIZES = {1: Sizes(TICK_NANOS, LOT_NANOS), 2: Sizes(5, 7)}
EMPTY = (None, None)

commands = st.lists(
    st.tuples(
        st.sampled_from(
            (
                *("place", "place", "place", "ioc", "stop", "stop_limit"),
                *("cancel", "replace", "end_day"),
            )
        ),
        st.integers(1, 2),  # instrument
        st.sampled_from((pb.SIDE_BUY, pb.SIDE_SELL)),
        st.integers(95, 105),  # price
        st.integers(1, 9),  # lots
        st.integers(0, 1000),  # which open order; of a new one, its account
        st.sampled_from(pb.SelfTradePrevention.values()),
    ),
    max_size=80,
)
Command = tuple[str, int, "pb.Side.ValueType", int, int, int, "pb.SelfTradePrevention.ValueType"]


def batch(books: Books | None = None) -> QuotesBatch:
    return QuotesBatch(dict(SIZES), books=books or Books())


def traded(drawn: list[Command]) -> Iterator[tuple[pb.JournalEntry, Tops]]:
    """Yield the entry of each command, and the best prices that its orders then have."""
    for made, exchange in exchanged(drawn):
        yield made, tops(exchange.open)


def exchanged(drawn: list[Command]) -> Iterator[tuple[pb.JournalEntry, NaiveExchange]]:
    """Yield the entry of each command and of each trigger, and the exchange as of then."""
    exchange = NaiveExchange()
    for what, instrument_id, side, price, lots, which, prevention in drawn:
        orders = exchange.open + exchange.waiting
        if what in ("stop", "stop_limit"):
            bound = price + which % 5 if side == pb.SIDE_BUY or what == "stop_limit" else 0
            made = exchange.place_stop(
                *(instrument_id, side, price, bound, lots),
                of_limit=what == "stop_limit",
                account_id=which % 2,
                prevention=prevention,
            )
        elif what in ("place", "ioc") or not orders:
            made = exchange.place(
                *(instrument_id, side, price, lots),
                rests=what != "ioc",
                account_id=which % 2,
                prevention=prevention,
            )
        elif what == "end_day":
            made = exchange.end_day(orders[::2])
        else:
            order = orders[which % len(orders)]
            made = (
                exchange.cancel(order) if what == "cancel" else exchange.replace(order, price, lots)
            )
        yield made, exchange
        while (triggered := exchange.trigger()) is not None:
            yield triggered, exchange


def expected_rows(drawn: list[Command]) -> list[QuoteRow]:
    rows = []
    before: Tops = {}
    for made, after in traded(drawn):
        for instrument_id in (1, 2):
            top = after.get(instrument_id, EMPTY)
            if top != before.get(instrument_id, EMPTY):
                rows.append(row(made, instrument_id, *top))
        before = after
    return rows


def row(
    made: pb.JournalEntry,
    instrument_id: int,
    bid: tuple[int, int] | None,
    ask: tuple[int, int] | None,
) -> QuoteRow:
    def nanos(side: tuple[int, int] | None) -> tuple[int | None, int | None]:
        sizes = SIZES[instrument_id]
        return (side[0] * sizes[0], side[1] * sizes[1]) if side else (None, None)

    return QuoteRow(instrument_id, made.sequence, *nanos(bid), *nanos(ask), made.timestamp_ns)


def in_order(rows: list[QuoteRow]) -> list[QuoteRow]:
    return sorted(rows, key=lambda row: (row.sequence, row.instrument_id))


@settings(max_examples=examples(200), deadline=None)
@given(commands)
def test_quotes_are_the_changes_of_a_naive_books_best(drawn: list[Command]) -> None:
    folded = batch()
    folded.add(made for made, _ in traded(drawn))
    assert in_order(folded.quotes) == expected_rows(drawn)
    assert folded.rows == len(folded.quotes)


@settings(max_examples=examples(50), deadline=None)
@given(commands, st.data())
def test_rows_do_not_depend_on_where_a_batch_ends_or_the_books_are_made_anew(
    drawn: list[Command], data: st.DataObject
) -> None:
    steps = [(made, [o.order_id for o in each.waiting]) for made, each in exchanged(drawn)]
    entries = [made for made, _ in steps]
    cut = data.draw(st.integers(0, len(entries)))
    waiting = steps[cut - 1][1] if cut else []
    whole = batch()
    whole.add(entries)
    first = batch()
    first.add(entries[:cut])
    resting = (
        RestingOrder(each.order_id, each.instrument_id, each.side, each.price_ticks, each.lots)
        for each in first.books.resting()
    )
    anew = Books(resting, waiting)
    for books in (anew, first.books):
        second = batch(books)
        second.add(entries[cut:])
        assert first.quotes + second.quotes == whole.quotes


def test_a_side_that_became_empty_has_no_price() -> None:
    folded = batch()
    folded.add([new_order(1, qty_lots=3), entry(2, canceled(1))])
    assert [quote[2:6] for quote in folded.quotes] == [
        (100 * 10**9, 3 * 10**9, None, None),
        (None, None, None, None),
    ]


def test_a_book_loses_what_self_trade_prevention_cancels_between_trades() -> None:
    """The order that comes trades, cancels one of its own account, trades on, and rests."""
    resting = [new_order(n, side=pb.SIDE_SELL, qty_lots=2, account_id=2 - n % 2) for n in (1, 2, 3)]
    comes = new_order(
        4,
        trade(1, 4, 2, filled=(2, 2)),
        canceled(2, pb.REASON_SELF_TRADE),
        trade(3, 4, 2, filled=(2, 4), trade_id=2),
        account_id=2,
        qty_lots=5,
    )
    folded = batch()
    folded.add([*resting, comes])
    assert folded.quotes[-1][1:6] == (4, 100 * 10**9, 10**9, None, None)


def test_an_order_that_self_trade_prevention_canceled_does_not_rest() -> None:
    resting = new_order(1, side=pb.SIDE_SELL, qty_lots=2)
    events = canceled(1, pb.REASON_SELF_TRADE), canceled(2, pb.REASON_SELF_TRADE)
    both, newest = batch(), batch()
    both.add([resting, new_order(2, *events)])
    assert both.quotes[-1][1:6] == (2, None, None, None, None)
    newest.add([resting, new_order(2, events[1])])
    assert [quote.sequence for quote in newest.quotes] == [1]


def test_an_order_behind_the_best_price_makes_no_quote() -> None:
    folded = batch()
    folded.add([new_order(1), new_order(2, limit_price_ticks=9_999)])
    assert [quote.sequence for quote in folded.quotes] == [1]


def test_an_instrument_defined_in_the_batch_has_its_own_sizes() -> None:
    terms = pb.DefineInstrument(instrument_id=3, tick_size_nanos=5, lot_size_nanos=7)
    defined = entry(1, pb.Event(applied=pb.Applied()), define_instrument=terms)
    folded = batch()
    folded.add([defined, new_order(2, instrument_id=3, limit_price_ticks=10, qty_lots=2)])
    assert folded.quotes[0][2:4] == (50, 14)


def test_a_quote_of_an_unknown_instrument_is_refused() -> None:
    with pytest.raises(UnknownInstrument, match="instrument 9 was never defined"):
        batch().add([new_order(1, instrument_id=9)])


def test_books_that_are_not_those_before_the_entry_are_a_fault() -> None:
    with pytest.raises(UnknownOrder, match="order 5 is in no book"):
        batch().add([entry(7, canceled(5))])
    with pytest.raises(UnknownOrder, match="order 5 does not wait for its stop price"):
        batch().add([triggered(7, 5)])


def test_an_order_that_waits_makes_no_quote_until_it_is_triggered() -> None:
    folded = batch()
    folded.add(
        [
            new_order(1, type=pb.ORDER_TYPE_STOP_LIMIT, stop_price_ticks=9_000),
            triggered(2, 1),
        ]
    )
    assert [quote[1:6] for quote in folded.quotes] == [(2, 100 * 10**9, 10 * 10**9, None, None)]
