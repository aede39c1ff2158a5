"""An account's configuration: read and changed by its owner, enforced by the API's workers."""

from collections.abc import Mapping
from typing import Any

import msgspec
from fastapi import APIRouter, Depends, Request, Response

from openvenue.documents import resources
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
from openvenue.queries.configurations import change_configuration, read_configuration
from openvenue.security.principal import account_key_id

# Alpaca's fields of which this venue has one value, each with the reason.
_FIXED: Mapping[str, tuple[object, str]] = {
    "trade_confirm_email": ("none", "the venue sends no mail"),
    "max_margin_multiplier": ("1", "the venue has no margin"),
    "max_options_trading_level": (0, "the venue has no options"),
    "disable_overnight_trading": (False, "the venue has no overnight session"),
}

router = APIRouter(tags=["account"])


@router.get(
    "/v2/account/configurations",
    openapi_extra=answers(resources.AccountConfiguration, 422),
    dependencies=[Depends(only_known_parameters)],
)
async def get_configuration(worker: WorkerOf, principal: Authenticated) -> Response:
    """Return the account's configuration."""
    async with own_rows(worker) as connection:
        row = await read_configuration(connection, principal.shard_id, principal.account_id)
    return json_response(_document(row))


@router.patch(
    "/v2/account/configurations",
    openapi_extra={
        **accepts(resources.ConfigurationChange),
        **answers(
            resources.AccountConfiguration,
            *(400, 403, 413, 422),
            meanings={403: "The key may not", 422: "A field cannot be, or has one value here"},
        ),
    },
    dependencies=[Depends(only_known_parameters)],
)
async def change_configurations(
    worker: WorkerOf, principal: Authenticated, request: Request
) -> Response:
    """Change the account's configuration; absent fields stay. It is in force within a second."""
    wanted = decode_body(await request.body(), resources.ConfigurationChange)
    given = msgspec.structs.asdict(wanted)
    changes = {name: value for name, value in given.items() if value is not None}
    for name, (only, reason) in _FIXED.items():
        if changes.pop(name, only) != only:
            raise problems.invalid(f"{name} can only be {only!r}: {reason}")
    async with own_rows(worker) as connection:
        key = (principal.shard_id, principal.account_id)
        row = (
            await change_configuration(connection, *key, changes)
            if changes
            else await read_configuration(connection, *key)
        )
    # The other workers and keys hear of it from the database, these ones at once.
    worker.authenticator.forget(principal.key_id)
    worker.authenticator.forget(account_key_id(principal.account_id))
    return json_response(_document(row))


def _document(row: Any) -> resources.AccountConfiguration:
    if row is None:
        return resources.AccountConfiguration()
    return resources.AccountConfiguration(
        suspend_trade=row.suspend_trade,
        no_shorting=row.no_shorting,
        fractional_trading=row.fractional_trading,
        ptp_no_exception_entry=row.ptp_no_exception_entry,
        dtbp_check=row.dtbp_check,
        pdt_check=row.pdt_check,
    )
