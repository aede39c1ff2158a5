"""A replay's progress: a live view for a terminal, and a line elsewhere."""

from rich.console import RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table

from openvenue.replay.execute import Scale
from openvenue.replay.summary import Latency
from openvenue.replay.tally import Tally
from openvenue.units import format_steps

# The view's percentiles are of the newest order entries.
_LATENCY_SAMPLE = 1000


def view(
    symbol: str, tally: Tally, latencies_s: list[float], scale: Scale, done: int, total: int
) -> RenderableType:
    """Return one frame: speed, latency, trades and the top of the book."""
    latency = Latency.of(latencies_s[-_LATENCY_SAMPLE:])
    table = Table.grid(padding=(0, 2))
    table.add_row("replaying", symbol, ProgressBar(total=total, completed=done, width=40))
    table.add_row("progress", f"{done:,} of {total:,}", f"{tally.elapsed_s:,.0f} s")
    table.add_row("orders/s", f"{tally.recent_per_s():,.0f}", f"{tally.sent:,} sent")
    table.add_row("latency", f"p50 {latency.p50_ms:.1f} ms", f"p99 {latency.p99_ms:.1f} ms")
    table.add_row("trades", f"{tally.trades:,}", f"{tally.traded_qty:,} lots")
    table.add_row("best", _best(tally, "buy", scale), _best(tally, "sell", scale))
    if tally.before_corrections.rows:
        agreement = tally.before_corrections
        table.add_row("book rows", f"{100 * agreement.agreed / agreement.rows:.1f} % agree", "")
    return table


def line(symbol: str, tally: Tally, latencies_s: list[float], done: int, total: int) -> str:
    """Return the most important numbers of the view in a sentence."""
    latency = Latency.of(latencies_s[-_LATENCY_SAMPLE:])
    return (
        f"replaying {symbol}: {done:,} of {total:,} after {tally.elapsed_s:,.0f} s, "
        f"{tally.recent_per_s():,.0f} orders/s, p99 {latency.p99_ms:.1f} ms, "
        f"{tally.trades:,} trades"
    )


def _best(tally: Tally, side: str, scale: Scale) -> str:
    word = "bid" if side == "buy" else "ask"
    levels = tally.book.top("buy" if side == "buy" else "sell", 1)
    if not levels:
        return f"{word} none"
    (price, qty), *_ = levels
    size = format_steps(qty, scale.qty_nanos)
    return f"{word} {format_steps(price, scale.price_nanos)} for {size}"
