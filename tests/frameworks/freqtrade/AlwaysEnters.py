"""freqtrade: a strategy that buys whenever it may."""

from freqtrade.strategy import IStrategy
from pandas import DataFrame


class AlwaysEnters(IStrategy):
    INTERFACE_VERSION = 3
    timeframe = "1m"
    startup_candle_count = 1
    process_only_new_candles = False
    stoploss = -0.99
    minimal_roi = {"0": 100}  # noqa: RUF012

    def populate_indicators(self, dataframe: DataFrame, metadata: dict[str, str]) -> DataFrame:
        return dataframe

    def populate_entry_trend(self, dataframe: DataFrame, metadata: dict[str, str]) -> DataFrame:
        dataframe["enter_long"] = 1
        return dataframe

    def populate_exit_trend(self, dataframe: DataFrame, metadata: dict[str, str]) -> DataFrame:
        dataframe["exit_long"] = 0
        return dataframe
