"""No route shows or changes anything of another account: what is another's is not there."""

from typing import Any

import httpx
import pytest
from openvenue.http.app import Application
from openvenue.http.order_batch import CANCEL_PATH
from openvenue.security.keys import READ_AND_TRADE, NewKey

from tests.api.conftest import Credential
from tests.api.orders import client_of, limit_order
from tests.api.test_scopes import routes_of, url_of
from tests.support.venue import Venue

NAMES_WHAT_IS_OWNED = (
    "{order_id}",
    "{watchlist_id}",
    "by_client_order_id",
    "by_name",
    "/v2/positions/{",
)
BODIES: dict[tuple[str, str], Any] = {
    ("PATCH", "/v2/account/configurations"): {"no_shorting": True},
    ("POST", "/v2/watchlists"): {"name": "of the other"},
    ("POST", "/v2/watchlists/{watchlist_id}"): {"symbol": "AAPL"},
    ("POST", "/v2/watchlists:by_name"): {"symbol": "AAPL"},
    ("PUT", "/v2/watchlists/{watchlist_id}"): {"name": "taken", "symbols": []},
    ("PUT", "/v2/watchlists:by_name"): {"name": "taken", "symbols": []},
    ("PATCH", "/v2/orders/{order_id}"): {"qty": "2"},
    ("POST", "/v2/orders"): limit_order(),
    ("POST", "/v2/orders:batch"): {"orders": [limit_order()]},
}
OWNED = (
    "/v2/account",
    "/v2/account/configurations",
    "/v2/account/activities",
    "/v2/orders?status=all",
    "/v2/positions",
    "/v2/watchlists",
)


async def owned(owner: httpx.AsyncClient) -> dict[str, Any]:
    return {path: (await owner.get(path)).json() for path in OWNED}


@pytest.fixture
def intruder(venue: Venue) -> NewKey:
    return venue.open_account()


async def test_what_is_of_another_account_is_not_there(
    venue: Venue,
    application: Application,
    account: NewKey,
    intruder: NewKey,
    credential: Credential,
) -> None:
    venue.give(account.account_id, 1, 5)
    not_found, seen = set(), set()
    intrudes = credential(intruder, READ_AND_TRADE)
    async with client_of(application, account) as owner, client_of(application, intrudes) as other:
        entered = await owner.post("/v2/orders", json=limit_order(client_order_id="of-the-account"))
        order = entered.json()
        watchlist = (await owner.post("/v2/watchlists", json={"name": "watched"})).json()
        before = await owned(owner)
        secrets = {
            *(order["id"], "of-the-account", watchlist["id"], before["/v2/account"]["id"]),
            *(each["id"] for each in before["/v2/account/activities"]),
        }
        for method, path in sorted(routes_of(application)):
            url = url_of(path, order["id"], watchlist["id"])
            body = BODIES.get((method, path))
            if path == CANCEL_PATH:
                body = {"ids": [order["id"]]}
            answer = await other.request(method, url, json=body)
            assert answer.status_code < 500, (method, path)
            seen.add((method, path))
            # A document names itself by the path that was asked for.
            shown = answer.text.replace(answer.request.url.path, "")
            if path == CANCEL_PATH:
                assert [each["status"] for each in answer.json()] == [404]
                continue
            if any(part in path for part in NAMES_WHAT_IS_OWNED):
                assert answer.status_code == 404, (method, path, answer.text)
                not_found.add((method, path))
            else:
                assert not [each for each in secrets if each in shown], (method, path)
        assert await owned(owner) == before
    assert len(seen) > len(not_found) >= 14
