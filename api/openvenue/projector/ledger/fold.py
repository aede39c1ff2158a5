"""Folds journal entries into the ledger's rows: an order becomes one, however often it filled."""

from dataclasses import dataclass, field
from typing import NamedTuple

from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.projector.projection import Batch, unknown_event
from openvenue.vocabulary import (
    ASSET_CLASSES,
    END_REASONS,
    INSTRUMENT_STATES,
    ORDER_TYPES,
    POSITION_INTENTS,
    SELF_TRADE_PREVENTIONS,
    SIDES,
    TIMES_IN_FORCE,
)

_DAY_NS = 24 * 3600 * 10**9

# These changed nothing, or only mark an end.
_WITHOUT_ROWS = ("rejected", "duplicate", "trading_day_ended", "orders_canceled")


class Instructions(NamedTuple):
    """What the client asks of an order beside its terms. A replacement keeps it."""

    position_intent: str | None = None
    self_trade_prevention: str | None = None
    post_only: bool = False


_NO_INSTRUCTIONS = Instructions()


class Trail(NamedTuple):
    """How far the stop price of a trailing stop order stays from its mark: one of the two."""

    price_nanos: int | None = None
    ppm: int | None = None


_NO_TRAIL = Trail()

# A stop order has none, even if a price bounds what it pays.
_WITH_LIMIT_PRICE = (pb.ORDER_TYPE_LIMIT, pb.ORDER_TYPE_STOP_LIMIT)


@dataclass(slots=True)
class OrderRow:
    """An order that was opened within the batch, at the batch's end."""

    order_id: int
    account_id: int
    instrument_id: int
    client_order_id: str
    side: str
    type: str
    time_in_force: str
    qty_nanos: int
    limit_price_nanos: int | None
    stop_price_nanos: int | None
    filled_nanos: int
    filled_value_micros: int
    status: str
    end_reason: str | None
    replaces: int | None
    replaced_by: int | None
    created_ns: int
    updated_ns: int
    ended_ns: int | None
    updated_sequence: int
    triggered_ns: int | None
    triggered_sequence: int | None
    trail: Trail
    hwm_nanos: int | None
    instructions: Instructions
    heir_of: int | None
    """The order whose type, trigger and instructions this one inherits, if that was opened before
    the batch. They are not known here."""


@dataclass(slots=True)
class OrderChange:
    """Changes by the batch to an order opened before it; None means untouched.

    An order that only filled has no `status` here: whether it is filled completely depends on its
    quantity, which only the database's row has.
    """

    order_id: int
    updated_ns: int = 0
    updated_sequence: int = 0
    filled_nanos: int | None = None
    filled_value_micros: int | None = None
    status: str | None = None
    end_reason: str | None = None
    replaced_by: int | None = None
    ended_ns: int | None = None
    triggered_ns: int | None = None
    triggered_sequence: int | None = None
    stop_price_nanos: int | None = None
    hwm_nanos: int | None = None


class ExecutionRow(NamedTuple):
    """One side of one trade."""

    trade_id: int
    liquidity: str
    sequence: int
    order_id: int
    account_id: int
    instrument_id: int
    side: str
    price_nanos: int
    qty_nanos: int
    executed_ns: int
    cum_nanos: int
    """The order's filled quantity after this trade."""


class AccountRow(NamedTuple):
    """An account's terms; `opened_ns` counts only if the account is new."""

    account_id: int
    name: str
    may_sell_short: bool
    credit_limit_micros: int
    opened_ns: int
    updated_sequence: int


class PositionRow(NamedTuple):
    account_id: int
    instrument_id: int
    qty_nanos: int
    cost_micros: int
    updated_sequence: int


class InstrumentRow(NamedTuple):
    instrument_id: int
    symbol: str
    name: str
    asset_class: str
    state: str
    tick_size_nanos: int
    lot_size_nanos: int
    min_price_nanos: int
    max_price_nanos: int
    max_order_qty_nanos: int
    updated_sequence: int


class CashRow(NamedTuple):
    account_id: int
    cash_micros: int
    updated_sequence: int


class MovementRow(NamedTuple):
    """A deposit or withdrawal of cash, or of a position; the amount and quantity have a sign."""

    sequence: int
    account_id: int
    type: str
    amount_micros: int
    instrument_id: int | None
    qty_nanos: int | None
    moved_ns: int


