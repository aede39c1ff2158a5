"""Watchlists: kept for their owner, by id and by name, within bounds."""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest
from openvenue.http.app import Application
from openvenue.http.routes import watchlists as routes
from openvenue.security.keys import NewKey

from tests.api.orders import client_of
from tests.support.venue import Venue

PATH = "/v2/watchlists"
BY_NAME = "/v2/watchlists:by_name"


def make(client: httpx.Client, name: str = "mine", *symbols: str) -> dict[str, Any]:
    answer = client.post(PATH, json={"name": name, "symbols": list(symbols)})
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


def symbols(watchlist: dict[str, Any]) -> list[str]:
    return [asset["symbol"] for asset in watchlist["assets"]]


def test_a_watchlist_is_read_by_id_and_by_name(client: httpx.Client) -> None:
    made = make(client, "my list", "BTCUSD", "AAPL", "BTC/USD")
    assert symbols(made) == ["BTC/USD", "AAPL"]
    assert made["account_id"] == client.get("/v2/account").json()["id"]
    assert client.get(f"{PATH}/{made['id']}").json() == made
    assert client.get(BY_NAME, params={"name": "my list"}).json() == made
    second = make(client, "other")
    assert second["assets"] == []
    listed = client.get(PATH).json()
    assert [one["id"] for one in listed] == [made["id"], second["id"]]
    assert "assets" not in listed[0]


@pytest.mark.parametrize("by_name", [False, True])
def test_a_watchlist_is_changed(client: httpx.Client, by_name: bool) -> None:
    made = make(client, "first", "AAPL")

    def request(method: str, name: str, body: object = None) -> httpx.Response:
        query = {"name": name} if by_name else {}
        return client.request(
            method, BY_NAME if by_name else f"{PATH}/{made['id']}", params=query, json=body
        )

    renamed = request("PUT", "first", {"name": "second"}).json()
    assert (renamed["id"], renamed["name"], symbols(renamed)) == (made["id"], "second", ["AAPL"])
    assert renamed["updated_at"] > renamed["created_at"]
    for _ in range(2):
        added = request("POST", "second", {"symbol": "BTC/USD"}).json()
        assert symbols(added) == ["AAPL", "BTC/USD"]
    other = request("PUT", "second", {"symbols": ["OLD"]}).json()
    assert (other["name"], symbols(other)) == ("second", ["OLD"])
    assert request("DELETE", "second").status_code == 204
    for method, body in (("GET", None), ("PUT", {"name": "x"}), ("POST", {"symbol": "AAPL"})):
        assert request(method, "second", body).json()["code"] == 40410000
    assert request("DELETE", "second").status_code == 404


def test_an_asset_is_removed(client: httpx.Client) -> None:
    made = make(client, "mine", "AAPL", "BTC/USD")
    path = f"{PATH}/{made['id']}"
    assert symbols(client.delete(f"{path}/BTC/USD").json()) == ["AAPL"]
    for symbol in ("BTC/USD", "NOPE"):
        assert client.delete(f"{path}/{symbol}").json()["code"] == 40410000
    assert symbols(client.delete(f"{path}/{made['assets'][0]['id']}").json()) == []


@pytest.mark.parametrize(
    "body",
    [
        {"symbols": []},
        {"name": ""},
        {"name": "x" * 65},
        {"name": "a\nb"},
        {"name": "ok", "symbols": ["NOPE"]},
        {"name": "ok", "symbols": ["AAPL"] * 501},
        {"name": "ok", "symbols": "AAPL"},
        {"name": "ok", "colour": "red"},
        {"name": "taken"},
    ],
)
def test_a_watchlist_that_cannot_be_is_refused(client: httpx.Client, body: object) -> None:
    make(client, "taken")
    answer = client.post(PATH, json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, 40010001)
    assert len(client.get(PATH).json()) == 1


def test_a_change_that_cannot_be_is_refused(client: httpx.Client) -> None:
    make(client, "taken")
    made = make(client, "mine", "AAPL")
    for body in ({}, {"name": "taken"}, {"symbols": ["NOPE"]}, {"name": None}):
        assert client.put(f"{PATH}/{made['id']}", json=body).status_code == 422
    assert client.post(f"{PATH}/{made['id']}", json={"symbol": "NOPE"}).status_code == 422
    assert client.get(f"{PATH}?name=mine").status_code == 422
    assert client.get(f"{PATH}/{made['id']}").json() == made


def test_watchlists_of_others_are_not_found(
    venue: Venue, client: httpx.Client, new_account: Callable[..., NewKey]
) -> None:
    made = make(client, "mine", "AAPL")
    with venue.client(new_account()) as other:
        assert other.get(PATH).json() == []
        for path in (f"{PATH}/{made['id']}", f"{BY_NAME}?name=mine"):
            assert other.get(path).status_code == 404
            assert other.put(path, json={"name": "x"}).status_code == 404
            assert other.post(path, json={"symbol": "AAPL"}).status_code == 404
            assert other.delete(path).status_code == 404
        assert other.delete(f"{PATH}/{made['id']}/AAPL").status_code == 404
        assert make(other, "mine")["id"] != made["id"]
    assert client.get(f"{PATH}/{made['id']}").json() == made
    assert client.get(f"{PATH}/{uuid4()}").status_code == 404
    assert client.get(f"{PATH}/nope").status_code == 404


async def test_the_number_of_watchlists_is_bounded_also_if_they_are_made_together(
    application: Application, account: NewKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "WATCHLISTS_MAX", 3)
    async with client_of(application, account) as client:
        answers = await asyncio.gather(
            *(client.post(PATH, json={"name": f"list {number}"}) for number in range(6))
        )
        assert sorted(answer.status_code for answer in answers) == [200] * 3 + [422] * 3
        assert len((await client.get(PATH)).json()) == 3
