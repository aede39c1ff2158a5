"""Watchlists: lists of assets that an account's owner keeps, by id or by name."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from openvenue.documents import resources, views
from openvenue.documents.times import format_datetime
from openvenue.http import problems
from openvenue.http.dependencies import (
    Authenticated,
    WorkerOf,
    json_response,
    only_known_parameters,
)
from openvenue.http.json_body import decode_body
from openvenue.http.openapi import accepts, answers
from openvenue.http.own_rows import own_rows
from openvenue.http.worker import Worker
from openvenue.queries.watchlists import (
    TooManyWatchlists,
    Which,
    change_watchlist,
    create_watchlist,
    delete_watchlist,
    find_watchlist,
    list_watchlists,
)
from openvenue.security.principal import Principal

WATCHLISTS_MAX = 100
WATCHED_MAX = 500
_NAME_CHARACTERS_MAX = 64

_MEANINGS = {
    403: "The key may not",
    404: "The account has no such watchlist, or no such asset is on it",
    422: "A field cannot be, or the account has as many watchlists as it may",
}
_CHANGED = answers(resources.Watchlist, 400, 403, 404, 413, 422, meanings=_MEANINGS)
_UPDATED = {**accepts(resources.WatchlistChange), **_CHANGED}
_ADDED = {**accepts(resources.WatchedSymbol), **_CHANGED}
_DELETED = answers(None, 403, 404, 422, status=204, meanings=_MEANINGS)
_READ = answers(resources.Watchlist, 404, 422, meanings=_MEANINGS)

_Name = Annotated[str, Query(description="Of the watchlist.")]


router = APIRouter(tags=["watchlists"], dependencies=[Depends(only_known_parameters)])


@router.get("/v2/watchlists", openapi_extra=answers(list[resources.WatchlistName], 422))
async def get_watchlists(worker: WorkerOf, principal: Authenticated) -> Response:
    """List the account's watchlists, without their assets, oldest first."""
    async with own_rows(worker) as connection:
        rows = await list_watchlists(connection, principal.shard_id, principal.account_id)
    return json_response([resources.WatchlistName(**_named(worker, row)) for row in rows])


@router.post(
    "/v2/watchlists",
    openapi_extra={
        **accepts(resources.NewWatchlist),
        **answers(resources.Watchlist, 400, 403, 413, 422, meanings=_MEANINGS),
    },
)
async def post_watchlist(worker: WorkerOf, principal: Authenticated, request: Request) -> Response:
    """Make a watchlist."""
    wanted = decode_body(await request.body(), resources.NewWatchlist)
    name = _checked_name(wanted.name)
    watched = await _instruments(worker, wanted.symbols or [])
    async with _writing(worker, name) as connection:
        try:
            row = await create_watchlist(
                connection,
                principal.shard_id,
                principal.account_id,
                name,
                watched,
                count_max=WATCHLISTS_MAX,
            )
        except TooManyWatchlists:
            raise problems.unprocessable(
                f"the account has {WATCHLISTS_MAX} watchlists, which is the most: delete one"
            ) from None
    return json_response(await _document(worker, row))


@router.get("/v2/watchlists/{watchlist_id}", openapi_extra=_READ)
async def get_watchlist(worker: WorkerOf, principal: Authenticated, watchlist_id: str) -> Response:
    """Return a watchlist."""
    return await _get(worker, principal, _id(watchlist_id))


@router.get("/v2/watchlists:by_name", openapi_extra=_READ)
async def get_watchlist_by_name(
    worker: WorkerOf, principal: Authenticated, name: _Name
) -> Response:
    """Return a watchlist."""
    return await _get(worker, principal, _checked_name(name))


@router.put("/v2/watchlists/{watchlist_id}", openapi_extra=_UPDATED)
async def put_watchlist(
    worker: WorkerOf, principal: Authenticated, watchlist_id: str, request: Request
) -> Response:
    """Change a watchlist's name, its assets, or both."""
    return await _put(worker, principal, _id(watchlist_id), await request.body())


@router.put("/v2/watchlists:by_name", openapi_extra=_UPDATED)
async def put_watchlist_by_name(
    worker: WorkerOf, principal: Authenticated, name: _Name, request: Request
) -> Response:
    """Change a watchlist's name, its assets, or both."""
    return await _put(worker, principal, _checked_name(name), await request.body())


@router.post("/v2/watchlists/{watchlist_id}", openapi_extra=_ADDED)
async def add_asset(
    worker: WorkerOf, principal: Authenticated, watchlist_id: str, request: Request
) -> Response:
    """Add an asset at the end of a watchlist, unless it is on it."""
    return await _add(worker, principal, _id(watchlist_id), await request.body())


@router.post("/v2/watchlists:by_name", openapi_extra=_ADDED)
async def add_asset_by_name(
    worker: WorkerOf, principal: Authenticated, name: _Name, request: Request
) -> Response:
    """Add an asset at the end of a watchlist, unless it is on it."""
    return await _add(worker, principal, _checked_name(name), await request.body())


@router.delete("/v2/watchlists/{watchlist_id}", status_code=204, openapi_extra=_DELETED)
async def remove_watchlist(
    worker: WorkerOf, principal: Authenticated, watchlist_id: str
) -> Response:
    """Delete a watchlist."""
    return await _delete(worker, principal, _id(watchlist_id))


