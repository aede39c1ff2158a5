"""A replay's result: as data for `--json`, and as tables for a reader."""

from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from openvenue.replay.operation import Kind
from openvenue.replay.plan import Cause, Target
from openvenue.replay.tally import Agreement, Tally


@dataclass(frozen=True, slots=True)
class Latency:
    """Latency of order entries at the client, in milliseconds."""

    p50_ms: float
    p99_ms: float
    max_ms: float

    @classmethod
    def of(cls, latencies_s: list[float]) -> "Latency":
        ordered = sorted(latencies_s) or [0.0]
        return cls(
            p50_ms=1e3 * ordered[len(ordered) // 2],
            p99_ms=1e3 * ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)],
            max_ms=1e3 * ordered[-1],
        )


def as_data(tally: Tally, latencies_s: list[float], retries: int) -> dict[str, Any]:
    """Return all counts, with plain keys; shares are fractions of 1."""
    latency = Latency.of(latencies_s)
    data: dict[str, Any] = {
        "wall_s": round(tally.elapsed_s, 3),
        "operations": tally.sent,
        "operations_per_s": round(tally.sent / tally.elapsed_s, 1) if tally.elapsed_s else 0,
        "orders_entered": len(latencies_s),
        "latency_ms": {
            "p50": round(latency.p50_ms, 2),
            "p99": round(latency.p99_ms, 2),
            "max": round(latency.max_ms, 2),
        },
        "retries": retries,
        "refused": dict(tally.refused),
        "trades": tally.trades,
        "traded_qty": tally.traded_qty,
        "price_time_priority": {
            "kept": tally.priority_kept,
            "broken": tally.priority_broken,
            "not_judged": tally.priority_not_judged,
        },
        "venue_book": {
            "read": tally.book_reads,
            "equal_to_reports": tally.book_reads_equal,
            "taken_qty": tally.book.taken,
            "given_qty": tally.book.given,
        },
        "sent_by_cause": _sent_by_cause(tally),
    }
    if tally.messages:
        named = tally.executions_by_target[Target.NAMED]
        data["messages"] = tally.messages
        data["messages_without_request"] = {
            skip.name.lower(): count for skip, count in tally.skipped.items()
        }
        data["removals_of_another_size"] = tally.sizes_differing
        data["executions"] = {
            "total": tally.executions,
            "at_the_named_order": named,
            "share": _share(named, tally.executions),
            "by_target": {
                target.name.lower(): count for target, count in tally.executions_by_target.items()
            },
        }
        data["rows"] = {
            "right_after_the_message": _agreement(tally.before_corrections),
            "after_corrections": _agreement(tally.after_corrections),
            "read_from_the_venue": _agreement(tally.read_directly),
        }
    return data


def as_tables(title: str, tally: Tally, latencies_s: list[float], retries: int) -> RenderableType:
    """Return the same as tables, with an explanation of every kind of mismatch."""
    parts: list[RenderableType] = [_speed(title, tally, Latency.of(latencies_s), retries)]
    if tally.messages:
        parts += [_executions(tally), _rows(tally), _corrections(tally)]
        if tally.skipped or tally.sizes_differing:
            parts.append(_messages(tally))
    if tally.refused:
        parts.append(_refusals(tally))
    return Group(*parts)


def _speed(title: str, tally: Tally, latency: Latency, retries: int) -> Table:
    table = _table(title, "", "")
    table.add_row("wall time", f"{tally.elapsed_s:,.1f} s")
    table.add_row(
        "operations", f"{tally.sent:,} ({tally.sent / max(tally.elapsed_s, 1e-9):,.0f} a second)"
    )
    table.add_row(
        "order entry",
        f"p50 {latency.p50_ms:.1f} ms, p99 {latency.p99_ms:.1f} ms, max {latency.max_ms:.0f} ms",
    )
    table.add_row("sent again after 429, 502 to 504 or a lost connection", f"{retries:,}")
    table.add_row("trades", f"{tally.trades:,}, {tally.traded_qty:,} lots")
    matched = tally.priority_kept + tally.priority_broken
    table.add_row("matched exactly as price-time priority says", _of(tally.priority_kept, matched))
    if tally.priority_not_judged:
        table.add_row("not judged, as an order was refused there", f"{tally.priority_not_judged:,}")
    table.add_row("book from reports = GET /v1/book", _of(tally.book_reads_equal, tally.book_reads))
    return table


def _executions(tally: Tally) -> Table:
    table = _table("Executions: who was hit", "met", "count")
    for target in Target:
        if count := tally.executions_by_target[target]:
            table.add_row(target.value, _of(count, tally.executions))
    return table


def _rows(tally: Tally) -> Table:
    table = _table("Rows of the orderbook file", "compared", "agree")
    for name, agreement in (
        ("right after the message, before corrections", tally.before_corrections),
        ("after corrections", tally.after_corrections),
        ("after corrections, read from GET /v1/book", tally.read_directly),
    ):
        if agreement.rows:
            table.add_row(name, _of(agreement.agreed, agreement.rows))
        for difference, levels in agreement.levels_differing.items():
            table.add_row(Text(f"  {difference.value}", style="dim"), f"{levels:,} levels")
    return table


def _corrections(tally: Tally) -> Table:
    table = _table("Orders sent besides the messages", "why", "count")
    explanations = {
        Cause.SEEDED: "rested before the file begins",
        Cause.SURFACED: "came into view without ever being announced",
        Cause.VANISHED: "was cancelled or reduced out of view",
    }
    for (cause, kind), count in sorted(
        tally.operations.items(), key=lambda item: (item[0][0].value, item[0][1].value)
    ):
        if cause in explanations:
            table.add_row(f"{explanations[cause]} ({kind.value})", f"{count:,}")
    return table


def _messages(tally: Tally) -> Table:
    table = _table("Messages that could not be replayed as they are", "why", "count")
    for skip, count in tally.skipped.items():
        table.add_row(skip.value, f"{count:,}")
    if tally.sizes_differing:
        table.add_row("removes another size than rests here", f"{tally.sizes_differing:,}")
    return table


def _refusals(tally: Tally) -> Table:
    table = _table("Refused by the venue", "reason", "count")
    for reason, count in tally.refused.most_common(10):
        table.add_row(reason, f"{count:,}")
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", show_header=any(columns), min_width=60)
    for position, column in enumerate(columns):
        table.add_column(column, justify="right" if position else "left")
    return table


def _sent_by_cause(tally: Tally) -> dict[str, dict[str, int]]:
    sent: dict[str, dict[str, int]] = {cause.value: {} for cause in Cause}
    for (cause, kind), count in tally.operations.items():
        if kind not in (Kind.OBSERVE, Kind.READ_BOOK):
            sent[cause.value][kind.value] = count
    return {cause: kinds for cause, kinds in sent.items() if kinds}


def _agreement(agreement: Agreement) -> dict[str, Any]:
    return {
        "compared": agreement.rows,
        "agree": agreement.agreed,
        "share": _share(agreement.agreed, agreement.rows),
        "levels_differing": {
            difference.name.lower(): count
            for difference, count in agreement.levels_differing.items()
        },
    }


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 6) if whole else None


def _of(part: int, whole: int) -> str:
    return f"{part:,} of {whole:,} ({100 * part / whole:.2f} %)" if whole else "none"
