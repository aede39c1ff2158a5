"""POST /v2/orders:batch and POST /v2/orders:cancel: many orders in one request.

Each item is executed for itself, in the order of the batch, and has its own result: the status and
the body that a request of its own would have got; or all are entered or none, if the client asks
for it (`openvenue.http.whole_batch`). The items go to the engine in one message, as far
as one holds them, and share its sync to disk. Resending a batch is safe item by item, as it is for
one order. What concerns the batch as a whole (no JSON, too many items, no engine) is a problem of
the whole, and then nothing was sent.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Iterable, Sequence
from http import HTTPStatus

import msgspec

from openvenue import metrics
from openvenue.documents.resources import OrderResult
from openvenue.engine.errors import EngineUnavailable
from openvenue.engine.instruments import Instrument
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.http.access import charge_batch
from openvenue.http.engine_calls import (
    command_of,
    engine_answer,
    engine_replies,
    fault_of,
    order_of,
)
from openvenue.http.order_answers import shown
from openvenue.http.order_batch_body import CancelRequest, decode_cancels, decode_new_orders
from openvenue.http.order_body import NewOrderRequest
from openvenue.http.order_entry import find_instrument, new_order, order_of_refusal
from openvenue.http.order_terms import checked_client_order_id
from openvenue.http.problems import Problem, order_not_found
from openvenue.http.restrictions import restrict_order
from openvenue.http.whole_batch import submit_whole
from openvenue.http.worker import Worker
from openvenue.security.principal import Principal

BATCH_PATH = "/v2/orders:batch"
CANCEL_PATH = "/v2/orders:cancel"

_encode = msgspec.json.Encoder().encode

for _path in (BATCH_PATH, CANCEL_PATH):
    metrics.BATCH_RESULTS.labels(f"POST {_path}", "200")  # Shown from the start.


class _Sent(msgspec.Struct, gc=False):
    """An item whose order goes to the engine."""

    place: int
    instrument: Instrument
    intent: "pb.PositionIntent.ValueType"
    """As the client gave it."""


async def submit_orders(worker: Worker, principal: Principal, body: bytes, outcome: bool) -> bytes:
    """Execute a batch of new orders and return the JSON of its results, in the batch's order.

    Raises Problem, and then nothing was entered.
    """
    items, all_or_nothing = decode_new_orders(body)
    charge_batch(worker, principal, len(items))
    asked = await _ask_for_unknown(worker, items)
    if all_or_nothing:
        entered = await submit_whole(
            worker,
            principal,
            items,
            lambda symbol: worker.instruments.get(symbol) or asked[symbol],
            outcome,
        )
        return _counted(BATCH_PATH, entered)
    results: list[OrderResult | None] = [None] * len(items)
    sent: list[_Sent] = []
    requests: list[pb.Request] = []
    known = worker.instruments.get
    for place, wanted in enumerate(items):
        try:
            if isinstance(wanted, Problem):
                raise wanted
            instrument = known(wanted.symbol) or asked[wanted.symbol]
            if isinstance(instrument, Problem):
                raise instrument
            request = new_order(principal, wanted, instrument)
        except Problem as problem:
            results[place] = _failed(problem, BATCH_PATH)
        else:
            requests.append(request)
            sent.append(_Sent(place, instrument, request.new_order.position_intent))
    if principal.restrictions is not None:
        refused = await _restrict(worker, principal, requests, sent)
        for one, why in refused:
            results[one.place] = _failed(why, BATCH_PATH)
        places = {one.place for one, _ in refused}
        requests = [
            request for one, request in zip(sent, requests, strict=True) if one.place not in places
        ]
        sent = [one for one in sent if one.place not in places]
    if requests:
        await _enter(worker, requests, sent, results, outcome)
    return _counted(BATCH_PATH, results)


async def _enter(
    worker: Worker,
    requests: list[pb.Request],
    sent: list[_Sent],
    results: list[OrderResult | None],
    outcome: bool,
) -> None:
    """Send orders to the engine and set their results. Raises Problem if none was sent."""
    further = []
    document_of = worker.views.order
    replies = await engine_replies(worker, requests)
    for one, request, reply in zip(sent, requests, replies, strict=True):
        if isinstance(reply, Problem):
            results[one.place] = _failed(reply, BATCH_PATH)
            continue
        if not reply.HasField("order"):
            further.append((one, request, reply))
            continue
        try:
            document = document_of(reply.order, one.instrument)
        except Exception as error:
            fault = fault_of(error, request.new_order.client_order_id)
            results[one.place] = _failed(fault, BATCH_PATH)
        else:
            results[one.place] = OrderResult(HTTPStatus.OK, shown(document, outcome))

    async def look_into(one: _Sent, request: pb.Request, reply: pb.Reply) -> None:
        try:
            with command_of(request.new_order.client_order_id):
                document = await order_of_refusal(
                    worker, request, reply, one.instrument, one.intent
                )
                results[one.place] = OrderResult(HTTPStatus.OK, shown(document, outcome))
        except Problem as problem:
            results[one.place] = _failed(problem, BATCH_PATH)

    await _all_of(look_into(*each) for each in further)


async def cancel_orders(worker: Worker, principal: Principal, body: bytes, _: bool) -> bytes:
    """Cancel the orders of a batch and return the JSON of its results, in the batch's order.

    Raises Problem, and then nothing was canceled.
    """
    wanted = decode_cancels(body)
    charge_batch(worker, principal, len(wanted.ids or wanted.client_order_ids or ()))
    numbers = await _numbers_of(worker, principal.account_id, wanted)
    requests = [
        pb.Request(cancel_order=pb.CancelOrder(account_id=principal.account_id, order_id=number))
        for number in numbers
        if isinstance(number, int)
    ]
    replies = iter(await engine_replies(worker, requests) if requests else [])
    results = [
        _failed(number, CANCEL_PATH)
        if isinstance(number, Problem)
        else await _canceled(worker, next(replies))
        for number in numbers
    ]
    return _counted(CANCEL_PATH, results)


async def _canceled(worker: Worker, reply: pb.Reply | Problem) -> OrderResult:
    try:
        if isinstance(reply, Problem):
            raise reply
        order = order_of(reply)
    except Problem as problem:
        return _failed(problem, CANCEL_PATH)
    try:
        instrument = await worker.instruments.of_id(order.instrument_id)
    except (EngineUnavailable, asyncio.CancelledError):
        # It is canceled anyway; only its instrument could not be read.
        return OrderResult(HTTPStatus.OK, None)
    return OrderResult(HTTPStatus.OK, worker.views.order(order, instrument))


async def _numbers_of(
    worker: Worker, account_id: int, wanted: CancelRequest
) -> list[int | Problem]:
    """Return the engine's ids of the orders to cancel, or why there is none."""
    if wanted.ids is not None:
        numbers = (worker.views.order_ids.parse(public_id) for public_id in wanted.ids)
        return [order_not_found() if number is None else number for number in numbers]

    async def look_up(client_order_id: str) -> int | Problem:
        try:
            query = pb.GetOrder(
                account_id=account_id, client_order_id=checked_client_order_id(client_order_id)
            )
            return order_of(await engine_answer(worker, pb.Request(get_order=query))).order_id
        except Problem as problem:
            return order_not_found() if problem.status == HTTPStatus.NOT_FOUND else problem

    return await asyncio.gather(*(look_up(each) for each in wanted.client_order_ids or ()))


