"""The residents' prices have the properties that real ones have (Cont 2001)."""

import statistics
from collections.abc import Callable

import pytest
from openvenue.market.agents import residents
from openvenue.market.client import read_keys

from bench.market_facts import Tape, autocorrelation, play, settings_of
from tests.market.conftest import Market
from tests.support.venue import Venue

ROUNDS = 600


async def played(market: Market, rounds: int) -> Tape:
    """Play rounds right after each other, with a seed."""
    keys = read_keys(market.keys_file.read_bytes())
    own = [keys[agent.name] for agent in residents()]
    return await play(market.venue.url, own, settings_of(seed=1), rounds)


async def test_a_seed_gives_the_same_market_again(new_venue: Callable[..., Venue]) -> None:
    tapes = [await played(Market(new_venue().start()), 25) for _ in range(2)]
    assert tapes[0] == tapes[1]
    assert len(set(tapes[0].middles)) > 5


@pytest.mark.timeout(600)
async def test_returns_predict_nothing_volatility_clusters_and_spreads_vary(market: Market) -> None:
    tape = await played(market, ROUNDS)
    assert tape.missing <= 0.01 * ROUNDS
    returns, lags = tape.returns, range(2, 11)
    assert all(abs(autocorrelation(returns, lag)) < 0.2 for lag in lags)
    assert abs(statistics.mean(autocorrelation(returns, lag) for lag in lags)) < 0.06
    sizes = [abs(each) for each in returns]
    assert statistics.mean(autocorrelation(sizes, lag) for lag in lags) > 0.05
    spreads = statistics.quantiles(tape.spreads_bps, n=10)
    assert 0.5 < spreads[0] < spreads[4] < spreads[8] < 30
    # Between a tenth and ten times the two percent a day that the value has.
    daily = statistics.pstdev(returns) * (86_400 / 4) ** 0.5
    assert 0.002 < daily < 0.2
