"""What the journal says of administrators and of orders: who did what, when, and why it ended so.

The journal is the only record of this, so it is scanned. One call scans a bounded number of entries
and says where the next one continues.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from typing import Literal

import grpc
import msgspec
from msgspec import UNSET, UnsetType

from openvenue.admin.client import Admin
from openvenue.admin.errors import EngineAway, NotFound
from openvenue.documents.times import format_ns
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.ids import IdSpace, Kind
from openvenue.journal.scan import NoLongerThere, entries_between
from openvenue.settings import Settings
from openvenue.units import NANOS_PER_TRAIL_PPM, format_micros, format_nanos, format_steps
from openvenue.vocabulary import (
    ASSET_CLASSES,
    INSTRUMENT_STATES,
    ORDER_TYPES,
    POSITION_INTENTS,
    SELF_TRADE_PREVENTIONS,
    SIDES,
    TIMES_IN_FORCE,
)

SCANNED_MAX = 200_000
"""Entries that one call scans."""
PAGE_MAX = 500
_CHUNK = 20_000
# Cancels that were on their way when the order ended come within these.
_SCANNED_AFTER_END = 10_000
_NUMBER_MAX = (1 << 62) - 1

_ORDER_COMMANDS = ("new_order", "cancel_order", "replace_order")

CommandName = Literal[
    "new_order",
    "cancel_order",
    "replace_order",
    "define_instrument",
    "open_account",
    "adjust_balance",
    "adjust_position",
    "end_trading_day",
    "configure",
    "cancel_orders",
    "trigger_order",
    "suspend_trading",
]
EventName = Literal[
    "accepted",
    "rejected",
    "duplicate",
    "trailed",
    "triggered",
    "trade",
    "canceled",
    "expired",
    "replaced",
]
Details = dict[str, str | int | bool | None]
Terms = dict[int, pb.DefineInstrument]


class AuditEntry(msgspec.Struct, kw_only=True):
    """An administrative command. `administrator` is the token's name; it is null for the engine
    itself, and in entries from before they had names.

    `reason` says why the engine refused it; null: it took effect.
    """

    sequence: int
    at: str
    administrator: str | None
    command: CommandName
    account_id: int | None
    details: Details
    reason: str | None


class AuditPage(msgspec.Struct, kw_only=True):
    """Administrative commands, the newest first, of the entries that were scanned.

    `next_before` continues; null: the beginning of the journal is reached.
    """

    commands: list[AuditEntry]
    scanned_from: int
    scanned_to: int
    next_before: int | None


class StoryEvent(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What an entry did to the order. Of a trade, the other order and its account are named."""

    event: EventName
    reason: str | UnsetType = UNSET
    qty: str | UnsetType = UNSET
    price: str | UnsetType = UNSET
    stop_price: str | UnsetType = UNSET
    hwm: str | UnsetType = UNSET
    filled_qty: str | UnsetType = UNSET
    trade_id: int | UnsetType = UNSET
    liquidity: Literal["maker", "taker"] | UnsetType = UNSET
    other_order_id: str | UnsetType = UNSET
    other_account_id: int | UnsetType = UNSET
    kept_priority: bool | UnsetType = UNSET


class StoryEntry(msgspec.Struct, kw_only=True):
    """A command that concerned the order: who gave it, when, and what it did.

    `account_id` gave it as a trader, or `administrator` as the token's name; both are null for the
    engine itself. The limit price of a stop order that buys is the price above which it does not
    trade.
    """

    sequence: int
    at: str
    command: CommandName
    account_id: int | None
    administrator: str | None
    details: Details
    events: list[StoryEvent]


class OrderStory(msgspec.Struct, kw_only=True):
    """An order from its first command on, as far as the journal was scanned.

    `ended` is true once an entry here ended it. `next_after` continues; null: the end of the
    journal is reached.
    """

    order_id: str
    order_number: int
    account_id: int
    client_order_id: str
    symbol: str
    replaces: str | None
    ended: bool
    entries: list[StoryEntry]
    scanned_from: int
    scanned_to: int
    next_after: int | None


