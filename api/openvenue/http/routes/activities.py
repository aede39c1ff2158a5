"""An account's activities: fills, and deposits and withdrawals, from the history.

An id is a time and a UUID, which encodes the activity's place in the venue's one order of things:
`YYYYMMDDHHMMSSmmm::` and 48 bits of the sequence number, then 62 of the number within it. So ids
sort as activities do, and a page continues after any of them.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response

from openvenue import units
from openvenue.documents import resources
from openvenue.documents.times import Moment, format_datetime, in_range
from openvenue.http import problems
from openvenue.http.dependencies import (
    Authenticated,
    WorkerOf,
    json_response,
    only_known_parameters,
)
from openvenue.http.history import history_of
from openvenue.http.openapi import answers
from openvenue.http.worker import Worker
from openvenue.queries.activities import FILL, ActivityFilter, Place, list_activities
from openvenue.security.principal import Principal

_MOVEMENTS = ("CSD", "CSW", "JNLS")
_GROUPS = {"TRANS": ("CSD", "CSW"), "JNL": ("JNLS",)}
# Alpaca's types of what does not happen on this venue. Their lists are empty.
# fmt: off
_ABSENT = frozenset((
    "MISC", "ACATC", "ACATS", "CFEE", "CGD", "CIL", "DIV", "DIVCGL", "DIVCGS", "DIVFEE", "DIVFT",
    "DIVNRA", "DIVROC", "DIVTW", "DIVTXEX", "DIVWH", "EXTRD", "FEE", "FOPT", "FXTRD", "INT",
    "INTNRA", "INTPNL", "INTTW", "JNLC", "MA", "MEM", "NC", "OCT", "OPASN", "OPCA", "OPCSH",
    "OPEXC", "OPEXP", "OPTRD", "PTC", "PTR", "REORG", "SPIN", "SPLIT", "SWP", "VOF", "WH",
))
# fmt: on
_PAGE_MAX = 100

_ID = re.compile(r"(\d{17})::([0-9a-f-]{36})", re.ASCII)
_ID_TIME = "%Y%m%d%H%M%S%f"
_NUMBER_BITS = 62
_VERSION_AND_VARIANT = (8 << 76) | (0b10 << _NUMBER_BITS)
_SEQUENCE_SHIFT = 80

_Date = Annotated[Moment, Query(description="Only of this day in UTC; without after and until.")]
_Direction = Literal["asc", "desc"]
_PageSize = Annotated[int, Query(ge=1, le=_PAGE_MAX)]
_PageToken = Annotated[str | None, Query(description="Id of the last activity of a page.")]

router = APIRouter(tags=["account"])


@router.get(
    "/v2/account/activities",
    openapi_extra=answers(list[resources.Activity], 403, 422, 429),
    dependencies=[Depends(only_known_parameters)],
)
async def list_all_activities(
    worker: WorkerOf,
    principal: Authenticated,
    activity_types: Annotated[
        str | None, Query(description="Comma-separated; without category.")
    ] = None,
    category: Literal["trade_activity", "non_trade_activity"] | None = None,
    date: _Date = None,
    after: Moment = None,
    until: Moment = None,
    direction: _Direction = "desc",
    page_size: _PageSize = _PAGE_MAX,
    page_token: _PageToken = None,
) -> Response:
    """List activities by time, exclusive of `after` and `until`: all that the account was told."""
    if activity_types is not None and category is not None:
        raise problems.invalid("give activity_types or category, not both")
    types: Sequence[str] = (FILL,) if category == "trade_activity" else _MOVEMENTS
    if category is None:
        types = (FILL, *_MOVEMENTS) if activity_types is None else _parse_types(activity_types)
    wanted = _filter(types, date, after, until, direction, page_size, page_token)
    return json_response(await _activities(worker, principal, wanted))


@router.get(
    "/v2/account/activities/{activity_type}",
    openapi_extra=answers(
        list[resources.Activity],
        *(403, 404, 422, 429),
        meanings={404: "There is no such type of activity"},
    ),
    dependencies=[Depends(only_known_parameters)],
)
async def list_activities_of_type(
    worker: WorkerOf,
    principal: Authenticated,
    activity_type: str,
    date: _Date = None,
    after: Moment = None,
    until: Moment = None,
    direction: _Direction = "desc",
    page_size: _PageSize = _PAGE_MAX,
    page_token: _PageToken = None,
) -> Response:
    """List activities of one type by time, exclusive of `after` and `until`."""
    types = _types_of(activity_type)
    if types is None:
        raise problems.not_found(f"there is no activity type {activity_type!r}")
    wanted = _filter(types, date, after, until, direction, page_size, page_token)
    return json_response(await _activities(worker, principal, wanted))


async def _activities(
    worker: Worker, principal: Principal, wanted: ActivityFilter
) -> list[resources.Activity]:
    async with history_of(worker, principal.account_id) as connection:
        rows = await list_activities(connection, principal.shard_id, principal.account_id, wanted)
    return [await _document(worker, row) for row in rows]


def _filter(
    types: Sequence[str],
    date: datetime | None,
    after: datetime | None,
    until: datetime | None,
    direction: str,
    limit: int,
    page_token: str | None,
) -> ActivityFilter:
    """Return the criteria that the parameters mean. Raises Problem 422."""
    since = None
    if date is not None:
        if after is not None or until is not None:
            raise problems.invalid("date goes neither with after nor with until")
        since = in_range(date).astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        until = since + timedelta(days=1)
    return ActivityFilter(
        types=types,
        limit=limit,
        oldest_first=direction == "asc",
        since=since,
        after=None if after is None else in_range(after),
        until=None if until is None else in_range(until),
        beyond=None if page_token is None else _parse_id(page_token),
    )


def _parse_types(text: str) -> Sequence[str]:
    found: set[str] = set()
    for name in text.split(","):
        types = _types_of(name.strip())
        if types is None:
            raise problems.invalid(f"activity_types: there is no type {name.strip()!r}")
        found.update(types)
    return sorted(found)


def _types_of(name: str) -> Sequence[str] | None:
    """Return the venue's types of an Alpaca type or group; None if there is no such type."""
    if name in (FILL, *_MOVEMENTS):
        return (name,)
    return () if name in _ABSENT else _GROUPS.get(name)