class DailyPosition(NamedTuple):
    """An account's position at the end of a day (UTC)."""

    qty_nanos: int
    cost_micros: int


@dataclass(slots=True)
class LedgerBatch(Batch):
    """Final states of everything that a run of entries touched."""

    new_orders: dict[int, OrderRow] = field(default_factory=dict)
    order_changes: dict[int, OrderChange] = field(default_factory=dict)
    executions: list[ExecutionRow] = field(default_factory=list)
    movements: list[MovementRow] = field(default_factory=list)
    accounts: dict[int, AccountRow] = field(default_factory=dict)
    cash: dict[int, CashRow] = field(default_factory=dict)
    positions: dict[tuple[int, int], PositionRow] = field(default_factory=dict)
    instruments: dict[int, InstrumentRow] = field(default_factory=dict)
    daily_cash: dict[tuple[int, int], int] = field(default_factory=dict)
    """In micros, by account and day since 1970."""
    daily_positions: dict[tuple[int, int, int], DailyPosition] = field(default_factory=dict)
    """By account, instrument and day since 1970."""

    @property
    def rows(self) -> int:
        """Number of rows that the batch writes."""
        return (
            len(self.new_orders)
            + len(self.order_changes)
            + len(self.executions)
            + len(self.movements)
            + len(self.accounts)
            + len(self.cash)
            + len(self.positions)
            + len(self.instruments)
            + len(self.daily_cash)
            + len(self.daily_positions)
        )

    def fold(self, entry: pb.JournalEntry) -> None:
        """Fold one entry."""
        for event in entry.events:
            kind = event.WhichOneof("body")
            if kind == "trade":
                self._traded(entry, event.trade)
            elif kind == "order_accepted":
                self._accepted(entry)
            elif kind == "order_canceled":
                self._canceled(entry, event.order_canceled)
            elif kind == "order_replaced":
                self._replaced(entry, event.order_replaced)
            elif kind == "order_triggered":
                self._triggered(entry, event.order_triggered)
            elif kind == "order_trailed":
                self._trailed(entry, event.order_trailed)
            elif kind == "applied":
                self._applied(entry)
            elif kind == "balance_adjusted":
                self._balance_adjusted(entry, event.balance_adjusted)
            elif kind == "position_adjusted":
                self._position_adjusted(entry, event.position_adjusted)
            elif kind not in _WITHOUT_ROWS:
                raise unknown_event(entry)

    def _accepted(self, entry: pb.JournalEntry) -> None:
        command = entry.new_order
        tick_size_nanos, lot_size_nanos = self.sizes_of(command.instrument_id)
        stop_price_ticks = command.stop_price_ticks
        sequence = entry.sequence
        self.new_orders[sequence] = OrderRow(
            order_id=sequence,
            account_id=command.account_id,
            instrument_id=command.instrument_id,
            client_order_id=command.client_order_id,
            side=SIDES[command.side],
            type=ORDER_TYPES[command.type],
            time_in_force=TIMES_IN_FORCE[command.time_in_force],
            qty_nanos=command.qty_lots * lot_size_nanos,
            limit_price_nanos=command.limit_price_ticks * tick_size_nanos
            if command.type in _WITH_LIMIT_PRICE
            else None,
            stop_price_nanos=stop_price_ticks * tick_size_nanos if stop_price_ticks else None,
            filled_nanos=0,
            filled_value_micros=0,
            status="new",
            end_reason=None,
            replaces=None,
            replaced_by=None,
            created_ns=entry.timestamp_ns,
            updated_ns=entry.timestamp_ns,
            ended_ns=None,
            updated_sequence=sequence,
            triggered_ns=None,
            triggered_sequence=None,
            trail=_trail(command, tick_size_nanos),
            hwm_nanos=None,
            instructions=_instructions(command),
            heir_of=None,
        )

    def _traded(self, entry: pb.JournalEntry, trade: pb.Trade) -> None:
        instrument_id = trade.instrument_id
        tick_size_nanos, lot_size_nanos = self.sizes_of(instrument_id)
        price_nanos = trade.price_ticks * tick_size_nanos
        qty_nanos = trade.qty_lots * lot_size_nanos
        taker_side = trade.taker_side
        maker_side = pb.SIDE_SELL if taker_side == pb.SIDE_BUY else pb.SIDE_BUY
        # Maker first: if both sides are one account, both carry its state after the trade.
        for liquidity, side, end in (
            ("maker", maker_side, trade.maker),
            ("taker", taker_side, trade.taker),
        ):
            account_id = end.account_id
            self.executions.append(
                ExecutionRow(
                    trade.trade_id,
                    liquidity,
                    entry.sequence,
                    end.order_id,
                    account_id,
                    instrument_id,
                    SIDES[side],
                    price_nanos,
                    qty_nanos,
                    entry.timestamp_ns,
                    end.filled_lots * lot_size_nanos,
                )
            )
            self._filled(entry, end, lot_size_nanos)
            self._cash(entry, account_id, end.cash_micros)
            qty_nanos_after = end.position_lots * lot_size_nanos
            cost_micros = end.position_cost_micros
            self._position(entry, account_id, instrument_id, qty_nanos_after, cost_micros)

    def _filled(self, entry: pb.JournalEntry, end: pb.TradeSide, lot_size_nanos: int) -> None:
        order = self._touch(end.order_id, entry)
        filled_nanos = end.filled_lots * lot_size_nanos
        order.filled_nanos = filled_nanos
        order.filled_value_micros = end.filled_value_micros
        if isinstance(order, OrderRow):
            if filled_nanos == order.qty_nanos:
                order.status = "filled"
                order.ended_ns = entry.timestamp_ns
            else:
                order.status = "partially_filled"

    def _canceled(self, entry: pb.JournalEntry, canceled: pb.OrderCanceled) -> None:
        order = self._touch(canceled.order_id, entry)
        order.status = "expired" if canceled.reason == pb.REASON_DAY_ENDED else "canceled"
        order.end_reason = END_REASONS[canceled.reason]
        order.ended_ns = entry.timestamp_ns

    def _replaced(self, entry: pb.JournalEntry, replaced: pb.OrderReplaced) -> None:
        old = self._touch(replaced.old_order_id, entry)
        old.status = "replaced"
        old.replaced_by = replaced.order_id
        old.ended_ns = entry.timestamp_ns
        tick_size_nanos, lot_size_nanos = self.sizes_of(replaced.instrument_id)
        stop_price_ticks = replaced.stop_price_ticks
        # A market order never rests, so it is never replaced.
        order_type = old.type if isinstance(old, OrderRow) else "limit"
        self.new_orders[replaced.order_id] = OrderRow(
            order_id=replaced.order_id,
            account_id=replaced.account_id,
            instrument_id=replaced.instrument_id,
            client_order_id=entry.replace_order.client_order_id,
            side=SIDES[replaced.side],
            type=order_type,
            time_in_force=TIMES_IN_FORCE[replaced.time_in_force],
            qty_nanos=replaced.qty_lots * lot_size_nanos,
            limit_price_nanos=None
            if order_type in ("stop", "trailing_stop")
            else replaced.limit_price_ticks * tick_size_nanos,
            stop_price_nanos=stop_price_ticks * tick_size_nanos if stop_price_ticks else None,
            filled_nanos=replaced.filled_lots * lot_size_nanos,
            filled_value_micros=replaced.filled_value_micros,
            status="partially_filled" if replaced.filled_lots else "new",
            end_reason=None,
            replaces=replaced.old_order_id,
            replaced_by=None,
            created_ns=entry.timestamp_ns,
            updated_ns=entry.timestamp_ns,
            ended_ns=None,
            updated_sequence=entry.sequence,
            triggered_ns=old.triggered_ns,
            triggered_sequence=old.triggered_sequence,
            trail=_trail(replaced, tick_size_nanos),
            hwm_nanos=None,
            instructions=old.instructions if isinstance(old, OrderRow) else _NO_INSTRUCTIONS,
            heir_of=old.heir_of if isinstance(old, OrderRow) else old.order_id,
        )

    def _triggered(self, entry: pb.JournalEntry, triggered: pb.OrderTriggered) -> None:
        order = self._touch(triggered.order_id, entry)
        order.triggered_ns = entry.timestamp_ns
        order.triggered_sequence = entry.sequence

    def _trailed(self, entry: pb.JournalEntry, trailed: pb.OrderTrailed) -> None:
        order = self._touch(trailed.order_id, entry)
        tick_size_nanos = self.sizes_of(trailed.instrument_id).tick_size_nanos
        order.hwm_nanos = trailed.high_water_ticks * tick_size_nanos
        order.stop_price_nanos = trailed.stop_price_ticks * tick_size_nanos

    def _touch(self, order_id: int, entry: pb.JournalEntry) -> OrderRow | OrderChange:
        order: OrderRow | OrderChange | None = self.new_orders.get(order_id)
        if order is None:
            order = self.order_changes.get(order_id)
            if order is None:
                order = self.order_changes[order_id] = OrderChange(order_id)
        order.updated_ns = entry.timestamp_ns
        order.updated_sequence = entry.sequence
        return order

    def _cash(self, entry: pb.JournalEntry, account_id: int, cash_micros: int) -> None:
        self.cash[account_id] = CashRow(account_id, cash_micros, entry.sequence)
        self.daily_cash[account_id, entry.timestamp_ns // _DAY_NS] = cash_micros

    def _position(
        self,
        entry: pb.JournalEntry,
        account_id: int,
        instrument_id: int,
        qty_nanos: int,
        cost_micros: int,
    ) -> None:
        self.positions[account_id, instrument_id] = PositionRow(
            account_id, instrument_id, qty_nanos, cost_micros, entry.sequence
        )
        day = entry.timestamp_ns // _DAY_NS
        self.daily_positions[account_id, instrument_id, day] = DailyPosition(qty_nanos, cost_micros)

    def _balance_adjusted(self, entry: pb.JournalEntry, adjusted: pb.BalanceAdjusted) -> None:
        command = entry.adjust_balance
        self._cash(entry, command.account_id, adjusted.cash_micros)
        self.movements.append(
            MovementRow(
                entry.sequence,
                command.account_id,
                "CSW" if command.amount_micros < 0 else "CSD",
                command.amount_micros,
                None,
                None,
                entry.timestamp_ns,
            )
        )

    def _position_adjusted(self, entry: pb.JournalEntry, adjusted: pb.PositionAdjusted) -> None:
        command = entry.adjust_position
        lot_size_nanos = self.sizes_of(command.instrument_id).lot_size_nanos
        self._position(
            entry,
            command.account_id,
            command.instrument_id,
            adjusted.position_lots * lot_size_nanos,
            adjusted.position_cost_micros,
        )
        self.movements.append(
            MovementRow(
                entry.sequence,
                command.account_id,
                "JNLS",
                0,
                command.instrument_id,
                command.qty_lots * lot_size_nanos,
                entry.timestamp_ns,
            )
        )

    def _applied(self, entry: pb.JournalEntry) -> None:
        command = entry.WhichOneof("command")
        if command == "open_account":
            terms = entry.open_account
            self.accounts[terms.account_id] = AccountRow(
                terms.account_id,
                terms.name,
                terms.may_sell_short,
                terms.credit_limit_micros,
                entry.timestamp_ns,
                entry.sequence,
            )
        elif command == "define_instrument":
            defined = entry.define_instrument
            self.define(defined)
            self.instruments[defined.instrument_id] = InstrumentRow(
                defined.instrument_id,
                defined.symbol,
                defined.name,
                ASSET_CLASSES[defined.asset_class],
                INSTRUMENT_STATES[defined.state],
                defined.tick_size_nanos,
                defined.lot_size_nanos,
                defined.min_price_ticks * defined.tick_size_nanos,
                defined.max_price_ticks * defined.tick_size_nanos,
                defined.max_order_qty_lots * defined.lot_size_nanos,
                entry.sequence,
            )


def _instructions(command: pb.NewOrder) -> Instructions:
    intent, prevention = command.position_intent, command.self_trade_prevention
    post_only = command.post_only
    if not (intent or prevention or post_only):
        return _NO_INSTRUCTIONS
    return Instructions(
        POSITION_INTENTS[intent] if intent else None,
        SELF_TRADE_PREVENTIONS[prevention] if prevention else None,
        post_only,
    )


def _trail(terms: pb.NewOrder | pb.OrderReplaced, tick_size_nanos: int) -> Trail:
    if not terms.HasField("trail"):
        return _NO_TRAIL
    trail = terms.trail
    return Trail(trail.ticks * tick_size_nanos or None, trail.ppm or None)
