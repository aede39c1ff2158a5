"""Folding: many entries become the rows that result from them."""

from typing import Any

import pytest
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.projector.ledger.fold import Instructions, LedgerBatch
from openvenue.projector.projection import UnknownInstrument
from openvenue.vocabulary import UnknownEnumerator

from tests.projector.entries import (
    LOT_NANOS,
    TICK_NANOS,
    TIME_NS,
    canceled,
    entry,
    fold,
    new_order,
    trade,
    triggered,
)


def test_an_accepted_order_is_a_new_row_in_exact_units() -> None:
    row = fold(new_order(7, qty_lots=3, limit_price_ticks=12_345)).new_orders[7]
    assert (row.qty_nanos, row.limit_price_nanos) == (3 * LOT_NANOS, 12_345 * TICK_NANOS)
    assert (row.side, row.type, row.time_in_force, row.status) == ("buy", "limit", "gtc", "new")
    assert row.created_ns == row.updated_ns == TIME_NS + 7 * 10**9
    assert row.ended_ns is None


def test_a_market_order_has_no_limit_price() -> None:
    market = new_order(1, type=pb.ORDER_TYPE_MARKET, limit_price_ticks=0)
    assert fold(market).new_orders[1].limit_price_nanos is None


def test_an_order_that_fills_in_its_own_batch_is_written_once_as_filled() -> None:
    batch = fold(
        new_order(1),
        new_order(2, trade(1, 2, 10, filled=(10, 10)), account_id=2, side=pb.SIDE_SELL),
    )
    assert not batch.order_changes
    maker = batch.new_orders[1]
    assert (maker.status, maker.filled_nanos, maker.filled_value_micros) == (
        "filled",
        10 * LOT_NANOS,
        1_000_000_000,
    )
    assert maker.ended_ns == TIME_NS + 2 * 10**9
    assert maker.updated_sequence == 2


def test_both_sides_of_a_trade_are_executions() -> None:
    batch = fold(
        new_order(1),
        new_order(2, trade(1, 2, 4, filled=(4, 4)), account_id=2, side=pb.SIDE_SELL, qty_lots=4),
    )
    assert [(row.liquidity, row.order_id, row.side) for row in batch.executions] == [
        ("maker", 1, "buy"),
        ("taker", 2, "sell"),
    ]
    assert {row.price_nanos for row in batch.executions} == {10_000 * TICK_NANOS}


def test_an_execution_knows_what_its_order_had_filled() -> None:
    batch = fold(new_order(9, trade(3, 9, 4, filled=(6, 4)), account_id=2, qty_lots=4))
    assert [row.cum_nanos for row in batch.executions] == [6 * LOT_NANOS, 4 * LOT_NANOS]


def test_adjustments_are_movements() -> None:
    def adjusted(sequence: int, amount_micros: int) -> pb.JournalEntry:
        return entry(
            sequence,
            pb.Event(balance_adjusted=pb.BalanceAdjusted(cash_micros=5)),
            adjust_balance=pb.AdjustBalance(account_id=1, amount_micros=amount_micros),
        )

    given = pb.AdjustPosition(account_id=1, instrument_id=1, qty_lots=-3, cost_micros=7)
    event = pb.Event(position_adjusted=pb.PositionAdjusted(position_lots=2))
    batch = fold(adjusted(1, 9), adjusted(2, -4), entry(3, event, adjust_position=given))
    assert [(row.sequence, row.type, row.amount_micros) for row in batch.movements] == [
        (1, "CSD", 9),
        (2, "CSW", -4),
        (3, "JNLS", 0),
    ]
    assert batch.movements[2].qty_nanos == -3 * LOT_NANOS
    assert batch.rows == 5 + 2


def test_an_older_order_that_fills_leaves_its_status_to_the_database() -> None:
    batch = fold(new_order(9, trade(3, 9, 4, filled=(4, 4)), account_id=2, qty_lots=4))
    change = batch.order_changes[3]
    assert (change.status, change.filled_nanos) == (None, 4 * LOT_NANOS)


