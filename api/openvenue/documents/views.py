"""Conversion of the engine's and the database's records into the API's documents."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from msgspec import UNSET, UnsetType

from openvenue import units
from openvenue.documents import resources
from openvenue.documents.times import format_datetime, format_ns, ns_of
from openvenue.engine.instruments import Instrument
from openvenue.engine.trading_day import TradingDay
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.ids import IdSpace, Kind
from openvenue.queries.equity import DayBefore
from openvenue.security.principal import Restrictions
from openvenue.vocabulary import (
    ORDER_STATUSES,
    ORDER_TYPES,
    POSITION_INTENTS,
    SELF_TRADE_PREVENTIONS,
    SIDES,
    TIMES_IN_FORCE,
    AssetClass,
)

# Alpaca's lists are closed and have no name for this venue. They have NASDAQ, and bots that filter
# by exchange ask for it.
EXCHANGES: dict[AssetClass, str] = {"us_equity": "NASDAQ", "crypto": "CRYPTO"}

# Their limit price is the venue's, not the client's, and is not shown.
_BOUND_BY_VENUE = (pb.ORDER_TYPE_STOP, pb.ORDER_TYPE_TRAILING_STOP)

# The field that shows an order's end, by what ended it.
_ENDED_AT_FIELDS = {
    "filled": "filled_at",
    "canceled": "canceled_at",
    "expired": "expired_at",
    "replaced": "replaced_at",
}


class Views:
    """Makes documents for one shard."""

    def __init__(self, shard_id: int, trading_day: TradingDay) -> None:
        self._trading_day = trading_day
        self._day_start_ns = self._day_end_ns = 0
        self._day_end = ""
        self.order_ids = IdSpace(shard_id, Kind.ORDER)
        self.account_ids = IdSpace(shard_id, Kind.ACCOUNT)
        self.execution_ids = IdSpace(shard_id, Kind.EXECUTION)

    def order(self, order: pb.Order, instrument: Instrument) -> resources.Order:
        """Return an order as the engine reports it."""
        created_ns, updated_ns = order.created_ns, order.updated_ns
        created = format_ns(created_ns)
        updated = created if updated_ns == created_ns else format_ns(updated_ns)
        status = ORDER_STATUSES[order.status]
        order_type = ORDER_TYPES[order.type]
        time_in_force = TIMES_IN_FORCE[order.time_in_force]
        lot_nanos = instrument.lot_nanos
        # Most orders are new, so rarer fields are set only when needed.
        document = resources.Order(
            id=self.order_ids.format(order.order_id),
            client_order_id=order.client_order_id,
            created_at=created,
            updated_at=updated,
            submitted_at=created,
            asset_id=instrument.asset_id,
            symbol=instrument.symbol,
            asset_class=instrument.asset_class,
            qty=units.format_nanos(order.qty_lots * lot_nanos),
            order_type=order_type,
            type=order_type,
            side=SIDES[order.side],
            time_in_force=time_in_force,
            status=status,
        )
        if limit_price_ticks := order.limit_price_ticks:
            document.limit_price = units.format_nanos(limit_price_ticks * instrument.tick_nanos)
        if stop_price_ticks := order.stop_price_ticks:
            document.stop_price = units.format_nanos(stop_price_ticks * instrument.tick_nanos)
            if order.type in _BOUND_BY_VENUE:
                document.limit_price = None
            if order.HasField("trail"):
                _show_trail(document, order, instrument)
            if triggered_ns := order.triggered_ns:
                document.triggered_at = format_ns(triggered_ns)
        if filled_lots := order.filled_lots:
            filled_nanos = filled_lots * lot_nanos
            document.filled_qty = units.format_nanos(filled_nanos)
            document.filled_avg_price = average_price(order.filled_value_micros, filled_nanos)
        if time_in_force == "day":
            document.expires_at = self._expires_at(created_ns)
        if position_intent := order.position_intent:
            document.position_intent = POSITION_INTENTS[position_intent]
        if prevention := order.self_trade_prevention:
            document.self_trade_prevention = SELF_TRADE_PREVENTIONS[prevention]
        if order.post_only:
            document.post_only = True
        if replaces := order.replaces:
            document.replaces = self.order_ids.format(replaces)
        if status in _ENDED_AT_FIELDS:
            setattr(document, _ENDED_AT_FIELDS[status], updated)
            document.replaced_by = self._order_id_or_none(order.replaced_by)
        return document

    def order_row(self, row: Any, instrument: Instrument) -> resources.Order:
        """Return an order as a row of `orders` holds it."""
        created = format_datetime(row.created_at)
        document = resources.Order(
            id=self.order_ids.format(row.order_id),
            client_order_id=row.client_order_id,
            created_at=created,
            updated_at=format_datetime(row.updated_at),
            submitted_at=created,
            replaced_by=self._order_id_or_none(row.replaced_by),
            replaces=self._order_id_or_none(row.replaces),
            asset_id=instrument.asset_id,
            symbol=instrument.symbol,
            asset_class=instrument.asset_class,
            qty=units.format_decimal(row.qty),
            order_type=row.type,
            type=row.type,
            side=row.side,
            time_in_force=row.time_in_force,
            limit_price=_format_or_none(row.limit_price),
            status=row.status,
            position_intent=row.position_intent or UNSET,
            self_trade_prevention=row.self_trade_prevention or UNSET,
            post_only=row.post_only or UNSET,
            stop_price=_format_or_none(row.stop_price),
            trail_price=_format_or_none(row.trail_price),
            trail_percent=_format_or_none(row.trail_percent),
            hwm=_format_or_none(row.hwm),
        )
        if row.time_in_force == "day":
            document.expires_at = self._expires_at(ns_of(row.created_at))
        if row.filled_qty:
            filled_nanos, value_micros = _scaled(row.filled_qty, 9), _scaled(row.filled_value, 6)
            document.filled_qty = units.format_nanos(filled_nanos)
            document.filled_avg_price = average_price(value_micros, filled_nanos)
        if row.triggered_at is not None:
            document.triggered_at = format_datetime(row.triggered_at)
        if row.ended_at is not None:
            setattr(document, _ENDED_AT_FIELDS[row.status], format_datetime(row.ended_at))
        return document

    def account(
        self,
        account: pb.Account,
        instruments: Mapping[int, Instrument],
        held_for_pairs_micros: int,
        restrictions: Restrictions | None,
        day_before: DayBefore,
    ) -> resources.Account:
        """Return an account with its positions at their last prices.

        `held_for_pairs_micros` is the amount that its open orders to buy pairs reserve;
        `restrictions` are what its owner, or an administrator, has forbidden.
        """
        marked = [
            Marked(position, instruments[position.instrument_id], day_before)
            for position in account.positions
        ]
        values = [position.value_micros for position in marked]
        long_micros = sum(value for value in values if value > 0)
        short_micros = sum(value for value in values if value < 0)
        equity_micros = account.cash_micros + long_micros + short_micros
        # An account that had nothing yesterday gained what its positions gained.
        last_equity_micros = (
            equity_micros - sum(position.profit_micros for position in marked)
            if day_before.account.equity is None
            else int(day_before.account.equity.scaleb(6))
        )
        equity = units.format_micros(equity_micros)
        buying_power = units.format_micros(account.buying_power_micros)
        return resources.Account(
            id=self.account_ids.format(account.account_id),
            account_number=str(account.account_id),
            buying_power=buying_power,
            regt_buying_power=buying_power,
            non_marginable_buying_power=buying_power,
            cash=units.format_micros(account.cash_micros - held_for_pairs_micros),
            portfolio_value=equity,
            equity=equity,
            last_equity=units.format_micros(last_equity_micros),
            position_market_value=units.format_micros(long_micros + short_micros),
            long_market_value=units.format_micros(long_micros),
            short_market_value=units.format_micros(short_micros),
            initial_margin=units.format_micros(account.reserved_micros),
            trading_blocked=account.suspended
            or account.venue_suspended
            or (restrictions is not None and restrictions.trading_blocked),
            trade_suspended_by_user=restrictions is not None and restrictions.suspend_trade,
            shorting_enabled=account.may_sell_short
            and not (restrictions is not None and restrictions.no_shorting),
            created_at=format_ns(account.created_ns),
        )

    def _expires_at(self, created_ns: int) -> str | UnsetType:
        # Nearly all shown orders are of one day.
        if not self._day_start_ns <= created_ns < self._day_end_ns:
            if not self._trading_day.known:
                return UNSET
            self._day_end_ns = self._trading_day.end_after(created_ns)
            self._day_start_ns = self._day_end_ns - TradingDay.LENGTH_NS
            self._day_end = format_ns(self._day_end_ns)
        return self._day_end

    def _order_id_or_none(self, order_id: int | None) -> str | None:
        return self.order_ids.format(order_id) if order_id else None


def _show_trail(document: resources.Order, order: pb.Order, instrument: Instrument) -> None:
    trail = order.trail
    if trail.ticks:
        document.trail_price = units.format_steps(trail.ticks, instrument.tick_nanos)
    else:
        document.trail_percent = units.format_steps(trail.ppm, units.NANOS_PER_TRAIL_PPM)
    document.hwm = units.format_steps(order.high_water_ticks, instrument.tick_nanos)


def _format_or_none(value: Decimal | None) -> str | None:
    return None if value is None else units.format_decimal(value)


class Marked:
    """A position at the last price; before the first trade it is worth what it cost.

    Figures of the day count from the close of the day before, and from the cost where there is
    none.
    """

    def __init__(
        self, position: pb.Position, instrument: Instrument, day_before: DayBefore
    ) -> None:
        self._position = position
        self._instrument = instrument
        self.value_micros = (
            instrument.value_micros(position.qty_lots, position.last_price_ticks)
            if position.last_price_ticks
            else position.cost_micros
        )
        self.profit_micros = self.value_micros - position.cost_micros
        self._close = day_before.prices.get(instrument.instrument_id)
        self._held_before = day_before.account.positions.get(instrument.instrument_id)

    @property
    def profit_today_micros(self) -> int:
        """The profit less that of the day before, as far as the same position is still held."""
        qty = Decimal(self._position.qty_lots * self._instrument.lot_nanos).scaleb(-9)
        held = self._held_before
        if held is None or self._close is None or held.qty * qty <= 0:
            return self.profit_micros
        before = held.qty * self._close - held.cost
        return self.profit_micros - int((before * min(Decimal(1), qty / held.qty)).scaleb(6))

    def document(self, covering_lots: int) -> resources.Position:
        """Return the document; precondition: the quantity is not 0.

        `covering_lots` is the part of a short position that open buy orders would cover.
        """
        position, instrument = self._position, self._instrument
        qty_nanos = position.qty_lots * instrument.lot_nanos
        entry_price = _entry_price(position.cost_micros, qty_nanos, instrument)
        price = (
            units.format_steps(position.last_price_ticks, instrument.tick_nanos)
            if position.last_price_ticks
            else entry_price
        )
        before = entry_price if self._close is None else units.format_decimal(self._close)
        today_micros = self.profit_today_micros
        return resources.Position(
            asset_id=instrument.asset_id,
            symbol=instrument.symbol,
            exchange=EXCHANGES[instrument.asset_class],
            asset_class=instrument.asset_class,
            avg_entry_price=entry_price,
            qty=units.format_nanos(qty_nanos),
            qty_available=units.format_steps(
                free_lots(position, covering_lots), instrument.lot_nanos
            ),
            side="long" if qty_nanos > 0 else "short",
            market_value=units.format_micros(self.value_micros),
            cost_basis=units.format_micros(position.cost_micros),
            unrealized_pl=units.format_micros(self.profit_micros),
            unrealized_plpc=_ratio(self.profit_micros, abs(position.cost_micros)),
            unrealized_intraday_pl=units.format_micros(today_micros),
            unrealized_intraday_plpc=_ratio(today_micros, abs(self.value_micros - today_micros)),
            current_price=price,
            lastday_price=before,
            change_today=_ratio(
                units.parse_nanos(price) - units.parse_nanos(before), units.parse_nanos(before)
            ),
        )


def free_lots(position: pb.Position, covering_lots: int) -> int:
    """Return the lots of a position that no open order would take, with the position's sign.

    `covering_lots` is the part of a short position that open buy orders would cover.
    """
    if position.qty_lots > 0:
        return max(0, position.qty_lots - position.reserved_lots)
    return min(0, position.qty_lots + covering_lots)


def asset(instrument: Instrument) -> resources.Asset:
    """Return an instrument as an Alpaca asset."""
    return resources.Asset(
        id=instrument.asset_id,
        asset_class=instrument.asset_class,
        exchange=EXCHANGES[instrument.asset_class],
        symbol=instrument.symbol,
        name=instrument.name,
        status="active" if instrument.active else "inactive",
        tradable=instrument.active,
        shortable=instrument.active,
        easy_to_borrow=instrument.active,
        fractionable=instrument.lot_nanos < units.NANOS_PER_UNIT,
        min_order_size=units.format_nanos(instrument.lot_nanos),
        min_trade_increment=units.format_nanos(instrument.lot_nanos),
        price_increment=units.format_nanos(instrument.tick_nanos),
    )


def book(snapshot: pb.BookSnapshot, instrument: Instrument) -> resources.Book:
    """Return a book as the engine reports it."""
    return resources.Book(
        symbol=instrument.symbol,
        sequence=snapshot.sequence,
        bids=[_level(level, instrument) for level in snapshot.bids],
        asks=[_level(level, instrument) for level in snapshot.asks],
        last_price=(
            units.format_steps(snapshot.last_price_ticks, instrument.tick_nanos)
            if snapshot.last_price_ticks
            else None
        ),
    )


def average_price(value_micros: int, qty_nanos: int) -> str:
    """Return value ÷ quantity as a decimal string."""
    return units.format_nanos(units.average_price_nanos(value_micros, qty_nanos))


def _level(level: pb.BookLevel, instrument: Instrument) -> resources.BookLevel:
    return resources.BookLevel(
        units.format_steps(level.price_ticks, instrument.tick_nanos),
        units.format_steps(level.qty_lots, instrument.lot_nanos),
        level.orders,
    )


def _entry_price(cost_micros: int, qty_nanos: int, instrument: Instrument) -> str:
    """Return the average price, rounded to a hundredth of a tick.

    The cost is kept in whole micros: further digits would change as parts of a position are sold.
    """
    step = max(1, instrument.tick_nanos // 100)
    price_nanos = units.average_price_nanos(cost_micros, qty_nanos)
    return units.format_nanos((price_nanos + step // 2) // step * step)


def _ratio(part_micros: int, whole_micros: int) -> str:
    if not whole_micros:
        return "0"
    return units.format_nanos(part_micros * units.NANOS_PER_UNIT // whole_micros)


def _scaled(value: Decimal, digits: int) -> int:
    return int(value.scaleb(digits))