async def _document(worker: Worker, row: Any) -> resources.Activity:
    document = resources.Activity(
        id=_format_id(row.at, Place(row.sequence, row.number)), activity_type=row.type
    )
    if row.instrument_id is not None:
        document.symbol = (await worker.instruments.of_id(row.instrument_id)).symbol
        document.qty = units.format_decimal(row.qty)
    if row.type != FILL:
        document.date = row.at.astimezone(UTC).date().isoformat()
        document.created_at = format_datetime(row.at)
        document.net_amount = units.format_decimal(row.amount)
        document.currency = "USD"
        document.status = "executed"
        document.description = ""
        return document
    # A row of an older version is known to end its order only if it is all of the order.
    leaves = row.order_qty - (row.qty if row.cum_qty is None else row.cum_qty)
    document.transaction_time = format_datetime(row.at)
    document.order_id = worker.views.order_ids.format(row.order_id)
    document.side = row.side
    document.price = units.format_decimal(row.price)
    document.type = "partial_fill" if leaves else "fill"
    document.order_status = "partially_filled" if leaves else "filled"
    if row.cum_qty is not None:
        document.cum_qty = units.format_decimal(row.cum_qty)
        document.leaves_qty = units.format_decimal(leaves)
    return document


def _format_id(at: datetime, place: Place) -> str:
    packed = place.sequence << _SEQUENCE_SHIFT | _VERSION_AND_VARIANT | place.number
    return f"{at.astimezone(UTC).strftime(_ID_TIME)[:-3]}::{UUID(int=packed)}"


def _parse_id(text: str) -> tuple[Place, datetime]:
    """Return an activity's place, and its time cut to milliseconds. Raises Problem 422."""
    try:
        if (match := _ID.fullmatch(text)) is not None:
            time = datetime.strptime(match[1], _ID_TIME).replace(tzinfo=UTC)
            packed = UUID(match[2]).int
            place = Place(packed >> _SEQUENCE_SHIFT, packed & ((1 << _NUMBER_BITS) - 1))
            if _format_id(time, place) == text:
                return place, in_range(time)
    except ValueError:
        pass
    raise problems.invalid("page_token is not the id of an activity")