async def audit(
    admin: Admin,
    settings: Settings,
    *,
    before: int | None = None,
    limit: int = 50,
    administrator: str | None = None,
    account_id: int | None = None,
) -> AuditPage:
    """Return administrative commands before a sequence number, or the newest.

    Raises AdminError.
    """
    terms = await admin.terms()
    durable = (await admin.status()).durable_sequence
    end = durable if before is None else min(before - 1, durable)
    found: list[AuditEntry] = []
    first, size = end + 1, _CHUNK  # Everything from `first` on is scanned.
    lowest = max(1, end + 1 - SCANNED_MAX)
    begins = 1
    while first > lowest and len(found) < limit and first > begins:
        start = max(lowest, first - size)
        try:
            chunk = [
                entry
                async for entry in _scanned(settings, start, first - 1)
                if _is_wanted(entry, administrator, account_id)
            ]
        except NoLongerThere:
            # The journal begins somewhere in the chunk.
            size //= 2
            if size == 0:
                begins = first
            continue
        for entry in reversed(chunk):
            found.append(_audited(entry, terms))
            if len(found) == limit:
                start = entry.sequence
                break
        first = start
    return AuditPage(
        commands=found,
        scanned_from=first,
        scanned_to=end,
        next_before=first if first > begins else None,
    )


async def order_story(
    admin: Admin, settings: Settings, order_id: str, *, after: int | None = None
) -> OrderStory:
    """Return what happened to an order, by its id or number, after an entry of the journal.

    Raises AdminError; NotFound also if the journal no longer reaches back to the order.
    """
    ids = IdSpace(settings.shard_id, Kind.ORDER)
    number = _number_of(order_id, ids)
    terms = await admin.terms()
    durable = (await admin.status()).durable_sequence
    if number > durable:
        raise _no_order(order_id)
    origin = await _origin(settings, number, order_id)
    known = terms[_instrument_of(origin)]
    first = number if after is None else max(number, after + 1)
    last = min(durable, first + SCANNED_MAX - 1)
    teller = _Teller(ids, number, known, _lots_of(origin))
    entries: list[StoryEntry] = []
    scanned_to = first - 1
    async with aclosing(_scanned(settings, first, last)) as scanned:
        async for entry in scanned:
            if (told := teller.tell(entry)) is not None:
                entries.append(told)
                if teller.ended:
                    last = min(last, entry.sequence + _SCANNED_AFTER_END)
            scanned_to = entry.sequence
            if scanned_to >= last:
                break
    command = _command(origin)
    replaces = _replaced_by(origin)
    return OrderStory(
        order_id=ids.format(number),
        order_number=number,
        account_id=command.account_id,
        client_order_id=command.client_order_id,
        symbol=known.symbol,
        replaces=ids.format(replaces) if replaces else None,
        ended=teller.ended,
        entries=entries,
        scanned_from=first,
        scanned_to=scanned_to,
        next_after=scanned_to if scanned_to < durable else None,
    )


@asynccontextmanager
async def _engine_errors() -> AsyncIterator[None]:
    try:
        yield
    except (grpc.aio.AioRpcError, OSError) as error:
        raise EngineAway("the engine does not answer with its journal: ask again") from error


async def _scanned(
    settings: Settings, first: int, last: int
) -> AsyncGenerator[pb.JournalEntry, None]:
    async with _engine_errors(), aclosing(entries_between(settings, first, last)) as entries:
        async for entry in entries:
            yield entry


def _number_of(order_id: str, ids: IdSpace) -> int:
    if order_id.isascii() and order_id.isdigit() and len(order_id) < 20:
        number = int(order_id)
    else:
        number = ids.parse(order_id) or 0
    if not 0 < number <= _NUMBER_MAX:
        raise _no_order(order_id)
    return number


def _no_order(order_id: str) -> NotFound:
    return NotFound(f"there is no order {order_id[:64]}")


