"""Order flow over gRPC sessions that remembers the engine's acknowledgements."""

import queue
import random
import threading
from collections.abc import Iterator
from typing import Any

import grpc
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.engine.v1 import engine_pb2_grpc as rpc

from tests.faults.engine_process import EngineProcess

INSTRUMENT_ID = 1
ENDED = {
    pb.ORDER_STATUS_FILLED,
    pb.ORDER_STATUS_CANCELED,
    pb.ORDER_STATUS_EXPIRED,
    pb.ORDER_STATUS_REPLACED,
}
ENGINE_GONE = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}


def open_market(engine: EngineProcess, accounts: list[int]) -> None:
    """Define the instrument, and open accounts that may buy and sell without limits."""
    instrument = pb.DefineInstrument(
        instrument_id=INSTRUMENT_ID,
        symbol="TEST",
        name="Test",
        asset_class=pb.ASSET_CLASS_US_EQUITY,
        state=pb.INSTRUMENT_STATE_ACTIVE,
        tick_size_nanos=10_000_000,
        lot_size_nanos=1_000_000_000,
        min_price_ticks=1,
        max_price_ticks=100_000,
        max_order_qty_lots=1_000_000,
    )
    engine.apply(pb.AdminRequest(define_instrument=instrument))
    for account_id in accounts:
        account = pb.OpenAccount(
            account_id=account_id,
            name=f"trader {account_id}",
            may_sell_short=True,
            credit_limit_micros=10**15,
        )
        engine.apply(pb.AdminRequest(open_account=account))


class Trader:
    """One account's flow: new orders, cancels, and resent unanswered orders.

    `acknowledged` holds each order as the engine last reported it, `unanswered` the new orders
    whose fate is unknown, both by client_order_id.
    """

    def __init__(self, account_id: int, seed: int) -> None:
        self.account_id = account_id
        self.acknowledged: dict[str, pb.Order] = {}
        self.unanswered: dict[str, pb.NewOrder] = {}
        self.resent = 0
        self.found_again = 0
        self._random = random.Random(seed)
        self._numbers = 0

    def trade(self, engine: EngineProcess, stop: threading.Event) -> None:
        """Resend unanswered orders, then trade until `stop` is set or the engine is gone."""
        outbox: queue.SimpleQueue[pb.SessionRequest | None] = queue.SimpleQueue()
        with engine.channel() as channel:
            responses = rpc.TradingStub(channel).Session(iter(outbox.get, None))
            try:
                self._exchange(self._unanswered_again(), outbox, responses)
                while not stop.is_set():
                    self._exchange(self._next_batch(), outbox, responses)
            except grpc.RpcError as error:
                if error.code() not in ENGINE_GONE:
                    raise
            finally:
                outbox.put(None)
                responses.cancel()

    def _exchange(
        self,
        batch: list[pb.Request],
        outbox: "queue.SimpleQueue[pb.SessionRequest | None]",
        responses: Iterator[pb.SessionResponse],
    ) -> None:
        """Send a batch and process all its replies."""
        if not batch:
            return
        outbox.put(pb.SessionRequest(requests=batch))
        missing = {request.request_id for request in batch}
        while missing:
            for reply in next(responses).replies:
                missing.remove(reply.request_id)
                self._take(reply)

    def _take(self, reply: pb.Reply) -> None:
        kind = reply.WhichOneof("body")
        if kind == "order":
            client_order_id = reply.order.client_order_id
            was_unanswered = self.unanswered.pop(client_order_id, None) is not None
            if reply.duplicate:
                assert was_unanswered, f"{client_order_id} was already there when first sent"
                self.found_again += 1
            self.acknowledged[client_order_id] = reply.order
        else:
            # A cancel may come too late; a new order of this flow is never refused.
            assert kind == "reject", reply
            assert reply.reject.reason == pb.REASON_ORDER_NOT_OPEN, reply

    def _unanswered_again(self) -> list[pb.Request]:
        self.resent += len(self.unanswered)
        return [self._request(new_order=order) for order in self.unanswered.values()]

    def _next_batch(self) -> list[pb.Request]:
        batch = []
        for _ in range(self._random.randint(1, 64)):
            if self.acknowledged and self._random.random() < 0.2:
                order = self.acknowledged[self._random.choice(list(self.acknowledged)[-100:])]
                cancel = pb.CancelOrder(account_id=self.account_id, order_id=order.order_id)
                batch.append(self._request(cancel_order=cancel))
            else:
                new = self._new_order()
                self.unanswered[new.client_order_id] = new
                batch.append(self._request(new_order=new))
        return batch

    def _new_order(self) -> pb.NewOrder:
        self._numbers += 1
        return pb.NewOrder(
            account_id=self.account_id,
            instrument_id=INSTRUMENT_ID,
            side=self._random.choice([pb.SIDE_BUY, pb.SIDE_SELL]),
            type=pb.ORDER_TYPE_LIMIT,
            time_in_force=self._random.choice([pb.TIME_IN_FORCE_GTC, pb.TIME_IN_FORCE_IOC]),
            qty_lots=self._random.randint(1, 100),
            limit_price_ticks=self._random.randint(990, 1010),
            client_order_id=f"{self.account_id}-{self._numbers}",
        )

    def _request(self, **body: Any) -> pb.Request:
        self._numbers += 1
        return pb.Request(request_id=self._numbers, **body)


def trade_until(engine: EngineProcess, traders: list[Trader], stop: threading.Event) -> None:
    """Run the traders, each in its own thread and session, until all have ended."""
    failures: list[BaseException] = []

    def run(trader: Trader) -> None:
        try:
            trader.trade(engine, stop)
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=run, args=[trader]) for trader in traders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def assert_still_there(engine: EngineProcess, trader: Trader, newest: int) -> None:
    """Look up the newest acknowledged orders: none is missing, none went back."""
    known = list(trader.acknowledged.values())[-newest:]
    for start in range(0, len(known), 500):
        orders = known[start : start + 500]
        queries = [
            pb.Request(
                request_id=index,
                get_order=pb.GetOrder(account_id=trader.account_id, order_id=order.order_id),
            )
            for index, order in enumerate(orders)
        ]
        for order, reply in zip(orders, engine.submit(*queries), strict=True):
            assert reply.WhichOneof("body") == "order", f"{order.client_order_id} is gone: {reply}"
            now = reply.order
            assert now.client_order_id == order.client_order_id
            assert now.filled_lots >= order.filled_lots
            if order.status in ENDED:
                assert now == order
