"""No stream shows an account anything of another: neither by name nor by number."""

import asyncio
import json
from typing import Any

import pytest
from openvenue.security.keys import NewKey
from openvenue.stream.server import PATHS

from tests.stream.conftest import Client, client, order
from tests.support.venue import Venue

CHANNELS = ("trades", "quotes", "bars", "updatedBars", "dailyBars", "orderbooks")


@pytest.fixture
def owner(shared: Venue) -> NewKey:
    return shared.open_account(may_sell_short=True)


async def listen(one: Client, path: str, key: NewKey) -> None:
    """Ask for everything that a path has."""
    if path == "/stream":
        await one.listen(key)
    else:
        await one.subscribe(key, resume=0, **{channel: ["*"] for channel in CHANNELS})


def seen_of(messages: list[str], secrets: set[str]) -> list[str]:
    return [message for message in messages if any(secret in message for secret in secrets)]


@pytest.mark.parametrize("path", PATHS)
async def test_what_an_account_does_is_nobody_elses(
    shared: Venue, owner: NewKey, trader: NewKey, path: str
) -> None:
    symbol = "BTC/USD" if "crypto" in path else "AAPL"
    secrets = {owner.key_id, owner.secret}
    with shared.client(owner) as http:
        secrets.add(http.get("/v2/account").json()["id"])
        async with client(shared, path) as other:
            await listen(other, path, trader)
            for number, side in enumerate(("buy", "sell", "buy")):
                name = f"of the owner {number}"
                entered = order(
                    shared, owner, symbol=symbol, side=side, qty="2", client_order_id=name
                )
                secrets |= {entered["id"], name}
            replaced = http.patch(f"/v2/orders/{entered['id']}", json={"qty": "1"}).json()
            secrets.add(replaced["id"])
            secrets |= {each["id"] for each in http.get("/v2/account/activities").json()}
            http.delete("/v2/orders")
            # The listener's own trade is the last thing to hear.
            mine = order(shared, trader, symbol=symbol, qty="7", limit_price="99")
            order(shared, trader, symbol=symbol, qty="7", limit_price="99", side="sell")
            messages = await _until(other, mine["id"] if path == "/stream" else '"s":7')
    assert messages
    assert seen_of(messages, secrets) == []


async def test_the_owner_would_have_been_seen(shared: Venue, owner: NewKey) -> None:
    """The walk above looks for what there is to see."""
    async with client(shared) as one:
        await one.listen(owner)
        entered = order(shared, owner, client_order_id="to be seen")
        messages = await _until(one, entered["id"])
    with shared.client(owner) as http:
        http.delete("/v2/orders")
    assert seen_of(messages, {entered["id"]})
    assert seen_of(messages, {"to be seen"})


async def test_a_session_cannot_ask_for_another_account(
    shared: Venue, owner: NewKey, trader: NewKey
) -> None:
    """A field that names an account, or a second authentication, changes nothing."""
    async with client(shared) as one:
        await one.listen(trader)
        data: dict[str, Any] = {"streams": ["trade_updates"], "account_id": owner.account_id}
        await one.say(action="listen", data=data, account_id=owner.account_id)
        assert (await one.hear())["stream"] == "listening"
        again = {"key_id": owner.key_id, "secret_key": owner.secret}
        await one.say(action="authenticate", data=again)
        assert (await one.hear())["data"]["message"] == "already authenticated"
        order(shared, owner, client_order_id="not for the trader")
        mine = order(shared, trader)
        messages = await _until(one, mine["id"])
    with shared.client(owner) as http:
        http.delete("/v2/orders")
    assert seen_of(messages, {"not for the trader"}) == []


async def _until(one: Client, last: str) -> list[str]:
    """Return the texts of all messages up to the one with `last`, and what follows at once."""
    texts: list[str] = []
    while not any(last in text for text in texts):
        texts.append(json.dumps(await one.hear(), separators=(",", ":")))
    try:
        async with asyncio.timeout(0.5):
            while True:
                texts.append(str(await one.connection.recv()))
    except TimeoutError:
        return texts
