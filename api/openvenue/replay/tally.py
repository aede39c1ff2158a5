"""Counts of a replay so far, from the venue's reports in order."""

import time
from collections import Counter, deque
from dataclasses import dataclass, field

from openvenue.replay.execute import Levels, Outcome
from openvenue.replay.lobster import Row
from openvenue.replay.operation import Kind
from openvenue.replay.plan import Cause, Skip, Step, Target
from openvenue.replay.refusals import Refusals
from openvenue.replay.row_check import Difference, differences
from openvenue.replay.venue_book import VenueBook

# Period of the displayed rate.
_RATE_WINDOW_S = 5.0


@dataclass(slots=True)
class Agreement:
    """Rows of the file with which a book agreed, and the causes of other differences."""

    rows: int = 0
    agreed: int = 0
    levels_differing: Counter[Difference] = field(default_factory=Counter)

    def add(self, row: Row, bids: Levels, asks: Levels) -> None:
        self.rows += 1
        found = differences(row, bids, asks)
        if found:
            self.levels_differing.update(found)
        else:
            self.agreed += 1


@dataclass(slots=True)
class Tally:
    """Counts of one replay. `book` is the book by the venue's reports."""

    book: VenueBook = field(default_factory=VenueBook)
    started_s: float = field(default_factory=time.monotonic)
    finished_s: float | None = None
    operations: Counter[tuple[Cause, Kind]] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    trades: int = 0
    traded_qty: int = 0
    # Trades with exactly the makers and quantities that price-time priority requires.
    priority_kept: int = 0
    priority_broken: int = 0
    # Trades that cannot be judged, because the venue had refused an order that belongs there.
    priority_not_judged: int = 0
    messages: int = 0
    skipped: Counter[Skip] = field(default_factory=Counter)
    sizes_differing: int = 0
    executions: int = 0
    executions_by_target: Counter[Target] = field(default_factory=Counter)
    before_corrections: Agreement = field(default_factory=Agreement)
    after_corrections: Agreement = field(default_factory=Agreement)
    read_directly: Agreement = field(default_factory=Agreement)
    book_reads: int = 0
    book_reads_equal: int = 0
    _refusals: Refusals = field(default_factory=Refusals)
    _recent: deque[float] = field(default_factory=lambda: deque(maxlen=4096))

    def start(self) -> None:
        """Start the clock; everything before is preparation."""
        self.started_s = time.monotonic()

    def finish(self) -> None:
        """Stop the clock."""
        self.finished_s = time.monotonic()

    @property
    def sent(self) -> int:
        """Number of executed order operations: entries, replacements and cancels."""
        looks = (Kind.OBSERVE, Kind.READ_BOOK)
        return sum(n for (_, kind), n in self.operations.items() if kind not in looks)

    @property
    def elapsed_s(self) -> float:
        return (self.finished_s or time.monotonic()) - self.started_s

    def recent_per_s(self) -> float:
        """Operations per second, over the last few seconds."""
        now = time.monotonic()
        while self._recent and self._recent[0] < now - _RATE_WINDOW_S:
            self._recent.popleft()
        span_s = now - self._recent[0] if self._recent else 0.0
        return len(self._recent) / span_s if span_s > 0 else 0.0

    def add_outcome(self, cause: Cause, outcome: Outcome) -> None:
        """Count one report of the venue."""
        operation = outcome.operation
        self.operations[cause, operation.kind] += 1
        if operation.kind is not Kind.OBSERVE:
            self._recent.append(time.monotonic())
        self.book.apply(outcome)
        if outcome.refused is not None:
            self.refused[f"{operation.kind.value}: {outcome.refused}"] += 1
            self._refusals.add(operation)
            return
        self.trades += len(outcome.makers)
        self.traded_qty += outcome.filled
        if operation.kind is Kind.OBSERVE and outcome.makers == operation.makers:
            self.priority_kept += 1
        elif operation.kind is Kind.OBSERVE or (outcome.filled and not operation.makers):
            if self._refusals.explain(outcome):
                self.priority_not_judged += 1
            else:
                self.priority_broken += 1

    def add_message(self, step: Step, outcomes: list[Outcome]) -> None:
        """Count a message whose own requests are done: their result, and its uncorrected row."""
        self.messages += 1
        if step.skip is not None:
            self.skipped[step.skip] += 1
        self.sizes_differing += step.size_differs
        if step.target is not None:
            self.executions += 1
            self.executions_by_target[self._met(step.target, outcomes)] += 1
        if step.row is not None:
            self._check(self.before_corrections, step.row)

    def add_corrected(self, row: Row) -> None:
        """Count a message whose corrections are done."""
        self._check(self.after_corrections, row)

    def add_book(self, row: Row | None, outcome: Outcome) -> None:
        """Compare the book of `GET /v1/book` with the reports and with the file."""
        self.book_reads += 1
        depth = max(len(outcome.bids), len(outcome.asks)) + 1
        self.book_reads_equal += (
            self.book.top("buy", depth) == outcome.bids
            and self.book.top("sell", depth) == outcome.asks
        )
        if row is not None:
            self.read_directly.add(row, outcome.bids, outcome.asks)

    def _met(self, target: Target, outcomes: list[Outcome]) -> Target:
        """Return the order that an execution met: the expected one, or why not."""
        for outcome in outcomes:
            looked = outcome.operation.kind is Kind.OBSERVE
            if looked and outcome.makers != outcome.operation.makers:
                explained = self._refusals.explain(outcome)
                return Target.REFUSED if explained else Target.NOT_FORETOLD
        return target

    def _check(self, agreement: Agreement, row: Row) -> None:
        agreement.add(row, self.book.top("buy", row.depth), self.book.top("sell", row.depth))
