"""vectorbt: reads one-minute bars of a share and of a pair, and tests a strategy on them."""

import os

import vectorbt as vbt

client = {
    "api_key": os.environ["APCA_API_KEY_ID"],
    "secret_key": os.environ["APCA_API_SECRET_KEY"],
    "url_override": os.environ["APCA_API_DATA_URL"],
}
for symbol in ("AAPL", "BTC/USD"):
    data = vbt.AlpacaData.download(symbol, start="1 hour ago UTC", timeframe="1m", **client)
    close = data.get("Close")
    assert len(close) > 0, f"no bars of {symbol}"
    portfolio = vbt.Portfolio.from_holding(close, init_cash=1_000_000, freq="1m")
    print(f"{symbol}: {len(close)} bars, {portfolio.total_return():+.6f}")
print("read")
