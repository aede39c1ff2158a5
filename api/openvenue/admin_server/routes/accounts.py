"""Accounts: opened, shown, and their money and positions moved."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Request, Response

from openvenue.admin import documents
from openvenue.admin.accounts import NewAccount, move_cash, move_position, open_account
from openvenue.admin.errors import InvalidRequest
from openvenue.admin.resets import OrdersFilter, cancel_orders, clone_account, reset_account
from openvenue.admin.suspension import is_trading_blocked, set_trading_blocked
from openvenue.admin_server.bodies import (
    BlockRequest,
    CashRequest,
    CloneRequest,
    NewAccountRequest,
    PositionRequest,
    ResetRequest,
    micros,
)
from openvenue.admin_server.documentation import accepts, answers
from openvenue.admin_server.idempotency import OF_KEYS, OnceOf
from openvenue.admin_server.services import (
    AccountId,
    AdminOf,
    ServicesOf,
    encoded_response,
    json_response,
)
from openvenue.http.json_body import decode_body
from openvenue.vocabulary import Side

_ACCOUNTS_MAX = 250
_ACCOUNT_NUMBER_MAX = (1 << 32) - 1

router = APIRouter(prefix="/v1/admin/accounts", tags=["accounts"])


class AccountsPage(msgspec.Struct):
    """Accounts by number. `next_after` continues; null: these were the last."""

    accounts: list[documents.AccountSummary]
    next_after: int | None


@router.get("", openapi_extra=answers(AccountsPage))
async def list_accounts(
    admin: AdminOf,
    after: Annotated[int, Query(ge=0, le=_ACCOUNT_NUMBER_MAX, description="Numbers above it.")] = 0,
    limit: Annotated[int, Query(ge=1, le=_ACCOUNTS_MAX)] = _ACCOUNTS_MAX,
) -> Response:
    """List accounts by number, with their money."""
    page, more = await admin.accounts_after(after, limit)
    return json_response(
        AccountsPage(
            [documents.account_summary(account) for account in page],
            page[-1].account_id if more and page else None,
        )
    )


@router.post(
    "",
    status_code=201,
    openapi_extra={
        **accepts(NewAccountRequest),
        **answers(documents.AccountSummary, 409, 413, status=201),
    },
)
async def create_account(admin: AdminOf, services: ServicesOf, request: Request) -> Response:
    """Open an account. With a number, sending it again is safe: it is 409 then."""
    wanted = decode_body(await request.body(), NewAccountRequest)
    _check_number(wanted.account_id)
    new = NewAccount(
        wanted.name,
        wanted.account_id,
        micros("cash", wanted.cash),
        micros("credit_limit", wanted.credit_limit),
        wanted.may_sell_short,
    )
    async with services.numbering:
        opened = await open_account(admin, new)
    return json_response(documents.account_summary(opened), 201)


@router.get("/{account_id}", openapi_extra=answers(documents.AccountDetails, 404))
async def show_account(admin: AdminOf, account_id: AccountId) -> Response:
    """Show an account with its positions."""
    account = await admin.account(account_id)
    return json_response(documents.account_details(account, await admin.terms()))


_MOVED = {
    **accepts(CashRequest),
    **answers(documents.AccountSummary, 404, 409, 413, meanings=OF_KEYS),
}


@router.post("/{account_id}/deposits", openapi_extra=_MOVED)
async def deposit(
    admin: AdminOf, once: OnceOf, account_id: AccountId, request: Request
) -> Response:
    """Add money to an account. Sending it again adds it again, unless it has an Idempotency-Key."""
    amount = _positive(await request.body())
    return encoded_response(await move_cash(admin, once, account_id, amount))


@router.post("/{account_id}/withdrawals", openapi_extra=_MOVED)
async def withdraw(
    admin: AdminOf, once: OnceOf, account_id: AccountId, request: Request
) -> Response:
    """Take money that no open order reserves. Sending it again takes it again, unless it has an
    Idempotency-Key.
    """
    amount = _positive(await request.body())
    return encoded_response(await move_cash(admin, once, account_id, -amount))


@router.post(
    "/{account_id}/positions",
    openapi_extra={
        **accepts(PositionRequest),
        **answers(documents.AdjustedPosition, 404, 409, 413, meanings=OF_KEYS),
    },
)
async def change_position(
    admin: AdminOf, once: OnceOf, account_id: AccountId, request: Request
) -> Response:
    """Add to a position, or take from it with a negative `qty`. Sending it again does so again,
    unless it has an Idempotency-Key.
    """
    wanted = decode_body(await request.body(), PositionRequest)
    cost = micros("cost", wanted.cost)
    moved = await move_position(admin, once, account_id, wanted.symbol, wanted.qty, cost)
    return encoded_response(moved)


@router.delete("/{account_id}/orders", openapi_extra=answers(documents.CanceledOrders, 404))
async def cancel_account_orders(
    admin: AdminOf,
    account_id: AccountId,
    symbol: Annotated[str | None, Query(description="Of this instrument; all if absent.")] = None,
    side: Annotated[Side | None, Query(description="Of this side; both if absent.")] = None,
) -> Response:
    """Cancel an account's open orders, oldest first: all, or those of an instrument or a side.

    Block the account first, so that none come after. Sending it again cancels what is open then.
    """
    canceled = await cancel_orders(admin, account_id, OrdersFilter(symbol, side))
    return json_response(documents.CanceledOrders(account_id=account_id, canceled=canceled))


@router.post(
    "/{account_id}/reset",
    openapi_extra={**accepts(ResetRequest), **answers(documents.AccountSummary, 404, 409, 413)},
)
async def reset(admin: AdminOf, account_id: AccountId, request: Request) -> Response:
    """Cancel an account's orders, empty its positions and set its cash. Sending it again is safe.

    Its terms, keys and history stay. Block it first if it trades: otherwise the answer may be that
    it goes on trading.
    """
    cash = micros("cash", decode_body(await request.body(), ResetRequest).cash)
    account = await reset_account(admin, account_id, cash)
    return json_response(documents.account_summary(account))


@router.post(
    "/{account_id}/clone",
    status_code=201,
    openapi_extra={
        **accepts(CloneRequest),
        **answers(documents.AccountDetails, 404, 409, 413, status=201),
    },
)
async def clone(
    admin: AdminOf, services: ServicesOf, account_id: AccountId, request: Request
) -> Response:
    """Open an account with another's terms, cash and positions; not its orders, keys and history.

    With a number, sending it again is safe: it is 409 then.
    """
    wanted = decode_body(await request.body(), CloneRequest)
    _check_number(wanted.account_id)
    async with services.numbering:
        opened = await clone_account(admin, account_id, wanted.name, wanted.account_id)
    return json_response(documents.account_details(opened, await admin.terms()), 201)


_BLOCK_PATH = "/{account_id}/block"


@router.get(_BLOCK_PATH, openapi_extra=answers(documents.AccountBlock, 404))
async def show_block(admin: AdminOf, services: ServicesOf, account_id: AccountId) -> Response:
    """Show whether an account is blocked from trading."""
    blocked = await is_trading_blocked(admin, services.database, account_id)
    return json_response(documents.AccountBlock(account_id=account_id, trading_blocked=blocked))


@router.put(
    _BLOCK_PATH,
    openapi_extra={**accepts(BlockRequest), **answers(documents.AccountBlock, 404, 413)},
)
async def put_block(
    admin: AdminOf, services: ServicesOf, account_id: AccountId, request: Request
) -> Response:
    """Block an account from trading, or let it trade again. It is in force at once.

    Its new orders and replacements get 403; it can still read, and cancel what is open.
    """
    blocked = decode_body(await request.body(), BlockRequest).trading_blocked
    await set_trading_blocked(admin, services.database, account_id, blocked)
    return json_response(documents.AccountBlock(account_id=account_id, trading_blocked=blocked))


def _check_number(account_id: int | None) -> None:
    if account_id is not None and not 1 <= account_id <= _ACCOUNT_NUMBER_MAX:
        raise InvalidRequest(f"{{account_id}} must be from 1 to {_ACCOUNT_NUMBER_MAX}")


def _positive(body: bytes) -> int:
    amount = micros("amount", decode_body(body, CashRequest).amount)
    if amount <= 0:
        raise InvalidRequest("{amount} must be above zero")
    return amount
