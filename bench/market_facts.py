"""Shows that the residents' prices move as real ones do: `python -m bench.market_facts`.

Plays some hours of the market on a real venue, each round right after the other, and draws what is
known of all markets (Cont 2001): returns that do not predict the next ones, volatility that comes
in clusters, and a spread that varies.
"""

import argparse
import asyncio
import itertools
import math
import shutil
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt
from openvenue.admin.client import connect_admin
from openvenue.cli.connection import venue_settings
from openvenue.cli.local.kept_keys import kept_keys
from openvenue.market.agents import residents
from openvenue.market.client import MarketClient, read_keys
from openvenue.market.funding import fund
from openvenue.market.rounds import Rounds
from openvenue.market.settings import MarketSettings
from openvenue.replay.venue import Credentials, Venue

from bench.servers import ROOT, venue

SYMBOL, PRICE = "AAPL", Decimal(585)
LAGS = 20

mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "openvenue", "font.size": 10})


@dataclass(frozen=True, slots=True)
class Tape:
    """Best prices after each round; `missing` counts rounds in which a side was not quoted."""

    bids: list[float]
    asks: list[float]
    missing: int

    @property
    def middles(self) -> list[float]:
        return [(bid + ask) / 2 for bid, ask in zip(self.bids, self.asks, strict=True)]

    @property
    def returns(self) -> list[float]:
        middles = self.middles
        return [math.log(b / a) for a, b in itertools.pairwise(middles)]

    @property
    def spreads_bps(self) -> list[float]:
        return [
            1e4 * (ask - bid) / middle
            for bid, ask, middle in zip(self.bids, self.asks, self.middles, strict=True)
        ]


async def play(
    url: str, keys: Sequence[Credentials], settings: MarketSettings, rounds: int
) -> Tape:
    """Play rounds of SYMBOL on a venue, without waiting between them."""
    bids, asks, missing = [], [], 0
    async with Venue(url, list(keys), 4) as client:
        market = Rounds(MarketClient(client), residents(), settings)
        for number in range(rounds):
            await market.play(settings.round_s)
            quote = market.quotes.get(SYMBOL)
            if quote and quote.bid and quote.ask:
                bids.append(float(quote.bid))
                asks.append(float(quote.ask))
            elif number:  # The first one sees the book before anyone quoted.
                missing += 1
        await market.leave()
    return Tape(bids, asks, missing)


def autocorrelation(values: Sequence[float], lag: int) -> float:
    """Return the correlation of a series with itself `lag` later."""
    return statistics.correlation(values[:-lag], values[lag:])


def draw(tape: Tape, round_s: float, path: Path) -> None:
    """Draw price, spreads and autocorrelations."""
    figure, ((price, spread), (signed, size)) = plt.subplots(
        2, 2, figsize=(8.0, 5.2), layout="constrained"
    )
    hours = [number * round_s / 3600 for number in range(len(tape.bids))]
    price.plot(hours, tape.middles, linewidth=0.7, color="#1b6ca8")
    price.set(xlabel="hours", ylabel=f"{SYMBOL}, middle price")
    counted = Counter(round(each) for each in tape.spreads_bps)
    spread.bar(list(counted), [count / len(tape.bids) for count in counted.values()])
    spread.set(xlabel="spread, basis points", ylabel="share of rounds")
    lags = range(1, LAGS + 1)
    signed.bar(lags, [autocorrelation(tape.returns, lag) for lag in lags])
    sizes = [abs(each) for each in tape.returns]
    size.bar(lags, [autocorrelation(sizes, lag) for lag in lags])
    for axes, what in ((signed, "returns"), (size, "absolute returns")):
        axes.set(xlabel=f"lag, rounds of {round_s:g} s", ylabel=f"autocorrelation, {what}")
        axes.set_ylim(-0.3, 0.5)
        axes.axhline(0, color="black", linewidth=0.6)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.market_facts", description=__doc__)
    parser.add_argument("--hours", type=float, default=1.5, help="of the market (default 1.5)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--picture", type=Path, default=ROOT / "docs/pictures/market.svg")
    arguments = parser.parse_args()
    scratch = Path(tempfile.mkdtemp(prefix="market-", dir=ROOT / "build"))
    try:
        with venue(scratch, 1) as server:
            settings = settings_of(arguments.seed)
            keys = asyncio.run(_funded(scratch))
            rounds = round(arguments.hours * 3600 / settings.round_s)
            tape = asyncio.run(play(server.url, keys, settings, rounds))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    draw(tape, settings.round_s, arguments.picture)
    sizes = [abs(each) for each in tape.returns]
    print(f"{len(tape.bids)} rounds, {tape.missing} of them without both sides")
    for lag in (1, 2, 5, 10, 20):
        print(
            f"lag {lag}: returns {autocorrelation(tape.returns, lag):+.3f}, "
            f"absolute returns {autocorrelation(sizes, lag):+.3f}"
        )
    spreads = statistics.quantiles(tape.spreads_bps, n=10)
    print(
        f"spread in basis points: 10 % {spreads[0]:.1f}, median {spreads[4]:.1f}, "
        f"90 % {spreads[8]:.1f}"
    )
    return 0


def settings_of(seed: int) -> MarketSettings:
    """Return the settings of a simulation, without a bound of orders a second."""
    return MarketSettings(
        symbols=[SYMBOL], prices={SYMBOL: PRICE}, seed=seed, orders_per_second_max=1000
    )


async def _funded(data_dir: Path) -> list[Credentials]:
    settings = venue_settings(data_dir)
    async with connect_admin(settings) as admin:
        accounts = await fund(admin, {SYMBOL: PRICE})
    file = data_dir / "market.json"
    await kept_keys(file, accounts, settings)
    keys = read_keys(file.read_bytes())
    return [keys[agent.name] for agent in residents()]


if __name__ == "__main__":
    sys.exit(main())
