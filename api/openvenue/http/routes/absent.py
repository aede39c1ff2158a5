"""Answers for options, wallets, news, corporate actions, bonds and auctions: this venue has none.

Lists of such things are empty, whatever a client filters by. A single one is not found, and the
answer says that the venue has none.
"""

import re
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, Response

from openvenue.http import problems
from openvenue.http.dependencies import Authenticated, json_response
from openvenue.http.openapi import answers

_OPTIONS = "this venue has no options"
_WALLETS = "this venue has no wallets: its operator deposits and withdraws"
_ANNOUNCEMENTS = "this venue has no corporate actions"

EMPTY: dict[str, dict[str, Any] | list[Any]] = {
    "/v2/options/contracts": {"option_contracts": [], "next_page_token": None},
    "/v2/corporate_actions/announcements": [],
    "/v2/wallets/transfers": [],
    "/v2/wallets/whitelists": [],
    "/v2/tokenization/requests": [],
    "/v2/assets/fixed_income/us_treasuries": {"us_treasuries": []},
    "/v2/assets/fixed_income/us_corporates": {"us_corporates": []},
    "/v1/corporate-actions": {"corporate_actions": {}, "next_page_token": None},
    "/v2/stocks/auctions": {"auctions": {}, "next_page_token": None},
    "/v1beta1/news": {"news": [], "next_page_token": None},
    "/v1beta1/options/bars": {"bars": {}, "next_page_token": None},
    "/v1beta1/options/trades": {"trades": {}, "next_page_token": None},
    "/v1beta1/options/trades/latest": {"trades": {}},
    "/v1beta1/options/quotes/latest": {"quotes": {}},
    "/v1beta1/options/snapshots": {"snapshots": {}, "next_page_token": None},
    "/v1beta1/options/snapshots/{underlying_symbol}": {"snapshots": {}, "next_page_token": None},
    "/v1beta1/options/meta/exchanges": {},
}

NOT_FOUND: dict[tuple[str, str], str] = {
    ("GET", "/v2/options/contracts/{symbol_or_id}"): _OPTIONS,
    ("POST", "/v2/positions/{symbol_or_contract_id}/exercise"): _OPTIONS,
    ("POST", "/v2/positions/{symbol_or_contract_id}/do-not-exercise"): _OPTIONS,
    ("GET", "/v2/corporate_actions/announcements/{announcement_id}"): _ANNOUNCEMENTS,
    ("GET", "/v2/wallets"): _WALLETS,
    ("GET", "/v2/wallets/fees/estimate"): _WALLETS,
    ("POST", "/v2/wallets/transfers"): _WALLETS,
    ("GET", "/v2/wallets/transfers/{transfer_id}"): _WALLETS,
    ("POST", "/v2/wallets/whitelists"): _WALLETS,
    ("DELETE", "/v2/wallets/whitelists/{whitelisted_address_id}"): _WALLETS,
}

router = APIRouter(tags=["absent"])


def _route(method: str, path: str, status: int, summary: str, **documented: Any) -> None:
    """Add a route that answers with what EMPTY or NOT_FOUND says."""
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", path)
    ]
    router.add_api_route(
        path,
        _answer(method, path),
        methods=[method],
        status_code=status,
        summary=summary,
        openapi_extra={"parameters": parameters, **documented},
    )


def _answer(method: str, path: str) -> Callable[..., Awaitable[Response]]:
    async def absent(_principal: Authenticated) -> Response:
        if (detail := NOT_FOUND.get((method, path))) is not None:
            raise problems.not_found(detail)
        return json_response(EMPTY[path])

    return absent


for _path, _document in EMPTY.items():
    _kind = list[Any] if isinstance(_document, list) else dict[str, Any]
    _route("GET", _path, 200, "Return an empty list", **answers(_kind))
for (_method, _path), _detail in NOT_FOUND.items():
    _statuses = (404,) if _method == "GET" else (403, 404)
    _documented = answers(None, *_statuses, meanings={403: "The key may not", 404: _detail})
    del _documented["responses"]["200"]
    _route(_method, _path, 404, "Say that there is none", **_documented)