async def _origin(settings: Settings, number: int, order_id: str) -> pb.JournalEntry:
    """Return the entry that made the order: it has the order's number. Raises NotFound."""
    try:
        async with aclosing(_scanned(settings, number, number)) as scanned:
            async for entry in scanned:
                if any(_made(event) == number for event in entry.events):
                    return entry
    except NoLongerThere as error:
        raise NotFound(
            f"the journal no longer reaches back to order {order_id[:64]}: {error}"
        ) from error
    raise _no_order(order_id)


def _made(event: pb.Event) -> int:
    """Return the order that an event made; 0 if none."""
    if event.HasField("order_accepted"):
        return event.order_accepted.order_id
    return event.order_replaced.order_id if event.HasField("order_replaced") else 0


def _instrument_of(origin: pb.JournalEntry) -> int:
    if origin.HasField("new_order"):
        return origin.new_order.instrument_id
    return next(e.order_replaced.instrument_id for e in origin.events if _made(e))


def _lots_of(origin: pb.JournalEntry) -> int:
    if origin.HasField("new_order"):
        return origin.new_order.qty_lots
    return next(e.order_replaced.qty_lots for e in origin.events if _made(e))


def _command(origin: pb.JournalEntry) -> pb.NewOrder | pb.ReplaceOrder:
    return origin.new_order if origin.HasField("new_order") else origin.replace_order


def _replaced_by(origin: pb.JournalEntry) -> int:
    """Return the order that the entry's order replaced; 0 if none."""
    for event in origin.events:
        if event.HasField("order_replaced"):
            return event.order_replaced.old_order_id
    return 0


