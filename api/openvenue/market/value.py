"""The value of an instrument: a slow random walk that returns to an anchor.

The logarithm of the value follows an Ornstein-Uhlenbeck process around that of the anchor. Its
volatility is stochastic: the logarithm of the volatility follows another one, so that quiet and
busy hours alternate, as in real markets (Cont 2001, "Empirical properties of asset returns").
"""

import math
from dataclasses import dataclass, field
from random import Random

DAY_S = 86_400.0


@dataclass(slots=True)
class Value:
    """The value of one instrument, in ticks; `anchor` and `now` are greater than 0."""

    anchor: float
    now: float
    random: Random
    daily_volatility: float = 0.02
    half_life_s: float = 6 * 3600.0
    """Within which it makes good half of its distance from the anchor."""
    calm_half_life_s: float = 600.0
    calm_spread: float = 0.6
    """Standard deviation of the logarithm of `activity`."""
    reach: float = 0.25
    """It never leaves the anchor by more than this share."""
    _excitement: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self._excitement = self.random.gauss(0.0, self.calm_spread)
        self.now = self._bounded(self.now)

    @property
    def activity(self) -> float:
        """How much happens, 1 on average, from 0.2 to 5; the volatility is proportional to it."""
        return max(0.2, min(5.0, math.exp(self._excitement - self.calm_spread**2 / 2)))

    def advance(self, seconds: float) -> None:
        """Move on by a time, at most an hour at once: after a pause nothing leaps."""
        seconds = min(seconds, 3600.0)
        kept = 0.5 ** (seconds / self.calm_half_life_s)
        noise = self.random.gauss(0.0, self.calm_spread * math.sqrt(1 - kept * kept))
        self._excitement = kept * self._excitement + noise
        kept = 0.5 ** (seconds / self.half_life_s)
        sigma = self.daily_volatility * self.activity * math.sqrt(seconds / DAY_S)
        distance = kept * math.log(self.now / self.anchor) + self.random.gauss(0.0, sigma)
        self.now = self._bounded(self.anchor * math.exp(distance))

    def follow(self, value: float) -> None:
        """Move to a value that a trade has shown, within reach."""
        self.now = self._bounded(value)

    def _bounded(self, value: float) -> float:
        return max(self.anchor * (1 - self.reach), min(self.anchor * (1 + self.reach), value))
