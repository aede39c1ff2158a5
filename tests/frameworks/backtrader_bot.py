"""backtrader with alpaca-backtrader-api: a strategy buys on live one-minute bars."""

import os
import sys

import alpaca_backtrader_api
import backtrader as bt


class Buys(bt.Strategy):
    def __init__(self) -> None:
        self.live = self.entered = False

    def notify_data(self, data: bt.DataBase, status: int, *_: object, **__: object) -> None:
        print(f"data: {data._getstatusname(status)}", flush=True)
        self.live = status == data.LIVE

    def notify_order(self, order: bt.Order) -> None:
        print(f"order: {order.getstatusname()} {order.executed.size}", flush=True)
        if order.status == order.Completed:
            self.env.runstop()

    def next(self) -> None:
        print(f"bar: {self.data.close[0]}", flush=True)
        if self.live and not self.entered:
            self.buy(size=1)
            self.entered = True


# The store has no parameter for it.
alpaca_backtrader_api.AlpacaStore._ENV_PRACTICE_URL = os.environ["APCA_API_BASE_URL"]
store = alpaca_backtrader_api.AlpacaStore(
    key_id=os.environ["APCA_API_KEY_ID"],
    secret_key=os.environ["APCA_API_SECRET_KEY"],
    paper=True,
)
cerebro = bt.Cerebro()
cerebro.addstrategy(Buys)
cerebro.setbroker(store.getbroker())
# Its backfill drops bars outside of New York's hours, and fails if none is left.
live = {"historical": False, "backfill_start": False, "backfill": False, "qcheck": 1.0}
minutes = {"timeframe": bt.TimeFrame.Minutes, "compression": 1}
cerebro.adddata(store.getdata(dataname=sys.argv[1], **minutes, **live))
cerebro.run()