class _Teller:
    """Tells what entries say of one order."""

    def __init__(
        self, ids: IdSpace, number: int, terms: pb.DefineInstrument, qty_lots: int
    ) -> None:
        self.ended = False
        self._ids = ids
        self._number = number
        self._terms = terms
        self._qty_lots = qty_lots

    def tell(self, entry: pb.JournalEntry) -> StoryEntry | None:
        """Return what an entry says of the order; None if nothing."""
        kind = entry.WhichOneof("command")
        events = [told for event in entry.events if (told := self._event(event)) is not None]
        if not events and not self._names_order(entry, kind):
            return None
        by_trader = _is_of_trader(entry, kind)
        command = getattr(entry, kind) if kind is not None else None
        return StoryEntry(
            sequence=entry.sequence,
            at=format_ns(entry.timestamp_ns),
            command=kind,  # type: ignore[arg-type]  # A command of a later version is none here.
            account_id=command.account_id if by_trader and command is not None else None,
            administrator=entry.actor or None,
            details=self._details(entry, kind),
            events=events,
        )

    def _names_order(self, entry: pb.JournalEntry, kind: str | None) -> bool:
        if kind == "cancel_order":
            return entry.cancel_order.order_id == self._number
        if kind == "replace_order":
            return self._number in (entry.replace_order.order_id, entry.sequence)
        return kind == "new_order" and entry.sequence == self._number

    def _event(self, event: pb.Event) -> StoryEvent | None:
        kind = event.WhichOneof("body")
        if kind == "trade":
            return self._trade(event.trade)
        if kind == "order_accepted" and event.order_accepted.order_id == self._number:
            return StoryEvent(event="accepted")
        if kind == "order_triggered" and event.order_triggered.order_id == self._number:
            return StoryEvent(event="triggered")
        if kind == "order_trailed" and event.order_trailed.order_id == self._number:
            return StoryEvent(
                event="trailed",
                stop_price=self._price(event.order_trailed.stop_price_ticks) or UNSET,
                hwm=self._price(event.order_trailed.high_water_ticks) or UNSET,
            )
        if kind == "duplicate" and event.duplicate.order_id == self._number:
            return StoryEvent(event="duplicate")
        if kind == "rejected" and event.rejected.order_id == self._number:
            return StoryEvent(event="rejected", reason=_reason(event.rejected.reason))
        if kind == "order_canceled" and event.order_canceled.order_id == self._number:
            canceled = event.order_canceled
            self.ended = True
            return StoryEvent(
                event="expired" if canceled.reason == pb.REASON_DAY_ENDED else "canceled",
                reason=_reason(canceled.reason),
                qty=self._qty(canceled.canceled_lots),
            )
        if kind == "order_replaced":
            return self._replaced(event.order_replaced)
        return None

    def _trade(self, trade: pb.Trade) -> StoryEvent | None:
        # An order never trades with itself, but an account may.
        if trade.maker.order_id == self._number:
            own, other, liquidity = trade.maker, trade.taker, "maker"
        elif trade.taker.order_id == self._number:
            own, other, liquidity = trade.taker, trade.maker, "taker"
        else:
            return None
        if own.filled_lots >= self._qty_lots:
            self.ended = True
        return StoryEvent(
            event="trade",
            qty=self._qty(trade.qty_lots),
            price=format_steps(trade.price_ticks, self._terms.tick_size_nanos),
            filled_qty=self._qty(own.filled_lots),
            trade_id=trade.trade_id,
            liquidity=liquidity,  # type: ignore[arg-type]
            other_order_id=self._ids.format(other.order_id),
            other_account_id=other.account_id,
        )

    def _replaced(self, replaced: pb.OrderReplaced) -> StoryEvent | None:
        if replaced.old_order_id == self._number:
            self.ended = True
            other = replaced.order_id
        elif replaced.order_id == self._number:
            return StoryEvent(
                event="accepted",
                qty=self._qty(replaced.qty_lots),
                price=self._price(replaced.limit_price_ticks) or UNSET,
                stop_price=self._price(replaced.stop_price_ticks) or UNSET,
                filled_qty=self._qty(replaced.filled_lots),
                other_order_id=self._ids.format(replaced.old_order_id),
                kept_priority=replaced.kept_priority,
            )
        else:
            return None
        return StoryEvent(event="replaced", other_order_id=self._ids.format(other))

    def _details(self, entry: pb.JournalEntry, kind: str | None) -> Details:
        if kind == "new_order":
            order = entry.new_order
            return {
                "client_order_id": order.client_order_id,
                "symbol": self._terms.symbol,
                "side": SIDES[order.side],
                "type": ORDER_TYPES[order.type],
                "time_in_force": TIMES_IN_FORCE[order.time_in_force],
                "qty": self._qty(order.qty_lots),
                "limit_price": self._price(order.limit_price_ticks),
                "stop_price": self._price(order.stop_price_ticks),
                "trail_price": self._price(order.trail.ticks),
                "trail_percent": _percent(order.trail.ppm),
                "position_intent": POSITION_INTENTS[order.position_intent]
                if order.position_intent
                else None,
                "self_trade_prevention": SELF_TRADE_PREVENTIONS[order.self_trade_prevention]
                if order.self_trade_prevention
                else None,
                "post_only": order.post_only or None,
            }
        if kind == "cancel_orders":
            filters = entry.cancel_orders
            return {
                "symbol": self._terms.symbol if filters.instrument_id else None,
                "side": SIDES[filters.side] if filters.side else None,
            }
        if kind == "replace_order":
            wanted = entry.replace_order
            return {
                "order_id": self._ids.format(wanted.order_id) if wanted.order_id else None,
                "client_order_id": wanted.client_order_id,
                "qty": self._qty(wanted.qty_lots) if wanted.qty_lots else None,
                "limit_price": self._price(wanted.limit_price_ticks),
                "stop_price": self._price(wanted.stop_price_ticks),
                "trail_price": self._price(wanted.trail.ticks),
                "trail_percent": _percent(wanted.trail.ppm),
                "time_in_force": TIMES_IN_FORCE[wanted.time_in_force]
                if wanted.time_in_force
                else None,
            }
        return {}

    def _qty(self, lots: int) -> str:
        return format_steps(lots, self._terms.lot_size_nanos)

    def _price(self, ticks: int) -> str | None:
        return format_steps(ticks, self._terms.tick_size_nanos) if ticks else None


def _percent(ppm: int) -> str | None:
    return format_steps(ppm, NANOS_PER_TRAIL_PPM) if ppm else None