@router.delete("/v2/watchlists:by_name", status_code=204, openapi_extra=_DELETED)
async def remove_watchlist_by_name(
    worker: WorkerOf, principal: Authenticated, name: _Name
) -> Response:
    """Delete a watchlist."""
    return await _delete(worker, principal, _checked_name(name))


@router.delete(
    "/v2/watchlists/{watchlist_id}/{symbol:path}",
    openapi_extra=answers(resources.Watchlist, 403, 404, 422, meanings=_MEANINGS),
)
async def remove_asset(
    worker: WorkerOf, principal: Authenticated, watchlist_id: str, symbol: str
) -> Response:
    """Remove an asset from a watchlist."""
    instrument = await worker.instruments.find(symbol)
    removed = 0 if instrument is None else instrument.instrument_id
    async with own_rows(worker) as connection:
        row = await _find(connection, principal, _id(watchlist_id))
        if removed not in row.instrument_ids:
            raise problems.not_found(f"{symbol} is not on the watchlist")
        watched = [number for number in row.instrument_ids if number != removed]
        row = await change_watchlist(connection, row.watchlist_id, row.name, watched)
    return json_response(await _document(worker, row))


async def _get(worker: Worker, principal: Principal, which: Which) -> Response:
    async with own_rows(worker) as connection:
        row = await _find(connection, principal, which)
    return json_response(await _document(worker, row))


async def _put(worker: Worker, principal: Principal, which: Which, body: bytes) -> Response:
    wanted = decode_body(body, resources.WatchlistChange)
    if wanted.name is None and wanted.symbols is None:
        raise problems.invalid("give a name, symbols, or both")
    name = None if wanted.name is None else _checked_name(wanted.name)
    watched = None if wanted.symbols is None else await _instruments(worker, wanted.symbols)
    async with _writing(worker, name) as connection:
        row = await _find(connection, principal, which)
        row = await change_watchlist(
            connection,
            row.watchlist_id,
            row.name if name is None else name,
            row.instrument_ids if watched is None else watched,
        )
    return json_response(await _document(worker, row))


async def _add(worker: Worker, principal: Principal, which: Which, body: bytes) -> Response:
    (added,) = await _instruments(worker, [decode_body(body, resources.WatchedSymbol).symbol])
    async with own_rows(worker) as connection:
        row = await _find(connection, principal, which)
        if added not in row.instrument_ids:
            watched = _checked_count([*row.instrument_ids, added])
            row = await change_watchlist(connection, row.watchlist_id, row.name, watched)
    return json_response(await _document(worker, row))


async def _delete(worker: Worker, principal: Principal, which: Which) -> Response:
    async with own_rows(worker) as connection:
        key = (principal.shard_id, principal.account_id)
        if not await delete_watchlist(connection, *key, which):
            raise _not_found()
    return Response(status_code=204)


async def _find(connection: AsyncConnection, principal: Principal, which: Which) -> Any:
    key = (principal.shard_id, principal.account_id)
    row = await find_watchlist(connection, *key, which)
    if row is None:
        raise _not_found()
    return row


@asynccontextmanager
async def _writing(worker: Worker, name: str | None) -> AsyncIterator[AsyncConnection]:
    """Do as `own_rows`. Raises Problem 422 if the account has another watchlist of this name."""
    async with own_rows(worker) as connection:
        try:
            yield connection
        except IntegrityError:
            raise problems.invalid(
                f"the account has another watchlist named {name!r}: choose another name"
            ) from None


async def _instruments(worker: Worker, symbols: Sequence[str]) -> list[int]:
    """Return the instruments of symbols, each once. Raises Problem 422."""
    found = {}
    for symbol in _checked_count(symbols):
        instrument = await worker.instruments.find(symbol)
        if instrument is None:
            raise problems.invalid(f"asset not found for {symbol}")
        found[instrument.instrument_id] = instrument
    return list(found)


async def _document(worker: Worker, row: Any) -> resources.Watchlist:
    assets = [views.asset(await worker.instruments.of_id(number)) for number in row.instrument_ids]
    return resources.Watchlist(**_named(worker, row), assets=assets)


def _named(worker: Worker, row: Any) -> dict[str, str]:
    return {
        "id": str(row.watchlist_id),
        "account_id": worker.views.account_ids.format(row.account_id),
        "name": row.name,
        "created_at": format_datetime(row.created_at),
        "updated_at": format_datetime(row.updated_at),
    }


def _checked_name(name: str) -> str:
    if not 0 < len(name) <= _NAME_CHARACTERS_MAX or not name.isprintable():
        raise problems.invalid(f"name must be 1 to {_NAME_CHARACTERS_MAX} printable characters")
    return name


def _checked_count(watched: Sequence[Any]) -> Sequence[Any]:
    if len(watched) > WATCHED_MAX:
        raise problems.invalid(f"a watchlist has at most {WATCHED_MAX} assets")
    return watched


def _id(watchlist_id: str) -> UUID:
    try:
        return UUID(watchlist_id)
    except ValueError:
        raise _not_found() from None


def _not_found() -> problems.Problem:
    return problems.not_found("watchlist not found")
