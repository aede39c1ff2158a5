"""The venue's trading is suspended and goes on; blocks of accounts from before."""

from collections.abc import Callable, Iterator

import httpx
import pytest
from openvenue.queries.configurations import change_configuration
from openvenue.security.keys import NewKey
from sqlalchemy.ext.asyncio import create_async_engine

from tests.admin.conftest import client
from tests.admin.test_audit import commands
from tests.api.orders import limit_order
from tests.stream.conftest import order
from tests.support.venue import Venue, run_apart

TRADING = "/v1/admin/trading"
SUSPENDED = "the venue has suspended trading; open orders can be canceled"


@pytest.fixture
def suspendable(admin: httpx.Client) -> Iterator[httpx.Client]:
    yield admin
    admin.put(TRADING, json={"suspended": False})


def suspend(admin: httpx.Client, **more: bool) -> None:
    answer = admin.put(TRADING, json={"suspended": True, **more})
    assert (answer.status_code, answer.json()["suspended"]) == (200, True)


def status_of_order(trader: httpx.Client) -> int:
    return trader.post("/v2/orders", json=limit_order()).status_code


def test_a_suspended_venue_takes_cancels_only(
    administered: Venue, suspendable: httpx.Client
) -> None:
    admin = suspendable
    key = administered.open_account()
    entered = order(administered, key)
    suspend(admin)
    assert admin.get(TRADING).json() == {"suspended": True, "canceled": None}
    assert admin.get("/v1/admin/status").json()["suspended"] is True
    with administered.client(key) as trader:
        assert trader.get("/v2/account").json()["trading_blocked"] is True
        for refused in (
            trader.post("/v2/orders", json=limit_order()),
            trader.patch(f"/v2/orders/{entered['id']}", json={"qty": "11"}),
        ):
            assert (refused.status_code, refused.json()["code"]) == (403, 40310000)
            assert refused.json()["message"] == SUSPENDED
        batch = {"orders": [limit_order()], "all_or_nothing": True}
        assert SUSPENDED in trader.post("/v2/orders:batch", json=batch).json()["message"]
        assert trader.get(f"/v2/orders/{entered['id']}").json()["status"] == "new"
        assert trader.delete(f"/v2/orders/{entered['id']}").status_code == 204
        admin.put(TRADING, json={"suspended": False})
        assert trader.get("/v2/account").json()["trading_blocked"] is False
        assert status_of_order(trader) == 200
    newest = commands(admin)[:2]
    assert [(one["command"], one["account_id"], one["details"]) for one in newest] == [
        ("suspend_trading", None, {"suspended": False}),
        ("suspend_trading", None, {"suspended": True}),
    ]


def test_all_that_is_open_is_canceled_with_it(
    administered: Venue, suspendable: httpx.Client
) -> None:
    keys = [administered.open_account(), administered.open_account()]
    entered = [order(administered, key) for key in keys for _ in range(3)]
    answer = suspendable.put(TRADING, json={"suspended": True, "cancel_orders": True})
    assert answer.json()["canceled"] >= len(entered)
    assert suspendable.get("/v1/admin/status").json()["open_orders"] == 0
    with administered.client(keys[0]) as trader:
        assert trader.get(f"/v2/orders/{entered[0]['id']}").json()["status"] == "canceled"


def test_a_blocked_account_stays_blocked_when_the_venue_goes_on(
    administered: Venue, suspendable: httpx.Client
) -> None:
    key = administered.open_account()
    block = f"/v1/admin/accounts/{key.account_id}/block"
    suspendable.put(block, json={"trading_blocked": True})
    suspend(suspendable)
    suspendable.put(TRADING, json={"suspended": False})
    with administered.client(key) as trader:
        assert status_of_order(trader) == 403
        suspendable.put(block, json={"trading_blocked": False})
        assert status_of_order(trader) == 200


def test_suspensions_survive_a_restart_of_the_engine(new_venue: Callable[..., Venue]) -> None:
    venue = new_venue().start()
    venue.admin.options[1] = venue.admin.target  # the port that it has now
    key, other = venue.open_account(), venue.open_account()
    venue.start_administration()
    with client(venue) as admin:
        block = f"/v1/admin/accounts/{key.account_id}/block"
        assert admin.put(block, json={"trading_blocked": True}).status_code == 200
        suspend(admin)
        venue.engine.stop()
        venue.start_engine()
        venue.wait_until_ready()
        assert admin.get(TRADING).json()["suspended"] is True
        admin.put(TRADING, json={"suspended": False})
        with venue.client(key) as blocked, venue.client(other) as trader:
            assert status_of_order(blocked) == 403
            assert status_of_order(trader) == 200


def test_a_block_that_the_version_before_left_in_the_database_holds_until_it_is_lifted(
    administered: Venue, admin: httpx.Client
) -> None:
    key = administered.open_account()
    _block_in_database(administered, key)
    path = f"/v1/admin/accounts/{key.account_id}/block"
    assert admin.get(path).json()["trading_blocked"] is True
    admin.put(path, json={"trading_blocked": False})
    assert admin.get(path).json()["trading_blocked"] is False


def _block_in_database(venue: Venue, key: NewKey) -> None:
    async def run() -> None:
        engine = create_async_engine(venue.database_url)
        async with engine.begin() as connection:
            changes = {"trading_blocked": True}
            await change_configuration(connection, venue.shard_id, key.account_id, changes)
        await engine.dispose()

    run_apart(run())