def test_the_last_of_many_changes_to_an_older_order_remains() -> None:
    batch = fold(
        new_order(8, trade(3, 8, 4, filled=(4, 4)), account_id=2, qty_lots=4),
        entry(9, canceled(3), cancel_order=pb.CancelOrder(account_id=1, order_id=3)),
    )
    change = batch.order_changes[3]
    assert (change.status, change.end_reason) == ("canceled", "user_canceled")
    assert (change.filled_nanos, change.updated_sequence) == (4 * LOT_NANOS, 9)


def test_the_unfilled_rest_of_an_immediate_order_ends_it_as_canceled() -> None:
    batch = fold(new_order(1, canceled(1, pb.REASON_IMMEDIATE_OR_CANCEL)))
    row = batch.new_orders[1]
    assert (row.status, row.end_reason) == ("canceled", "immediate_or_cancel")


def test_a_day_order_at_the_end_of_its_day_is_expired() -> None:
    batch = fold(
        new_order(1),
        entry(2, canceled(1, pb.REASON_DAY_ENDED), end_trading_day=pb.EndTradingDay()),
    )
    assert batch.new_orders[1].status == "expired"


def test_a_replace_ends_the_old_order_and_opens_the_new_with_what_was_filled() -> None:
    replaced = pb.Event(
        order_replaced=pb.OrderReplaced(
            order_id=5,
            old_order_id=1,
            account_id=1,
            instrument_id=1,
            side=pb.SIDE_BUY,
            time_in_force=pb.TIME_IN_FORCE_DAY,
            qty_lots=8,
            limit_price_ticks=10_100,
            filled_lots=3,
            filled_value_micros=300_000_000,
        )
    )
    command = pb.ReplaceOrder(account_id=1, order_id=1, qty_lots=8, client_order_id="second")
    batch = fold(entry(5, replaced, replace_order=command))
    old, new = batch.order_changes[1], batch.new_orders[5]
    assert (old.status, old.replaced_by) == ("replaced", 5)
    assert (new.status, new.replaces, new.client_order_id) == ("partially_filled", 1, "second")
    assert new.filled_nanos == 3 * LOT_NANOS


def test_rejected_and_repeated_commands_leave_no_row() -> None:
    rejected = pb.Event(rejected=pb.Rejected(reason=pb.REASON_INSUFFICIENT_CASH))
    repeated = pb.Event(duplicate=pb.Duplicate(order_id=1))
    batch = fold(
        entry(1, rejected, new_order=pb.NewOrder(account_id=1)),
        entry(2, repeated, new_order=pb.NewOrder(account_id=1)),
    )
    assert (batch.rows, batch.last_sequence) == (0, 2)


def test_cash_and_positions_are_those_after_the_last_trade() -> None:
    batch = fold(
        new_order(2, trade(1, 2, 4, filled=(4, 4)), account_id=2, qty_lots=10),
        new_order(3, trade(1, 3, 6, filled=(10, 6), trade_id=2), account_id=2),
    )
    assert batch.positions[1, 1].qty_nanos == 10 * LOT_NANOS
    assert batch.positions[1, 1].updated_sequence == 3
    assert batch.cash[2].cash_micros == 1_100_000_000


def test_where_both_sides_are_one_account_its_final_state_counts() -> None:
    both = trade(1, 2, 4, filled=(4, 4))
    both.trade.taker.account_id = 1
    batch = fold(new_order(2, both, qty_lots=4))
    assert batch.cash[1].cash_micros == both.trade.taker.cash_micros


def test_an_instrument_defined_in_the_batch_gives_later_entries_their_units() -> None:
    terms = pb.DefineInstrument(
        instrument_id=2,
        symbol="BTC/USD",
        asset_class=pb.ASSET_CLASS_CRYPTO,
        state=pb.INSTRUMENT_STATE_ACTIVE,
        tick_size_nanos=5,
        lot_size_nanos=7,
        max_price_ticks=100,
    )
    batch = fold(
        entry(1, pb.Event(applied=pb.Applied()), define_instrument=terms),
        new_order(2, instrument_id=2, qty_lots=3, limit_price_ticks=11),
    )
    assert (batch.new_orders[2].qty_nanos, batch.new_orders[2].limit_price_nanos) == (21, 55)
    assert batch.instruments[2].max_price_nanos == 500


