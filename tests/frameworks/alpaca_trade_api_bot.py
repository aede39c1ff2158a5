"""alpaca-trade-api: reads bars, waits for a quote, buys, hears of its fill, and sells."""

import os
from datetime import UTC, datetime, timedelta
from typing import Any

import alpaca_trade_api
from alpaca_trade_api.rest import TimeFrame

SYMBOL = "AAPL"
client = alpaca_trade_api.REST()
url = os.environ["APCA_API_BASE_URL"]
stream = alpaca_trade_api.Stream(base_url=url, data_stream_url=url)
entered: list[str] = []


async def on_quote(quote: Any) -> None:
    if not entered:
        order = client.submit_order(SYMBOL, qty=2, side="buy", type="market", time_in_force="gtc")
        entered.append(order.id)
        print(f"entered at {quote.ask_price}", flush=True)


async def on_update(update: Any) -> None:
    if update.event == "fill" and update.order["id"] == entered[0]:
        print(f"bought at {update.price}, position {update.position_qty}", flush=True)
        await stream.stop_ws()


begin = (datetime.now(UTC) - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
bars = client.get_bars(SYMBOL, TimeFrame.Minute, begin).df
assert len(bars) > 0, "no bars"
trades = client.get_trades(SYMBOL, begin, limit=10).df
assert len(trades) > 0, "no trades"
before = next((int(p.qty) for p in client.list_positions() if p.symbol == SYMBOL), 0)
stream.subscribe_trade_updates(on_update)
stream.subscribe_quotes(on_quote, SYMBOL)
stream.run()
assert int(client.get_position(SYMBOL).qty) == before + 2
client.submit_order(SYMBOL, qty=1, side="sell", type="market", time_in_force="gtc")
client.close_position(SYMBOL, qty=1)
print("traded")
