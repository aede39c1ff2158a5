"""The market process's own settings: environment variables prefixed `OPENVENUE_MARKET_`."""

from decimal import Decimal
from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from openvenue.replay.lobster import symbol_of

Price = Annotated[Decimal, Field(gt=0, allow_inf_nan=False)]


class MarketSettings(BaseSettings):
    """Validated once at start. `openvenue.settings` has those of logging."""

    model_config = SettingsConfigDict(
        env_prefix="OPENVENUE_MARKET_", frozen=True, hide_input_in_errors=True
    )

    api_url: str = Field(default="http://127.0.0.1:8000", pattern="^https?://.+")
    keys_file: Path = Field(
        default=Path("market-keys.json"),
        description="API keys of the agents' accounts, as `openvenue market fund` writes it",
    )
    symbols: list[str] = Field(
        default=[], max_length=50, description="to trade; empty: all tradable ones, at most 50"
    )
    prices: dict[str, Price] = Field(
        default={},
        description="to which values return, by symbol; others return to their last price before "
        "the start, and are not traded if they have none",
    )
    seed: int | None = Field(
        default=None, description="of all decisions and values; absent: another one at each start"
    )
    round_s: float = Field(default=4.0, ge=0.2, le=60, description="time between two decisions")
    orders_per_second_max: float = Field(
        default=10.0, gt=0, le=1000, description="orders, replacements and cancels together"
    )
    order_value: Price = Field(default=Decimal(3000), description="usual value of an order")
    limit_orders: int = Field(
        default=100,
        ge=1,
        le=1_000_000,
        description="how many usual orders a position may be away from its usual size",
    )
    home_half_life_s: float = Field(
        default=1800.0,
        ge=60,
        le=1e7,
        description="within which the usual size of a position follows half of a lasting change",
    )
    day_file: Path | None = Field(
        default=None, description="LOBSTER message file, plain or gzip, to replay in a loop"
    )
    day_symbol: str | None = Field(
        default=None, description="to replay it in; absent: the ticker that begins the file's name"
    )
    day_speed: float = Field(
        default=1.0, gt=0, le=10_000, description="how many times as fast as the day was"
    )
    day_orders_per_second_max: float = Field(
        default=10.0, gt=0, le=1000, description="of the day; it lasts longer if it had more"
    )
    http_host: str = "127.0.0.1"
    http_port: int = Field(
        default=0, ge=0, le=65_535, description="for probes and metrics; 0: none"
    )
    backoff_max_s: float = Field(default=10.0, gt=0, le=300)

    @model_validator(mode="after")
    def _day_has_a_symbol(self) -> "MarketSettings":
        if self.day_file is None:
            return self
        symbol = self.replayed_symbol
        if symbol is None:
            raise ValueError("day_symbol is needed: the name of day_file begins with no ticker")
        if self.symbols and symbol not in self.symbols:
            raise ValueError(f"{symbol}, of the day, is not among the symbols")
        return self

    @property
    def replayed_symbol(self) -> str | None:
        """The instrument in which a day is replayed."""
        if self.day_file is None:
            return None
        return self.day_symbol or symbol_of(self.day_file)
