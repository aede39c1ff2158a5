"""Positions: read from the engine's memory, and closed by market orders.

A closing order has the position intent to close, so the engine refuses it if it would reverse the
position: also if two closes race, or an order fills meanwhile.
"""

import asyncio
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response

from openvenue import units
from openvenue.documents import resources
from openvenue.documents.views import Marked, free_lots
from openvenue.engine.instruments import Instrument
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.http import problems
from openvenue.http.canceling import cancel_open_orders
from openvenue.http.dependencies import (
    Authenticated,
    WantsOutcome,
    WorkerOf,
    json_response,
    only_known_parameters,
)
from openvenue.http.engine_calls import command_of
from openvenue.http.history import account_of
from openvenue.http.open_orders import OpenBuys, open_buys
from openvenue.http.openapi import AS_ACCEPTED, answers
from openvenue.http.order_answers import applied_preference, shown
from openvenue.http.order_entry import enter
from openvenue.http.order_terms import new_client_order_id
from openvenue.http.restrictions import restrict_order
from openvenue.http.worker import Worker
from openvenue.queries.equity import DayBefore
from openvenue.security.principal import Principal

_NO_POSITION = {404: "The account holds none of it, or there is no such asset"}

router = APIRouter(tags=["positions"])


@dataclass(frozen=True, slots=True)
class _Held:
    """A position and the lots that the account's open buy orders would cover if it is short."""

    position: pb.Position
    instrument: Instrument
    covering_lots: int

    def document(self, day_before: DayBefore) -> resources.Position:
        return Marked(self.position, self.instrument, day_before).document(self.covering_lots)

    @property
    def lots(self) -> int:
        """Size of the position, without its sign."""
        return abs(self.position.qty_lots)

    @property
    def free_lots(self) -> int:
        """Part of `lots` that no open order would take."""
        return abs(free_lots(self.position, self.covering_lots))


@router.get(
    "/v2/positions",
    openapi_extra=answers(list[resources.Position], 403, 422, 429),
    dependencies=[Depends(only_known_parameters)],
)
async def list_positions(worker: WorkerOf, principal: Authenticated) -> Response:
    """List what the account holds."""
    day_before = await worker.days_before.of(principal.account_id)
    return json_response([held.document(day_before) for held in await _all_held(worker, principal)])


@router.delete(
    "/v2/positions",
    status_code=HTTPStatus.MULTI_STATUS,
    openapi_extra={
        **AS_ACCEPTED,
        **answers(
            list[resources.ClosedPosition],
            *(403, 422, 429),
            status=207,
            meanings={403: "The key may not, or its account is not open"},
        ),
    },
    dependencies=[Depends(only_known_parameters)],
)
async def close_all_positions(
    request: Request,
    worker: WorkerOf,
    principal: Authenticated,
    outcome: WantsOutcome,
    cancel_orders: bool = False,
) -> Response:
    """Close every position at market; with `cancel_orders`, cancel all open orders before.

    Each result has the order, or the problem with which closing this position alone would be
    answered. Orders are shown as they were accepted; with `Prefer: wait`, their outcomes.
    """
    if cancel_orders:
        await cancel_open_orders(worker, principal.account_id)

    async def result(held: _Held) -> resources.ClosedPosition:
        symbol = held.instrument.symbol
        try:
            order = await _close(worker, principal, held, held.lots, outcome=outcome)
        except problems.Problem as problem:
            body = problem.body(request.url.path)
            return resources.ClosedPosition(symbol, problem.status, msgspec.Raw(body))
        return resources.ClosedPosition(symbol, HTTPStatus.OK, order)

    held = await _all_held(worker, principal)
    results = await asyncio.gather(*(result(one) for one in held))
    return json_response(results, HTTPStatus.MULTI_STATUS, applied_preference(outcome))


@router.get(
    "/v2/positions/{symbol_or_asset_id:path}",
    openapi_extra=answers(resources.Position, 403, 404, 422, 429, meanings=_NO_POSITION),
)
async def get_position(
    worker: WorkerOf, principal: Authenticated, symbol_or_asset_id: str
) -> Response:
    """Return the account's position in one asset."""
    held = await _held(worker, principal, symbol_or_asset_id)
    return json_response(held.document(await worker.days_before.of(principal.account_id)))