def _is_of_trader(entry: pb.JournalEntry, kind: str | None) -> bool:
    return kind in _ORDER_COMMANDS or (kind == "cancel_orders" and not entry.actor)


def _is_wanted(entry: pb.JournalEntry, administrator: str | None, account_id: int | None) -> bool:
    kind = entry.WhichOneof("command")
    if kind is None or kind == "trigger_order" or _is_of_trader(entry, kind):
        return False
    if administrator is not None and entry.actor != administrator:
        return False
    return account_id is None or _account_of(entry, kind) == account_id


def _account_of(entry: pb.JournalEntry, kind: str) -> int | None:
    # 0: a suspension of all accounts.
    return getattr(getattr(entry, kind), "account_id", None) or None


def _audited(entry: pb.JournalEntry, terms: Terms) -> AuditEntry:
    kind = entry.WhichOneof("command")
    assert kind is not None
    refusals = (e.rejected.reason for e in entry.events if e.HasField("rejected"))
    refused = next(refusals, None)
    return AuditEntry(
        sequence=entry.sequence,
        at=format_ns(entry.timestamp_ns),
        administrator=entry.actor or None,
        command=kind,
        account_id=_account_of(entry, kind),
        details=dict(_details(entry, kind, terms)),
        reason=None if refused is None else _reason(refused),
    )


def _details(
    entry: pb.JournalEntry, kind: str, terms: Terms
) -> Iterator[tuple[str, str | int | bool | None]]:
    if kind == "define_instrument":
        defined = entry.define_instrument
        tick_nanos, lot_nanos = defined.tick_size_nanos, defined.lot_size_nanos
        yield "symbol", defined.symbol
        yield "name", defined.name
        yield "class", ASSET_CLASSES.get(defined.asset_class)
        yield "state", INSTRUMENT_STATES.get(defined.state)
        yield "tick", format_nanos(tick_nanos)
        yield "lot", format_nanos(lot_nanos)
        yield "min_price", format_steps(defined.min_price_ticks, tick_nanos)
        yield "max_price", format_steps(defined.max_price_ticks, tick_nanos)
        yield "max_qty", format_steps(defined.max_order_qty_lots, lot_nanos)
    elif kind == "open_account":
        yield "name", entry.open_account.name
        yield "may_sell_short", entry.open_account.may_sell_short
        yield "credit_limit", format_micros(entry.open_account.credit_limit_micros)
    elif kind == "adjust_balance":
        yield "amount", format_micros(entry.adjust_balance.amount_micros)
        for event in entry.events:
            if event.HasField("balance_adjusted"):
                yield "cash", format_micros(event.balance_adjusted.cash_micros)
    elif kind == "adjust_position":
        moved = entry.adjust_position
        known = terms.get(moved.instrument_id)
        if known is None:
            yield "instrument_id", moved.instrument_id
        else:
            yield "symbol", known.symbol
            yield "qty", format_steps(moved.qty_lots, known.lot_size_nanos)
        yield "cost", format_micros(moved.cost_micros)
    elif kind == "suspend_trading":
        yield "suspended", entry.suspend_trading.suspended
    elif kind == "cancel_orders":
        yield from _cancel_details(entry, terms)
    elif kind == "configure":
        yield "rules_version", entry.configure.rules_version
        for field, value in entry.configure.limits.ListFields():
            yield field.name, value


def _cancel_details(
    entry: pb.JournalEntry, terms: Terms
) -> Iterator[tuple[str, str | int | bool | None]]:
    wanted = entry.cancel_orders
    known = terms.get(wanted.instrument_id)
    if known is not None:
        yield "symbol", known.symbol
    elif wanted.instrument_id:
        yield "instrument_id", wanted.instrument_id
    yield "side", SIDES[wanted.side] if wanted.side else None
    yield "canceled", sum(event.HasField("order_canceled") for event in entry.events)


def _reason(reason: int) -> str:
    """Return the word of a reason; its number if this version does not know it."""
    try:
        return pb.Reason.Name(reason).removeprefix("REASON_").lower()  # type: ignore[arg-type]
    except ValueError:
        return str(reason)