async def _ask_for_unknown(
    worker: Worker, items: Iterable[NewOrderRequest | Problem]
) -> dict[str, Instrument | Problem]:
    """Ask the engine, once for all, for symbols that are not known yet; return what it said."""
    known = worker.instruments.get
    missing = {
        item.symbol
        for item in items
        if not isinstance(item, Problem) and known(item.symbol) is None
    }

    async def ask(symbol: str) -> Instrument | Problem:
        try:
            return await find_instrument(worker, symbol)
        except Problem as problem:
            return problem

    return dict(zip(missing, await asyncio.gather(*map(ask, missing)), strict=True))


async def _restrict(
    worker: Worker, principal: Principal, requests: list[pb.Request], sent: list[_Sent]
) -> list[tuple[_Sent, Problem]]:
    """Return the items that the account's configuration forbids."""

    async def problem_of(request: pb.Request, one: _Sent) -> Problem | None:
        assert principal.restrictions is not None
        try:
            await restrict_order(worker, principal.restrictions, request.new_order, one.instrument)
        except Problem as problem:
            return problem
        return None

    found = await asyncio.gather(*map(problem_of, requests, sent))
    return [(one, problem) for one, problem in zip(sent, found, strict=True) if problem is not None]


async def _all_of(works: Iterable[Awaitable[None]]) -> None:
    """Await all; if the server stops, let each end by itself: the engine may have their orders."""
    tasks = [asyncio.ensure_future(work) for work in works]
    if not tasks:
        return
    try:
        await asyncio.wait(tasks)
    except asyncio.CancelledError:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def _counted(path: str, results: Sequence[OrderResult | None]) -> bytes:
    """Return the JSON of results, and count them."""
    for status, count in Counter(result.status for result in results if result).items():
        metrics.BATCH_RESULTS.labels(f"POST {path}", str(int(status))).inc(count)
    return _encode(results)


def _failed(problem: Problem, path: str) -> OrderResult:
    return OrderResult(problem.status, msgspec.Raw(problem.body(path)))