@router.delete(
    "/v2/positions/{symbol_or_asset_id:path}",
    openapi_extra={
        **AS_ACCEPTED,
        **answers(
            resources.Order,
            *(403, 404, 422, 429),
            meanings={
                403: "The key may not, or open orders hold what would be sold",
                **_NO_POSITION,
                422: "A parameter cannot be, or the position has changed meanwhile",
            },
        ),
    },
    dependencies=[Depends(only_known_parameters)],
)
async def close_position(
    worker: WorkerOf,
    principal: Authenticated,
    outcome: WantsOutcome,
    symbol_or_asset_id: str,
    qty: Annotated[str | None, Query(description="Number of shares or coins.")] = None,
    percentage: Annotated[
        str | None,
        Query(description="Above 0, at most 100; rounded down to the asset's increment."),
    ] = None,
) -> Response:
    """Close a position, or a part of it, by a market order.

    Shows the order as it was accepted; with `Prefer: wait`, the outcome.
    """
    if qty is not None and percentage is not None:
        raise problems.invalid("give qty or percentage, not both")
    held = await _held(worker, principal, symbol_or_asset_id)
    lots = held.lots
    if qty is not None:
        lots = _lots_of_qty(qty, held)
    elif percentage is not None:
        lots = _lots_of_percentage(percentage, held)
    order = await _close(worker, principal, held, lots, outcome=outcome)
    return json_response(order, headers=applied_preference(outcome))


async def _close(
    worker: Worker, principal: Principal, held: _Held, lots: int, *, outcome: bool
) -> resources.Order:
    """Enter the order that closes `lots` of a position; return its outcome, or it as accepted.

    Raises Problem.
    """
    if lots > held.free_lots:
        raise _not_free(held, lots)
    is_long = held.position.qty_lots > 0
    is_pair = held.instrument.asset_class == "crypto"
    client_order_id = new_client_order_id()
    order = pb.NewOrder(
        account_id=principal.account_id,
        instrument_id=held.instrument.instrument_id,
        side=pb.SIDE_SELL if is_long else pb.SIDE_BUY,
        type=pb.ORDER_TYPE_MARKET,
        time_in_force=pb.TIME_IN_FORCE_GTC if is_pair else pb.TIME_IN_FORCE_DAY,
        qty_lots=lots,
        client_order_id=client_order_id,
        position_intent=(
            pb.POSITION_INTENT_SELL_TO_CLOSE if is_long else pb.POSITION_INTENT_BUY_TO_CLOSE
        ),
    )
    if principal.restrictions is not None:
        await restrict_order(worker, principal.restrictions, order, held.instrument)
    request = pb.Request(new_order=order)
    with command_of(client_order_id):
        document = await enter(worker, request, held.instrument, order.position_intent)
    return shown(document, outcome)


async def _held(worker: Worker, principal: Principal, symbol_or_asset_id: str) -> _Held:
    """Return the account's position in one asset. Raises Problem 404 if there is none."""
    instrument = await worker.instruments.find(symbol_or_asset_id)
    if instrument is not None:
        account = await account_of(worker, principal.account_id)
        for position in account.positions:
            if position.instrument_id == instrument.instrument_id and position.qty_lots:
                (held,) = await _with_orders(worker, account, [position])
                return held
    raise problems.not_found("position does not exist")


async def _all_held(worker: Worker, principal: Principal) -> list[_Held]:
    account = await account_of(worker, principal.account_id)
    return await _with_orders(
        worker, account, [position for position in account.positions if position.qty_lots]
    )


async def _with_orders(
    worker: Worker, account: pb.Account, positions: list[pb.Position]
) -> list[_Held]:
    """Return positions with what open orders would cover; only short ones need the orders."""
    buys: dict[int, OpenBuys] = {}
    if any(position.qty_lots < 0 for position in positions):
        only = positions[0].instrument_id if len(positions) == 1 else 0
        buys = await open_buys(worker, account, only)
    return [
        _Held(
            position,
            await worker.instruments.of_id(position.instrument_id),
            buys.get(position.instrument_id, OpenBuys()).lots,
        )
        for position in positions
    ]


def _lots_of_qty(text: str, held: _Held) -> int:
    try:
        lots = units.parse_steps(text, held.instrument.lot_nanos)
    except units.UnitError as error:
        raise problems.invalid(f"qty: {error}") from None
    if lots <= 0:
        raise problems.invalid("qty must be > 0")
    return lots


def _lots_of_percentage(text: str, held: _Held) -> int:
    hundred_nanos = 100 * units.NANOS_PER_UNIT
    try:
        nanos = units.parse_nanos(text)
    except units.UnitError as error:
        raise problems.invalid(f"percentage: {error}") from None
    if not 0 < nanos <= hundred_nanos:
        raise problems.invalid("percentage must be above 0 and at most 100")
    lots = held.lots * nanos // hundred_nanos
    if lots == 0:
        increment = units.format_nanos(held.instrument.lot_nanos)
        raise problems.unprocessable(
            f"{text} % of the position is less than {increment}: close more of it"
        )
    return lots


def _not_free(held: _Held, lots: int) -> problems.Problem:
    def qty(lots: int) -> str:
        return units.format_steps(lots, held.instrument.lot_nanos)

    requested, available = qty(lots), qty(held.free_lots)
    return problems.refused(
        f"insufficient qty available for order (requested: {requested}, available: {available})",
        symbol=held.instrument.symbol,
        available=available,
        existing_qty=qty(held.lots),
        held_for_orders=qty(held.lots - held.free_lots),
    )
