"""A bot that keeps its own books: it trades a moving average, and ends with the venue's figures.

    python docs/examples/bot.py [SYMBOL] [SECONDS]

It hears quotes and its own fills from the streams, and enters orders by REST. Cash and position
are exact decimals, changed by fills alone. At the end it compares them with the account. Exit
status: 0 if they are the same, 1 if not.
"""

import asyncio
import os
import sys
import time
import uuid
from collections import deque
from decimal import Decimal
from typing import Any

from alpaca.data.live import StockDataStream
from alpaca.trading.client import TradingClient
from alpaca.trading.stream import TradingStream

QTY = 5
KEY = (os.environ["APCA_API_KEY_ID"], os.environ["APCA_API_SECRET_KEY"])
STREAMS = os.environ["OPENVENUE_STREAM_URL"]


class Bot:
    def __init__(self, symbol: str) -> None:
        url = os.environ["APCA_API_BASE_URL"]
        self.client = TradingClient(*KEY, raw_data=True, url_override=url)
        self.symbol = symbol
        self.cash, self.position = self.account()
        self.first = self.position
        self.filled: dict[str, Decimal] = {}  # by order, as heard
        self.entered: dict[str, Decimal] = {}  # by order, as answered
        self.middles: deque[Decimal] = deque(maxlen=20)
        self.listening = asyncio.Event()
        self.trading = asyncio.Lock()

    def account(self) -> tuple[Decimal, Decimal]:
        """Return what the venue says: cash, and the position in the symbol."""
        cash = Decimal(self.client.get_account()["cash"])
        held = {each["symbol"]: each["qty"] for each in self.client.get_all_positions()}
        return cash, Decimal(held.get(self.symbol, "0"))

    async def on_update(self, message: dict[str, Any]) -> None:
        """Book a fill."""
        update = message["data"]
        if update["event"] not in ("fill", "partial_fill"):
            return
        order, qty, price = update["order"], Decimal(update["qty"]), Decimal(update["price"])
        signed = qty if order["side"] == "buy" else -qty
        self.cash -= signed * price  # The account may have orders in other symbols, too.
        if order["symbol"] == self.symbol:
            self.position += signed
        self.filled[order["id"]] = self.filled.get(order["id"], Decimal(0)) + qty

    async def on_quote(self, quote: dict[str, Any]) -> None:
        """Buy above the moving average, sell below it, and hold at most one order's quantity."""
        bid, ask = Decimal(str(quote["bp"])), Decimal(str(quote["ap"]))
        if not bid * ask or self.trading.locked() or not self.listening.is_set():
            return
        self.middles.append((bid + ask) / 2)
        average = sum(self.middles) / len(self.middles)
        held = self.position - self.first
        if self.middles[-1] >= average and held <= 0:
            async with self.trading:
                await self.trade("buy", ask)
        elif self.middles[-1] < average and held > 0:
            async with self.trading:
                await self.trade("sell", bid)

    async def trade(self, side: str, price: Decimal) -> None:
        """Take what is quoted, and wait until the stream has told what came of it."""
        terms = {"symbol": self.symbol, "side": side, "qty": str(QTY), "type": "limit"}
        terms |= {"time_in_force": "ioc", "limit_price": str(price)}
        terms["client_order_id"] = str(uuid.uuid4())  # Sending it again is safe.
        order = await asyncio.to_thread(self.client.post, "/orders", terms)
        # The answer shows the order as it was accepted; what became of it is there right after.
        order = await asyncio.to_thread(self.client.get_order_by_id, order["id"])
        self.entered[order["id"]] = Decimal(order["filled_qty"])
        await self.heard_all()

    async def heard_all(self, within_s: float = 30.0) -> None:
        """Wait until all fills of answered orders were heard."""
        deadline = time.monotonic() + within_s
        while any(self.filled.get(order, 0) < qty for order, qty in self.entered.items()):
            if time.monotonic() > deadline:
                sys.exit("the stream did not tell every fill")
            await asyncio.sleep(0.01)

    async def run(self, seconds: float) -> bool:
        """Trade for a time; return True if the books are the venue's."""
        updates = TradingStream(*KEY, raw_data=True, url_override=f"{STREAMS}/stream")
        quotes = StockDataStream(*KEY, raw_data=True, url_override=f"{STREAMS}/v2/iex")
        updates.subscribe_trade_updates(self.on_update)
        quotes.subscribe_quotes(self.on_quote, self.symbol)
        tasks = [asyncio.create_task(each._run_forever()) for each in (updates, quotes)]
        await asyncio.sleep(3)  # Both streams listen before the first order.
        self.listening.set()
        await asyncio.sleep(seconds)
        self.listening.clear()
        async with self.trading:
            await self.heard_all()
        for task in tasks:
            task.cancel()
        cash, position = self.account()
        print(f"{len(self.entered)} orders, {sum(qty > 0 for qty in self.entered.values())} filled")
        print(f"own books: {self.cash.normalize():f} and {self.position.normalize():f}")
        print(f"venue:     {cash.normalize():f} and {position.normalize():f} {self.symbol}")
        return (cash, position) == (self.cash, self.position)


if __name__ == "__main__":
    name = sys.argv[1] if len(sys.argv) > 1 else "AAPL"
    duration = sys.argv[2] if len(sys.argv) > 2 else "30"
    sys.exit(0 if asyncio.run(Bot(name).run(float(duration))) else 1)