def test_an_order_in_an_unknown_instrument_is_refused() -> None:
    with pytest.raises(UnknownInstrument, match="instrument 99 was never defined"):
        fold(new_order(1, instrument_id=99))


def test_a_gap_between_entries_is_refused() -> None:
    batch = LedgerBatch({})
    batch.add([entry(1)])
    with pytest.raises(ValueError, match="missing"):
        batch.add([entry(3)])


# Enumerators and events of a later version, which proto3 accepts.
LATER: Any = 99


@pytest.mark.parametrize(
    "later",
    [
        new_order(1, side=LATER),
        new_order(1, type=LATER),
        new_order(1, time_in_force=LATER),
        new_order(1, position_intent=LATER),
        new_order(1, self_trade_prevention=LATER),
        entry(1, canceled(7, LATER), cancel_order=pb.CancelOrder(account_id=1, order_id=7)),
        entry(1, pb.Event()),
        entry(
            1,
            pb.Event(applied=pb.Applied()),
            define_instrument=pb.DefineInstrument(
                instrument_id=1, asset_class=LATER, state=pb.INSTRUMENT_STATE_ACTIVE
            ),
        ),
    ],
)
def test_an_unknown_event_of_a_later_version_is_named(later: pb.JournalEntry) -> None:
    with pytest.raises(UnknownEnumerator, match="this version"):
        fold(later)


def replaced(sequence: int, old_order_id: int, **fields: Any) -> pb.JournalEntry:
    terms = {
        "order_id": sequence,
        "old_order_id": old_order_id,
        "account_id": 1,
        "instrument_id": 1,
        "side": pb.SIDE_BUY,
        "time_in_force": pb.TIME_IN_FORCE_GTC,
        "qty_lots": 1,
        "limit_price_ticks": 1,
    }
    event = pb.OrderReplaced(**{**terms, **fields})
    return entry(sequence, pb.Event(order_replaced=event), replace_order=pb.ReplaceOrder())


def test_a_replacement_keeps_the_instructions() -> None:
    given = new_order(
        1,
        position_intent=pb.POSITION_INTENT_BUY_TO_OPEN,
        self_trade_prevention=pb.SELF_TRADE_PREVENTION_CANCEL_OLDEST,
        post_only=True,
    )
    known = fold(given, replaced(2, 1), replaced(3, 2)).new_orders[3]
    assert known.instructions == ("buy_to_open", "cancel_oldest", True)
    assert known.heir_of is None
    earlier = fold(replaced(2, 1), replaced(3, 2)).new_orders[3]
    assert (earlier.instructions, earlier.heir_of) == (Instructions(), 1)


def test_an_order_without_instructions_has_none() -> None:
    assert fold(new_order(1)).new_orders[1].instructions == (None, None, False)


def test_self_trade_prevention_cancels_an_older_order_between_trades() -> None:
    batch = fold(
        new_order(8, account_id=2, qty_lots=4),
        new_order(
            9,
            trade(3, 9, 4, filled=(4, 4)),
            canceled(8, pb.REASON_SELF_TRADE),
            canceled(4, pb.REASON_SELF_TRADE),
            trade(6, 9, 6, filled=(6, 10), trade_id=2),
            account_id=2,
        ),
    )
    comes, of_the_batch, older = batch.new_orders[9], batch.new_orders[8], batch.order_changes[4]
    assert (comes.status, comes.end_reason) == ("filled", None)
    for canceled_order in (of_the_batch, older):
        assert (canceled_order.status, canceled_order.end_reason) == ("canceled", "self_trade")
        assert canceled_order.ended_ns == TIME_NS + 9 * 10**9
        assert canceled_order.updated_sequence == 9
    assert older.filled_nanos is None


def test_an_order_that_traded_and_was_then_prevented_keeps_its_fills() -> None:
    batch = fold(
        new_order(
            9,
            trade(3, 9, 4, filled=(4, 4)),
            canceled(5, pb.REASON_SELF_TRADE),
            canceled(9, pb.REASON_SELF_TRADE),
            account_id=2,
        )
    )
    comes = batch.new_orders[9]
    assert (comes.status, comes.end_reason) == ("canceled", "self_trade")
    assert comes.filled_nanos == 4 * LOT_NANOS
    assert batch.order_changes[5].status == "canceled"


