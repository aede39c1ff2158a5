"""An account's open orders, as the engine holds them in memory."""

from collections import defaultdict
from collections.abc import AsyncIterator
from typing import NamedTuple

from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.http import problems
from openvenue.http.engine_calls import engine_answer, not_answered
from openvenue.http.worker import Worker

ENGINE_PAGE_MAX = 500
OPEN_ORDERS_ANSWERS_MAX = 1024


async def open_orders(
    worker: Worker, account_id: int, instrument_id: int = 0, *, before: int = 0, limit: int
) -> list[pb.Order]:
    """Return up to `limit` open orders below order id `before` (0: any), newest first.

    The engine looks at a bounded number of orders for one answer, so that others do not wait.
    Raises Problem 403, 429 or 503.
    """
    orders: list[pb.Order] = []
    stopped_at = 0
    for _ in range(OPEN_ORDERS_ANSWERS_MAX):
        query = pb.ListOpenOrders(
            account_id=account_id,
            instrument_id=instrument_id,
            before_order_id=before,
            from_order_id=stopped_at,
            limit=limit - len(orders),
        )
        reply = await engine_answer(worker, pb.Request(list_open_orders=query))
        if not reply.HasField("order_list"):
            raise not_answered(reply)
        orders += reply.order_list.orders
        stopped_at = reply.order_list.stopped_at_order_id
        if stopped_at == 0 or len(orders) == limit:
            return orders
        # If the order at which it stopped ends meanwhile, the engine starts again at the newest
        # one. This bound keeps it from listing orders twice.
        before = min(before or stopped_at, stopped_at)
    raise problems.unavailable("the account has too many open orders to search them all")


class OpenBuys(NamedTuple):
    """Open orders to buy one instrument: their lots, and the money that they reserve."""

    lots: int = 0
    reserved_micros: int = 0


async def open_buys(
    worker: Worker, account: pb.Account, instrument_id: int = 0
) -> dict[int, OpenBuys]:
    """Return the account's open buy orders by instrument (all, or one). Raises Problem."""
    found: defaultdict[int, OpenBuys] = defaultdict(OpenBuys)
    if account.reserved_micros == 0:
        return found  # An open buy order always reserves something.
    async for order in _all_open_orders(worker, account.account_id, instrument_id):
        if order.side == pb.SIDE_BUY:
            instrument = await worker.instruments.of_id(order.instrument_id)
            lots = order.qty_lots - order.filled_lots
            before = found[order.instrument_id]
            found[order.instrument_id] = OpenBuys(
                before.lots + lots,
                before.reserved_micros + instrument.value_micros(lots, order.limit_price_ticks),
            )
    return found


async def _all_open_orders(
    worker: Worker, account_id: int, instrument_id: int
) -> AsyncIterator[pb.Order]:
    before = 0
    while True:
        page = await open_orders(
            worker, account_id, instrument_id, before=before, limit=ENGINE_PAGE_MAX
        )
        for order in page:
            yield order
        if len(page) < ENGINE_PAGE_MAX:
            return
        before = page[-1].order_id
