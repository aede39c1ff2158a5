"""Makes a feed whose state the database holds, from which it folds the journal on."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import grpc
from sqlalchemy.ext.asyncio import AsyncConnection

from openvenue.db.alchemy import open_engine
from openvenue.documents.times import now_ns, ns_of
from openvenue.documents.views import Views
from openvenue.engine.client import open_channel
from openvenue.engine.instruments import Instrument, instrument_of
from openvenue.engine.trading_day import TradingDay
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.engine.v1 import engine_pb2_grpc as rpc
from openvenue.ids import IdSpace, Kind
from openvenue.journal.changed_orders import changed_between
from openvenue.journal.reader import JournalReader
from openvenue.queries.market import traded_by
from openvenue.queries.open_orders_at import open_orders_at, projected_sequence
from openvenue.settings import Settings
from openvenue.stream.channels import Channels
from openvenue.stream.feed import Feed
from openvenue.stream.market import DAY_NS, Interval
from openvenue.stream.settings import StreamSettings
from openvenue.vocabulary import (
    ORDER_TYPES,
    POSITION_INTENTS,
    SELF_TRADE_PREVENTIONS,
    SIDES,
    TIMES_IN_FORCE,
)

_TIMEOUT_S = 10.0


class StreamFault(Exception):
    """Engine, database and settings do not belong together; says what to do."""


@dataclass(frozen=True, slots=True)
class _EngineState:
    instruments: dict[int, Instrument]
    trading_day: TradingDay
    durable_sequence: int


@dataclass(frozen=True, slots=True)
class Beginning:
    """The state after entry `sequence`, from which on a reader folds the journal."""

    sequence: int
    open_orders: list[pb.Order]
    instruments: dict[int, Instrument]
    trading_day: TradingDay
    durable_sequence: int
    connection: AsyncConnection
    """To read more of that state."""


async def load_feed(settings: Settings, own: StreamSettings) -> tuple[Feed, int]:
    """Return a feed, and the number of the last entry that is durable now.

    It begins as `beginning` does. Raises the errors of engine or database when they are down.
    """
    async with beginning(settings, own.window_entries, "openvenue-stream") as start:
        first_ns = await _time_of(settings, start.sequence + 1, start.durable_sequence)
        days = await _days(
            start.connection, settings.shard_id, start.sequence, first_ns, start.instruments
        )
    feed = Feed(
        settings.shard_id,
        Views(settings.shard_id, start.trading_day),
        Channels(start.sequence, own.window_messages_max),
        start.instruments,
        start.open_orders,
        start.sequence,
        days,
    )
    return feed, start.durable_sequence


@asynccontextmanager
async def beginning(settings: Settings, window_entries: int, name: str) -> AsyncIterator[Beginning]:
    """Read the state `window_entries` before the projection's offset.

    It is the state at the offset if the journal no longer reaches back so far. `name` is for the
    database's log. Raises the errors of engine or database when they are down.
    """
    database = open_engine(
        settings.database_url.get_secret_value(),
        name,
        timeout_s=_TIMEOUT_S,
        isolation_level="REPEATABLE READ",
    )
    try:
        async with database.connect() as connection:
            # The engine after the database, which only follows it.
            offset = await projected_sequence(connection, settings.shard_id)
            engine = await _engine_state(settings)
            if engine.durable_sequence < offset:
                raise StreamFault(
                    f"the database is at sequence {offset}, the engine's journal ends at "
                    f"{engine.durable_sequence}: connect the engine and the database that belong "
                    "together"
                )
            sequence = max(0, offset - window_entries)
            changed = await _changed_between(settings, sequence + 1, offset)
            if changed is None:
                sequence, changed = offset, set()
            orders = await _open_orders(
                connection, settings.shard_id, sequence, changed, engine.instruments
            )
            yield Beginning(
                sequence,
                orders,
                engine.instruments,
                engine.trading_day,
                engine.durable_sequence,
                connection,
            )
    finally:
        await database.dispose()


async def _engine_state(settings: Settings) -> _EngineState:
    ids = IdSpace(settings.shard_id, Kind.INSTRUMENT)
    async with open_channel(settings) as channel:
        admin = rpc.AdminStub(channel)
        status = await admin.GetStatus(pb.GetStatusRequest(), timeout=_TIMEOUT_S)
        if status.shard_id != settings.shard_id:
            raise StreamFault(
                f"the engine serves shard {status.shard_id}, not {settings.shard_id}: compare "
                "OPENVENUE_SHARD_ID with the engine's --shard-id"
            )
        listed = await admin.ListInstruments(pb.ListInstrumentsRequest(), timeout=_TIMEOUT_S)
    instruments = (instrument_of(info.terms, ids) for info in listed.instruments)
    return _EngineState(
        {instrument.instrument_id: instrument for instrument in instruments},
        TradingDay(status.trading_day_end_ns),
        status.durable_sequence,
    )


async def _changed_between(settings: Settings, first: int, last: int) -> set[int] | None:
    """Return the orders that these entries filled, canceled, replaced or triggered.

    Returns None if the journal no longer reaches back to the first one.
    """
    try:
        return await changed_between(settings, first, last)
    except grpc.aio.AioRpcError as error:
        if error.code() == grpc.StatusCode.OUT_OF_RANGE:
            return None
        raise


async def _open_orders(
    connection: AsyncConnection,
    shard_id: int,
    sequence: int,
    changed: set[int],
    instruments: Mapping[int, Instrument],
) -> list[pb.Order]:
    rows = await open_orders_at(connection, shard_id, sequence, changed)
    return [_order(row, instruments[row.instrument_id]) for row in rows]


async def _time_of(settings: Settings, sequence: int, durable_sequence: int) -> int:
    """Return the time of an entry, or now if it is still to come."""
    if sequence > durable_sequence:
        return now_ns()
    async with JournalReader(settings, sequence) as reader:
        batch = await reader.read(_TIMEOUT_S)
    if batch is None:
        raise TimeoutError("the engine sent no journal entry")
    return int(batch.entries[0].timestamp_ns)


async def _days(
    connection: AsyncConnection,
    shard_id: int,
    sequence: int,
    time_ns: int,
    instruments: Mapping[int, Instrument],
) -> dict[int, Interval] | None:
    """Return what was traded up to an entry on the day of a time, by instrument."""
    start_ns = time_ns // DAY_NS * DAY_NS
    day = datetime.fromtimestamp(start_ns // 10**9, UTC)
    traded = await traded_by(connection, shard_id, sequence, day)
    if traded is None:
        return None
    days: dict[int, Interval] = {}
    minutes, trades = traded
    parts = [(row.instrument_id, _of_minute(row, instruments)) for row in minutes]
    parts += [(row.instrument_id, _of_trade(row, instruments)) for row in trades]
    for instrument_id, part in parts:
        if instrument_id in days:
            days[instrument_id].extend(part)
        else:
            days[instrument_id] = replace(part, start_ns=start_ns)
    return days


def _of_minute(row: Any, instruments: Mapping[int, Instrument]) -> Interval:
    tick_nanos = instruments[row.instrument_id].tick_nanos
    lot_nanos = instruments[row.instrument_id].lot_nanos
    return Interval(
        ns_of(row.started_at),
        open=_scaled(row.open, 9) // tick_nanos,
        high=_scaled(row.high, 9) // tick_nanos,
        low=_scaled(row.low, 9) // tick_nanos,
        close=_scaled(row.close, 9) // tick_nanos,
        lots=_scaled(row.volume, 9) // lot_nanos,
        # Exact: one lot at one tick is whole micros.
        value=_scaled(row.value, 6) * 10**12 // (tick_nanos * lot_nanos),
        trades=row.trades,
    )


def _of_trade(row: Any, instruments: Mapping[int, Instrument]) -> Interval:
    instrument = instruments[row.instrument_id]
    ticks = _scaled(row.price, 9) // instrument.tick_nanos
    lots = _scaled(row.qty, 9) // instrument.lot_nanos
    interval = Interval.beginning(ns_of(row.executed_at), ticks)
    interval.lots, interval.value, interval.trades = lots, lots * ticks, 1
    return interval


def _order(row: Any, instrument: Instrument) -> pb.Order:
    tick_nanos, lot_nanos = instrument.tick_nanos, instrument.lot_nanos
    filled_lots = _scaled(row.filled_qty, 9) // lot_nanos
    created_ns = ns_of(row.created_at)
    return pb.Order(
        order_id=row.order_id,
        account_id=row.account_id,
        instrument_id=row.instrument_id,
        client_order_id=row.client_order_id,
        side=SIDES.numbers[row.side],
        type=ORDER_TYPES.numbers[row.type],
        time_in_force=TIMES_IN_FORCE.numbers[row.time_in_force],
        status=_status(row),
        qty_lots=_scaled(row.qty, 9) // lot_nanos,
        limit_price_ticks=_scaled(row.limit_price, 9) // tick_nanos if row.limit_price else 0,
        stop_price_ticks=_scaled(row.stop_price, 9) // tick_nanos if row.stop_price else 0,
        triggered_ns=ns_of(row.triggered_at) if row.triggered_at else 0,
        filled_lots=filled_lots,
        filled_value_micros=_scaled(row.filled_value, 6),
        replaces=row.replaces or 0,
        created_ns=created_ns,
        updated_ns=created_ns,
        position_intent=(
            POSITION_INTENTS.numbers[row.position_intent]
            if row.position_intent
            else pb.POSITION_INTENT_UNSPECIFIED
        ),
        self_trade_prevention=(
            SELF_TRADE_PREVENTIONS.numbers[row.self_trade_prevention]
            if row.self_trade_prevention
            else pb.SELF_TRADE_PREVENTION_UNSPECIFIED
        ),
        post_only=bool(row.post_only),
        trail=_trail(row, tick_nanos),
        high_water_ticks=_scaled(row.hwm, 9) // tick_nanos if row.hwm else 0,
    )


def _trail(row: Any, tick_nanos: int) -> pb.Trail | None:
    if row.trail_price:
        return pb.Trail(ticks=_scaled(row.trail_price, 9) // tick_nanos)
    return pb.Trail(ppm=_scaled(row.trail_percent, 4)) if row.trail_percent else None


def _status(row: Any) -> "pb.OrderStatus.ValueType":
    if row.waits:
        return pb.ORDER_STATUS_WAITING
    return pb.ORDER_STATUS_PARTIALLY_FILLED if row.filled_qty else pb.ORDER_STATUS_NEW


def _scaled(value: Decimal, digits: int) -> int:
    return int(value.scaleb(digits))