def test_a_replacement_may_cancel_an_order_of_its_account() -> None:
    entry_of_both = replaced(9, 1)
    entry_of_both.events.extend(
        [canceled(5, pb.REASON_SELF_TRADE), canceled(9, pb.REASON_SELF_TRADE)]
    )
    batch = fold(entry_of_both)
    assert batch.order_changes[1].status == "replaced"
    assert batch.order_changes[5].status == batch.new_orders[9].status == "canceled"


def stop_order(sequence: int, *, of_limit: bool = False, **fields: Any) -> pb.JournalEntry:
    """Return an accepted buy that waits for 101.00 and pays 105.00 at most."""
    order_type = pb.ORDER_TYPE_STOP_LIMIT if of_limit else pb.ORDER_TYPE_STOP
    terms = {"type": order_type, "stop_price_ticks": 10_100, "limit_price_ticks": 10_500}
    return new_order(sequence, **{**terms, **fields})


def test_an_order_that_waits_is_new_and_a_stop_order_has_no_limit_price() -> None:
    rows = fold(stop_order(1), stop_order(2, of_limit=True)).new_orders
    stop, stop_limit = rows[1], rows[2]
    assert (stop.type, stop_limit.type) == ("stop", "stop_limit")
    assert (stop.limit_price_nanos, stop_limit.limit_price_nanos) == (None, 10_500 * TICK_NANOS)
    for row in (stop, stop_limit):
        assert row.stop_price_nanos == 10_100 * TICK_NANOS
        assert (row.status, row.triggered_ns, row.triggered_sequence) == ("new", None, None)
    assert fold(new_order(1)).new_orders[1].stop_price_nanos is None


def test_a_triggered_order_keeps_its_entry_and_trades_on() -> None:
    filled = trade(3, 4, 4, filled=(4, 4)), canceled(4, pb.REASON_NO_LIQUIDITY)
    batch = fold(stop_order(4, account_id=2), triggered(5, 4, *filled))
    row = batch.new_orders[4]
    assert (row.triggered_ns, row.triggered_sequence) == (TIME_NS + 5 * 10**9, 5)
    assert (row.status, row.end_reason) == ("canceled", "no_liquidity")
    assert (row.filled_nanos, row.updated_sequence) == (4 * LOT_NANOS, 5)


def test_a_trigger_alone_changes_no_status() -> None:
    change = fold(triggered(5, 1)).order_changes[1]
    assert (change.triggered_ns, change.triggered_sequence) == (TIME_NS + 5 * 10**9, 5)
    assert (change.status, change.filled_nanos, change.ended_ns) == (None, None, None)
    assert fold(stop_order(1), triggered(2, 1)).new_orders[1].status == "new"


def test_a_replacement_of_an_order_that_waits_is_of_its_type() -> None:
    terms = {"waiting": True, "stop_price_ticks": 10_200, "limit_price_ticks": 10_600}
    for of_limit, limit_price in ((False, None), (True, 10_600 * TICK_NANOS)):
        batch = fold(stop_order(1, of_limit=of_limit), replaced(2, 1, **terms))
        old, new = batch.new_orders[1], batch.new_orders[2]
        assert new.type == old.type
        assert (new.stop_price_nanos, new.limit_price_nanos) == (10_200 * TICK_NANOS, limit_price)
        assert (new.status, new.triggered_ns, new.heir_of) == ("new", None, None)
    assert fold(replaced(2, 1, **terms)).new_orders[2].heir_of == 1


def test_a_replacement_of_a_triggered_order_keeps_the_trigger() -> None:
    changed = replaced(6, 4, stop_price_ticks=10_100)
    of_the_batch = fold(stop_order(4, of_limit=True), triggered(5, 4), changed).new_orders[6]
    assert of_the_batch.type == "stop_limit"
    older = fold(triggered(5, 4), changed).new_orders[6]
    for row in (of_the_batch, older):
        assert (row.triggered_ns, row.triggered_sequence) == (TIME_NS + 5 * 10**9, 5)
        assert row.stop_price_nanos == 10_100 * TICK_NANOS
