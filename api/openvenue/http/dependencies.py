"""Dependencies of routes: the worker, the principal of the request, and the form of answers."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import msgspec
from fastapi import Depends, Request, Response
from fastapi.dependencies.models import Dependant

from openvenue.http import problems
from openvenue.http.access import principal_of, reader_of_market_data, reader_of_public
from openvenue.http.order_answers import wants_outcome
from openvenue.http.worker import Worker
from openvenue.security.principal import Principal


def _worker(request: Request) -> Worker:
    worker: Worker = request.app.state.worker
    return worker


async def _principal(request: Request) -> Principal:
    return await principal_of(_worker(request), request.scope)


async def _reader(request: Request) -> Principal:
    return await reader_of_market_data(_worker(request), request.scope)


async def may_read_pairs(request: Request) -> None:
    """Let in whoever may read the market data of currency pairs."""
    await reader_of_public(_worker(request), request.scope)


WorkerOf = Annotated[Worker, Depends(_worker)]
Authenticated = Annotated[Principal, Depends(_principal)]
ReaderOfMarketData = Annotated[Principal, Depends(_reader)]


def _wants_outcome(request: Request) -> bool:
    return wants_outcome(request.headers.raw)


WantsOutcome = Annotated[bool, Depends(_wants_outcome)]
"""True if the client wants the outcome of an order, not the order as it was accepted."""


def only_known_parameters(request: Request) -> None:
    """Refuse query parameters that the route does not know: they would seem to filter.

    Raises Problem 422.
    """
    known = set(_query_parameters(request.scope["route"].dependant))
    given = [name for name, _ in request.query_params.multi_items()]
    for name in given:
        if name not in known:
            raise problems.invalid(f"{name}: this path has no such query parameter")
        if given.count(name) > 1:
            raise problems.invalid(f"{name}: given more than once; separate values with commas")


def _query_parameters(dependant: Dependant) -> Iterator[str]:
    yield from (parameter.alias for parameter in dependant.query_params)
    for dependency in dependant.dependencies:
        yield from _query_parameters(dependency)


def json_response(
    document: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a document made of `resources` as the response."""
    return Response(msgspec.json.encode(document), status, headers, media_type="application/json")
