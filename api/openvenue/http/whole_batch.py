"""A batch of new orders that is entered as a whole or not at all.

The engine decides, in one step: see `EnterAll` in its contract. A batch that is refused is a
problem of the whole, which names the first order that stands against it. The fate of all is that of
the first, by whose client_order_id a client can look it up.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus

from openvenue.documents import resources
from openvenue.engine.instruments import Instrument
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.http import problems
from openvenue.http.engine_calls import command_of, engine_reply, not_taken_yet
from openvenue.http.history import history_of, past_order
from openvenue.http.order_answers import shown
from openvenue.http.order_body import NewOrderRequest
from openvenue.http.order_entry import new_order
from openvenue.http.problems import Problem
from openvenue.http.rejections import reason_for_client
from openvenue.http.restrictions import restrict_order
from openvenue.http.used_ids import entered_by
from openvenue.http.worker import Worker
from openvenue.queries.orders import find_orders
from openvenue.security.principal import Principal
from openvenue.vocabulary import STOP_ORDER_TYPES


async def submit_whole(
    worker: Worker,
    principal: Principal,
    items: Sequence[NewOrderRequest | Problem],
    instrument_of: Callable[[str], Instrument | Problem],
    outcome: bool,
) -> list[resources.OrderResult]:
    """Enter all orders and return their documents in the batch's order.

    Raises Problem, and then none was entered, or their fate is unknown and it says so.
    """
    orders: list[pb.NewOrder] = []
    instruments: list[Instrument] = []
    for place, wanted in enumerate(items):
        with _naming(place):
            if isinstance(wanted, Problem):
                raise wanted
            instrument = instrument_of(wanted.symbol)
            if isinstance(instrument, Problem):
                raise instrument
            orders.append(new_order(principal, wanted, instrument).new_order)
            instruments.append(instrument)
    _check_alone(orders)
    intents = [order.position_intent for order in orders]
    if principal.restrictions is not None:
        for place, (order, instrument) in enumerate(zip(orders, instruments, strict=True)):
            with _naming(place):
                await restrict_order(worker, principal.restrictions, order, instrument)
    with command_of(orders[0].client_order_id):
        documents = await _enter(worker, orders, instruments, intents)
        return [
            resources.OrderResult(HTTPStatus.OK, shown(document, outcome)) for document in documents
        ]


async def _enter(
    worker: Worker,
    orders: Sequence[pb.NewOrder],
    instruments: Sequence[Instrument],
    intents: Sequence["pb.PositionIntent.ValueType"],
) -> list[resources.Order]:
    reply = await _reply(worker, orders)
    if reply.reject.reason == pb.REASON_CLIENT_ORDER_ID_MAYBE_USED:
        past = await _from_history(worker, orders, instruments)
        if past is not None:
            return past
        for order in orders:
            order.history_checked = True
        reply = await _reply(worker, orders)
    body = reply.WhichOneof("body")
    if body == "reject":
        raise _refused(reply.reject, intents)
    if body != "entered_orders":
        raise not_taken_yet(reply.not_sequenced)
    entered = zip(reply.entered_orders.orders, instruments, strict=True)
    return [await _document(worker, order, instrument) for order, instrument in entered]


async def _reply(worker: Worker, orders: Sequence[pb.NewOrder]) -> pb.Reply:
    request = pb.Request(enter_all=pb.EnterAll(orders=orders))
    return await engine_reply(worker, request, orders[0].client_order_id)


async def _document(worker: Worker, order: pb.Order, instrument: Instrument) -> resources.Order:
    if order.status != pb.ORDER_STATUS_UNSPECIFIED:
        return worker.views.order(order, instrument)
    # The engine holds no more of it than its ids.
    past = await past_order(worker, order.account_id, order_id=order.order_id)
    if past is None:
        raise problems.of_reason(pb.REASON_DUPLICATE_CLIENT_ORDER_ID)
    return past


async def _from_history(
    worker: Worker, orders: Sequence[pb.NewOrder], instruments: Sequence[Instrument]
) -> list[resources.Order] | None:
    """Return what the same batch entered before; None if the history has none of its ids.

    Raises Problem 422 if it has some, or orders with other terms.
    """
    account_id = orders[0].account_id
    ids = [order.client_order_id for order in orders]
    async with history_of(worker, account_id) as connection:
        rows = await find_orders(connection, worker.settings.shard_id, account_id, ids)
    if not rows:
        return None
    documents = [
        worker.views.order_row(row, instrument)
        for order, instrument in zip(orders, instruments, strict=True)
        if (row := rows.get(order.client_order_id)) and entered_by(row, order, instrument)
    ]
    if len(documents) == len(orders):
        return documents
    with _naming(next(place for place, used in enumerate(ids) if used in rows)):
        raise problems.of_reason(pb.REASON_DUPLICATE_CLIENT_ORDER_ID)


def _refused(
    reject: pb.Reject, intents: Sequence["pb.PositionIntent.ValueType"]
) -> problems.Problem:
    if reject.reason == pb.REASON_FILL_LIMIT:
        return problems.of_reason(reject.reason)
    reason = reason_for_client(reject.reason, intents[reject.item])
    return _of_item(problems.of_reason(reason), reject.item)


def _check_alone(orders: Sequence[pb.NewOrder]) -> None:
    """Raise Problem 422 for an order whose means depend on trades of those before it."""
    in_instrument = Counter(order.instrument_id for order in orders)
    may_trade: set[int] = set()
    for place, order in enumerate(orders):
        if order.type == pb.ORDER_TYPE_MARKET and in_instrument[order.instrument_id] > 1:
            with _naming(place):
                raise problems.unprocessable(
                    "a market order must be the only order of its asset in a batch of all or "
                    "nothing: give a limit order with time_in_force ioc"
                )
        if order.type == pb.ORDER_TYPE_TRAILING_STOP and order.instrument_id in may_trade:
            with _naming(place):
                raise problems.unprocessable(
                    "a trailing_stop order must come before the asset's market and limit orders in "
                    "a batch of all or nothing"
                )
        if order.type not in STOP_ORDER_TYPES:
            may_trade.add(order.instrument_id)


@contextmanager
def _naming(place: int) -> Iterator[None]:
    """Let a Problem of the block say which order of the batch it is about."""
    try:
        yield
    except Problem as problem:
        raise _of_item(problem, place) from problem.__cause__


def _of_item(problem: Problem, place: int) -> Problem:
    return Problem(
        problem.status,
        problem.code,
        f"orders[{place}]: {problem.detail}; no order of the batch was entered",
        title=problem.title,
        headers=problem.headers,
        **problem.members | {"item": place},
    )
