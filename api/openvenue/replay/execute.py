"""Executes operations at the venue and reports its answers, nothing more."""

from dataclasses import dataclass, field
from itertools import count

from openvenue.replay.operation import Kind, Operation
from openvenue.replay.venue import BookReport, OrderReport, Refused, Venue
from openvenue.units import format_steps, parse_steps

# Depth that a READ_BOOK asks for; the venue's own maximum.
BOOK_DEPTH_MAX = 1000

Levels = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Scale:
    """Value of one of the plan's units of price and quantity, in nanos (1e-9)."""

    price_nanos: int
    qty_nanos: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """The venue's report on one operation, in the plan's units.

    `left` is the rest of the operation's own order afterwards, `filled` what it traded at once. For
    an OBSERVE, `makers` are those whose orders the venue then showed as executed further, and
    `absent` the keys of expected makers that the venue lacks, because it refused them. For a
    READ_BOOK, `bids` and `asks` are best first. `refused` is the venue's reason.
    """

    operation: Operation
    left: int = 0
    filled: int = 0
    makers: tuple[tuple[int, int], ...] = ()
    absent: frozenset[int] = frozenset()
    refused: str | None = None
    bids: Levels = ()
    asks: Levels = ()


@dataclass(slots=True)
class _Handle:
    """A resting order at the venue."""

    account: int
    venue_id: str
    qty: int
    filled: int


@dataclass(slots=True)
class Executor:
    """Sends operations of one symbol. Makers' orders are spread over all accounts but the last,
    which takes, so that no account trades with itself."""

    venue: Venue
    symbol: str
    scale: Scale
    run_id: str
    _handles: dict[int, _Handle] = field(default_factory=dict)
    _client_ids: "count[int]" = field(default_factory=lambda: count(1))

    async def perform(self, operation: Operation) -> Outcome:
        """Perform one operation. A refusal is an outcome; raises VenueUnavailable."""
        try:
            match operation.kind:
                case Kind.PLACE:
                    return await self._place(operation)
                case Kind.REDUCE:
                    return await self._reduce(operation)
                case Kind.CANCEL:
                    return await self._cancel(operation)
                case Kind.TAKE:
                    return await self._take(operation)
                case Kind.OBSERVE:
                    return await self._observe(operation)
                case Kind.READ_BOOK:
                    return await self._read_book(operation)
        except Refused as refusal:
            return Outcome(operation, refused=f"{refusal.status}: {refusal}")

    async def _place(self, operation: Operation) -> Outcome:
        qty = self._qty_to_enter(operation)
        if not qty:
            return Outcome(operation, refused=_MAKERS_ABSENT)
        account = self._maker_account(operation.key)
        report = await self._enter(account, operation, qty, "gtc")
        qty, filled = self._quantities(report)
        self._handles[operation.key] = _Handle(account, report.id, qty, filled)
        return Outcome(operation, left=qty - filled, filled=filled)

    async def _take(self, operation: Operation) -> Outcome:
        qty = self._qty_to_enter(operation)
        if not qty:
            return Outcome(operation, refused=_MAKERS_ABSENT)
        taker = len(self.venue.accounts) - 1
        report = await self._enter(taker, operation, qty, "ioc")
        _, filled = self._quantities(report)
        return Outcome(operation, filled=filled)

    async def _reduce(self, operation: Operation) -> Outcome:
        handle = self._handles.get(operation.key)
        if handle is None:
            return Outcome(operation, refused=_NEVER_RESTED)
        report = await self.venue.replace(
            handle.account,
            handle.venue_id,
            self._client_order_id(),
            format_steps(handle.qty - operation.qty, self.scale.qty_nanos),
        )
        handle.venue_id = report.id
        handle.qty, handle.filled = self._quantities(report)
        return Outcome(operation, left=handle.qty - handle.filled)

    async def _cancel(self, operation: Operation) -> Outcome:
        handle = self._handles.pop(operation.key, None)
        if handle is None:
            return Outcome(operation, refused=_NEVER_RESTED)
        await self.venue.cancel(handle.account, handle.venue_id)
        return Outcome(operation)

    async def _read_book(self, operation: Operation) -> Outcome:
        book = await self.venue.book(self.symbol, BOOK_DEPTH_MAX)
        return Outcome(operation, bids=self._levels(book.bids), asks=self._levels(book.asks))

    async def _enter(
        self, account: int, operation: Operation, qty: int, time_in_force: str
    ) -> OrderReport:
        price = operation.price
        return await self.venue.place(
            account,
            self._client_order_id(),
            self.symbol,
            operation.side,
            format_steps(qty, self.scale.qty_nanos),
            None if price is None else format_steps(price, self.scale.price_nanos),
            time_in_force,
        )

    async def _observe(self, operation: Operation) -> Outcome:
        """Return which of the expected makers the venue now shows as executed, and by how much.

        The dispatcher sees to it that no other order which could fill them is under way.
        """
        absent = self._absent(operation)
        seen: list[tuple[int, int]] = []
        for key, _ in operation.makers:
            handle = self._handles.get(key)
            if handle is None:
                continue
            report = await self.venue.order(handle.account, handle.venue_id)
            _, filled = self._quantities(report)
            if filled > handle.filled:
                seen.append((key, filled - handle.filled))
                handle.filled = filled
                if filled == handle.qty:
                    del self._handles[key]
        return Outcome(operation, makers=tuple(seen), absent=absent)

    def _qty_to_enter(self, operation: Operation) -> int:
        """Return the quantity without the makers that the venue refused. Otherwise it would be
        taken from the orders behind them, and one refusal would upset every later execution."""
        absent = self._absent(operation)
        return operation.qty - sum(qty for key, qty in operation.makers if key in absent)

    def _absent(self, operation: Operation) -> frozenset[int]:
        return frozenset(key for key, _ in operation.makers if key not in self._handles)

    def _quantities(self, report: OrderReport) -> tuple[int, int]:
        """Return total and filled quantity."""
        return (
            parse_steps(report.qty, self.scale.qty_nanos),
            parse_steps(report.filled_qty, self.scale.qty_nanos),
        )

    def _levels(self, levels: list[BookReport.Level]) -> Levels:
        return tuple(
            (
                parse_steps(level.price, self.scale.price_nanos),
                parse_steps(level.qty, self.scale.qty_nanos),
            )
            for level in levels
        )

    def _maker_account(self, key: int) -> int:
        makers = len(self.venue.accounts) - 1
        return key % makers if makers else 0

    def _client_order_id(self) -> str:
        return f"{self.run_id}-{next(self._client_ids)}"


_NEVER_RESTED = "its order was refused or had gone before"
_MAKERS_ABSENT = "whom it would meet was refused or had gone before"


async def clear_symbol(venue: Venue, symbol: str) -> int:
    """Cancel the open orders of the venue's accounts in `symbol`; return their number."""
    canceled = 0
    for account in range(len(venue.accounts)):
        while orders := await venue.open_orders(account, symbol, 500):
            for order in orders:
                try:
                    await venue.cancel(account, order.id)
                    canceled += 1
                except Refused as refusal:
                    if refusal.status != 422:
                        raise
    return canceled
