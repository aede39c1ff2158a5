"""The options of a recorded day that the market of this machine replays."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from openvenue.commands import CommandError
from openvenue.market.day import RecordedDay
from openvenue.replay.lines import MalformedFile
from openvenue.replay.lobster import symbol_of

FileOption = Annotated[
    Path | None,
    typer.Option(
        "--market-day",
        envvar="OPENVENUE_MARKET_DAY_FILE",
        exists=True,
        dir_okay=False,
        help="LOBSTER message file, plain or gzip, that the market replays in a loop.",
    ),
]
SymbolOption = Annotated[
    str | None,
    typer.Option(
        "--market-day-symbol",
        envvar="OPENVENUE_MARKET_DAY_SYMBOL",
        help="Instrument to replay it in. Default: the ticker that begins the file's name.",
    ),
]
SpeedOption = Annotated[
    float,
    typer.Option(
        "--market-day-speed",
        envvar="OPENVENUE_MARKET_DAY_SPEED",
        min=0.001,
        max=10_000,
        help="How many times as fast as the day was.",
    ),
]


@dataclass(frozen=True, slots=True)
class MarketDay:
    """A day that was read and found good, and where it goes."""

    file: Path
    symbol: str
    speed: float

    @classmethod
    def chosen(
        cls, file: Path | None, symbol: str | None, speed: float, traded: Collection[str]
    ) -> "MarketDay | None":
        """Return the day, or None without a file. Raises CommandError."""
        if file is None:
            return None
        symbol = symbol or symbol_of(file)
        if symbol is None or symbol not in traded:
            fault = "does not begin with a ticker" if symbol is None else f"is for {symbol}"
            raise CommandError(
                f"the market trades {', '.join(traded)}, and {file.name} {fault}: name one of them "
                "with --market-day-symbol"
            )
        try:
            RecordedDay.read(file)
        except (MalformedFile, OSError) as error:
            raise CommandError(str(error)) from error
        return cls(file.absolute(), symbol, speed)

    def environment(self) -> dict[str, str]:
        """Return the market's settings of the day."""
        return {
            "OPENVENUE_MARKET_DAY_FILE": str(self.file),
            "OPENVENUE_MARKET_DAY_SYMBOL": self.symbol,
            "OPENVENUE_MARKET_DAY_SPEED": str(self.speed),
        }
