"""What an administrator does over HTTP, and what comes of it."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import Any

import httpx
import pytest

from tests.admin.conftest import client
from tests.api.orders import limit_order
from tests.stream.conftest import order
from tests.support import http
from tests.support.admin_access import NAME, TOKEN
from tests.support.venue import Venue, key_headers
from tests.support.waiting import wait_for


@pytest.fixture
def account(admin: httpx.Client) -> str:
    """Return the path of an account with 1,000."""
    opened = admin.post("/v1/admin/accounts", json={"name": "some", "cash": "1000"})
    return f"/v1/admin/accounts/{opened.json()['account_id']}"


def number_of(account: str) -> int:
    return int(account.rpartition("/")[2])


def test_an_account_is_opened_with_money_which_moves_in_and_out(admin: httpx.Client) -> None:
    opened = admin.post("/v1/admin/accounts", json={"name": "erin", "cash": "1000.50"})
    assert opened.status_code == 201, opened.text
    assert (opened.json()["name"], opened.json()["cash"]) == ("erin", "1000.5")
    account = f"/v1/admin/accounts/{opened.json()['account_id']}"
    added = admin.post(f"{account}/deposits", json={"amount": "99.5"})
    assert (added.status_code, added.json()["cash"]) == (200, "1100")
    taken = admin.post(f"{account}/withdrawals", json={"amount": "1100"})
    assert (taken.status_code, taken.json()["cash"]) == (200, "0")
    shown = admin.get(account).json()
    assert (shown["buying_power"], shown["positions"]) == ("0", [])


def test_opening_a_numbered_account_again_changes_nothing(admin: httpx.Client) -> None:
    body = {"name": "twice", "account_id": 4_000_000, "cash": "10"}
    assert admin.post("/v1/admin/accounts", json=body).status_code == 201
    again = admin.post("/v1/admin/accounts", json=body)
    assert (again.status_code, again.json()["code"]) == (409, 40910000)
    assert admin.get("/v1/admin/accounts/4000000").json()["cash"] == "10"


def test_requests_at_the_same_time_get_numbers_of_their_own(admin: httpx.Client) -> None:
    def post(body: dict[str, object]) -> httpx.Response:
        return admin.post("/v1/admin/accounts", json=body)

    same = {"name": "crowd", "cash": "10"}
    with ThreadPoolExecutor(8) as threads:
        opened = list(threads.map(post, [same] * 8))
        numbered = list(threads.map(post, [{**same, "account_id": 4_000_100}] * 8))
        defined = list(
            threads.map(
                lambda number: admin.put(f"/v1/admin/instruments/SAME{number}", json={}), range(8)
            )
        )
    assert len({one.json()["account_id"] for one in opened}) == 8
    assert {one.json()["cash"] for one in opened} == {"10"}
    assert sorted(one.status_code for one in numbered) == [201] + [409] * 7
    assert admin.get("/v1/admin/accounts/4000100").json()["cash"] == "10"
    assert len({one.json()["instrument_id"] for one in defined}) == 8


def test_accounts_are_listed_in_pages(admin: httpx.Client, account: str) -> None:
    admin.post("/v1/admin/accounts", json={"name": "another"})
    whole = admin.get("/v1/admin/accounts").json()
    assert whole["next_after"] is None
    listed, after = [], 0
    while after is not None:
        page = admin.get("/v1/admin/accounts", params={"after": after, "limit": 1}).json()
        listed += page["accounts"]
        after = page["next_after"]
    assert [one["account_id"] for one in listed] == [one["account_id"] for one in whole["accounts"]]
    assert number_of(account) in [one["account_id"] for one in listed]


def test_a_position_is_given_and_taken(admin: httpx.Client, account: str) -> None:
    given = admin.post(
        f"{account}/positions", json={"symbol": "BTC/USD", "qty": "1.5", "cost": "4500"}
    )
    assert (given.status_code, given.json()["qty"], given.json()["cost"]) == (200, "1.5", "4500")
    taken = admin.post(f"{account}/positions", json={"symbol": "BTC/USD", "qty": "-0.5"})
    assert taken.json()["qty"] == "1"
    (held,) = admin.get(account).json()["positions"]
    assert (held["symbol"], held["qty"]) == ("BTC/USD", "1")
    rest = admin.post(f"{account}/positions", json={"symbol": "BTC/USD", "qty": "-1"})
    assert (rest.status_code, rest.json()["qty"], rest.json()["cost"]) == (200, "0", "0")


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("withdrawals", {"amount": "1001"}, 422, "insufficient cash"),
        ("withdrawals", {"amount": "0"}, 422, "amount must be above zero"),
        ("deposits", {"amount": "-1"}, 422, "amount must be above zero"),
        ("deposits", {"amount": "much"}, 422, "amount: 'much' is not a decimal number"),
        ("deposits", {"amount": "9" * 30}, 422, "amount"),
        ("deposits", {"amount": 5}, 422, "amount"),
        ("deposits", {}, 422, "amount is required"),
        ("deposits", {"amount": "1", "currency": "EUR"}, 422, "currency"),
        ("positions", {"symbol": "NOPE", "qty": "1"}, 404, "no instrument NOPE"),
        ("positions", {"symbol": "AAPL", "qty": "0.5"}, 422, "multiple"),
        ("positions", {"symbol": "AAPL", "qty": "-1"}, 422, "insufficient position"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(
    admin: httpx.Client, account: str, path: str, body: dict[str, object], status: int, said: str
) -> None:
    answer = admin.post(f"{account}/{path}", json=body)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert said in answer.json()["detail"]
    assert answer.json()["message"] == answer.json()["detail"]
    shown = admin.get(account).json()
    assert (shown["cash"], shown["positions"]) == ("1000", [])


def test_a_blocked_account_cannot_trade_until_it_is_let_again(
    administered: Venue, admin: httpx.Client
) -> None:
    key = administered.open_account()
    path = f"/v1/admin/accounts/{key.account_id}/block"
    assert admin.get(path).json() == {"account_id": key.account_id, "trading_blocked": False}
    entered = order(administered, key)
    with administered.client(key) as trader:

        def blocked() -> bool:
            return bool(trader.get("/v2/account").json()["trading_blocked"])

        for _ in range(2):
            answer = admin.put(path, json={"trading_blocked": True})
            assert (answer.status_code, answer.json()["trading_blocked"]) == (200, True)
        wait_for(blocked)
        assert admin.get(path).json()["trading_blocked"] is True
        replacement = {"qty": "11"}
        for refused in (
            trader.post("/v2/orders", json=limit_order()),
            trader.patch(f"/v2/orders/{entered['id']}", json=replacement),
        ):
            assert (refused.status_code, refused.json()["code"]) == (403, 40310000)
            assert "blocked" in refused.json()["message"]
        batch = trader.post("/v2/orders:batch", json={"orders": [limit_order()]})
        assert [one["status"] for one in batch.json()] == [403]
        # Its owner cannot undo it, and can cancel what is open.
        assert (
            trader.patch("/v2/account/configurations", json={"trading_blocked": False}).status_code
            == 422
        )
        trader.patch("/v2/account/configurations", json={"suspend_trade": False})
        assert blocked()
        assert trader.delete(f"/v2/orders/{entered['id']}").status_code == 204
        admin.put(path, json={"trading_blocked": False})
        wait_for(lambda: not blocked())
        assert trader.post("/v2/orders", json=limit_order()).status_code == 200
        trader.delete("/v2/orders")
    assert admin.put(path, json={}).status_code == 422
    assert (
        admin.put("/v1/admin/accounts/3999999/block", json={"trading_blocked": True}).status_code
        == 404
    )


def test_an_unknown_account_is_not_found(admin: httpx.Client) -> None:
    for method, path in (("GET", ""), ("POST", "/deposits")):
        body = {"amount": "1"} if method == "POST" else None
        answer = admin.request(method, f"/v1/admin/accounts/3999999{path}", json=body)
        assert answer.status_code == 404
    assert admin.get("/v1/admin/accounts/0").status_code == 422
    assert admin.get("/v1/admin/accounts/4294967296").status_code == 422


def test_a_key_works_until_it_is_revoked(
    administered: Venue, admin: httpx.Client, account: str
) -> None:
    body = {"account_id": number_of(account), "label": "test"}
    key = admin.post("/v1/admin/keys", json=body)
    assert key.status_code == 201, key.text
    headers = {
        "APCA-API-KEY-ID": key.json()["key_id"],
        "APCA-API-SECRET-KEY": key.json()["secret"],
    }
    assert http.get(f"{administered.url}/v2/account", headers=headers).status_code == 200
    path = f"/v1/admin/keys/{key.json()['key_id']}"
    assert admin.delete(path).status_code == 204
    assert http.get(f"{administered.url}/v2/account", headers=headers).status_code == 401
    assert admin.delete(path).status_code == 204  # It is what was asked for.
    (listed,) = admin.get("/v1/admin/keys", params={"account_id": number_of(account)}).json()[
        "keys"
    ]
    assert listed["revoked_at"]
    assert key.json()["secret"] not in json.dumps(listed)


def test_a_secret_is_shown_once_and_logged_nowhere(
    administered: Venue, admin: httpx.Client, account: str
) -> None:
    made = admin.post("/v1/admin/keys", json={"account_id": number_of(account)}).json()
    rotated = admin.post(f"/v1/admin/keys/{made['key_id']}/rotate", json={"overlap": "0s"}).json()
    shown = admin.get("/v1/admin/keys").text
    log = administered.administration.log.read_text()
    for secret in (made["secret"], rotated["secret"]):
        assert secret not in shown
        assert secret not in log
    lines = [json.loads(line) for line in log.splitlines()]
    changes = [line for line in lines if line["event"] == "administration"]
    assert f"/v1/admin/keys/{made['key_id']}/rotate" in [line["path"] for line in changes]
    assert {line["by"] for line in changes} == {sha256(TOKEN.encode()).hexdigest()[:8]}
    assert TOKEN not in log


def test_a_key_is_limited_changed_and_rotated(admin: httpx.Client, account: str) -> None:
    limits = {"expires_in": "1h", "allow_from": ["10.0.0.0/8"], "rate_limit": 500}
    body = {"account_id": number_of(account), "scopes": ["read"], **limits}
    key = admin.post("/v1/admin/keys", json=body).json()
    assert (key["allow_from"], key["rate_limit"]) == (["10.0.0.0/8"], 500)
    assert (key["scopes"], key["expires_at"] is not None) == (["read"], True)
    path = f"/v1/admin/keys/{key['key_id']}"
    change = {"allow_from": ["192.0.2.7", "::1"], "rate_limit": "unlimited"}
    changed = admin.patch(path, json=change).json()
    assert changed == {
        "key_id": key["key_id"],
        "expires_at": key["expires_at"],
        "allow_from": ["192.0.2.7/32", "::1/128"],
        "rate_limit": "unlimited",
    }
    untold = admin.post(f"{path}/rotate", json={"overlap": "10m"})
    assert untold.status_code == 422
    assert "expires_in" in untold.json()["detail"]
    new = admin.post(f"{path}/rotate", json={"overlap": "10m", "expires_in": "never"}).json()
    assert (new["account_id"], new["expires_at"]) == (number_of(account), None)
    assert (new["allow_from"], new["rate_limit"]) == (changed["allow_from"], "unlimited")


def test_keys_are_listed_in_pages(admin: httpx.Client, account: str) -> None:
    body = {"account_id": number_of(account)}
    made = [admin.post("/v1/admin/keys", json=body).json()["key_id"] for _ in range(3)]
    listed: list[str] = []
    after = None
    while True:
        params: dict[str, Any] = {"limit": 1, **body}
        if after is not None:
            params["after"] = after
        page = admin.get("/v1/admin/keys", params=params).json()
        listed += [key["key_id"] for key in page["keys"]]
        after = page["next_after"]
        if after is None:
            break
    assert listed == made


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"account_id": 3_999_999}, 404, "no account"),
        ({"account_id": 0}, 422, "account_id"),
        ({"account_id": 1 << 32}, 422, "account_id"),
        ({"account_id": 1, "scopes": ["trade"]}, 422, "scopes"),
        ({"account_id": 1, "scopes": ["all"]}, 422, "scopes"),
        ({"account_id": 1, "label": "x" * 129}, 422, "at most 128"),
        ({"account_id": 1, "label": "\0"}, 422, "zero byte"),
        ({"account_id": 1, "expires_in": "soon"}, 422, "expires_in takes a time"),
        ({"account_id": 1, "allow_from": ["10.0.0.1/8"]}, 422, "host bits"),
        ({"account_id": 1, "rate_limit": 0}, 422, "rate_limit takes"),
        ({"account_id": 1, "secret": "mine"}, 422, "secret"),
    ],
)
def test_a_key_that_cannot_be_is_not_made(
    admin: httpx.Client, body: dict[str, object], status: int, said: str
) -> None:
    before = admin.get("/v1/admin/keys").json()
    answer = admin.post("/v1/admin/keys", json=body)
    assert answer.status_code == status, answer.text
    assert said in answer.json()["detail"]
    assert admin.get("/v1/admin/keys").json() == before


def test_an_unknown_key_is_not_found(admin: httpx.Client) -> None:
    for key_id in ("OVNOPE", "%00", "x" * 100):
        path = f"/v1/admin/keys/{key_id}"
        assert admin.delete(path).status_code == 404
        assert admin.patch(path, json={"rate_limit": 5}).status_code == 404
        assert admin.post(f"{path}/rotate", json={"overlap": "1m"}).status_code == 404
        assert admin.post(f"{path}/claim").status_code == 404


def test_an_instrument_is_defined_and_changed_but_its_tick_is_not(admin: httpx.Client) -> None:
    path = "/v1/admin/instruments/SOL/USD"
    assert admin.get(path).status_code == 404
    defined = admin.put(path, json={"name": "Solana", "class": "crypto", "tick": "0.05"})
    assert defined.status_code == 200, defined.text
    assert (defined.json()["tick"], defined.json()["state"]) == ("0.05", "active")
    again = admin.put(path, json={"name": "Solana", "class": "crypto", "tick": "0.05"})
    assert again.json() == defined.json()
    halted = admin.put(path, json={"state": "inactive"}).json()
    assert halted == {**defined.json(), "state": "inactive"}
    assert admin.get(path).json() == halted
    assert halted in admin.get("/v1/admin/instruments").json()
    changed = admin.put(path, json={"tick": "0.01"})
    assert (changed.status_code, "cannot change" in changed.json()["detail"]) == (422, True)
    assert admin.put(path, json={"asset_class": "crypto"}).status_code == 422
    assert admin.put("/v1/admin/instruments/" + "X" * 25, json={}).status_code == 422


def test_status_tells_how_far_everything_is(admin: httpx.Client, account: str) -> None:
    status = admin.get("/v1/admin/status").json()
    assert status["durable_sequence"] >= status["projected_sequence"] > 0
    assert status["state_hash"] is None
    hashed = admin.get("/v1/admin/status", params={"state_hash": "true"}).json()
    assert len(hashed["state_hash"]) == 16


def test_a_snapshot_is_taken(admin: httpx.Client, account: str) -> None:
    taken = admin.post("/v1/admin/snapshots")
    assert taken.status_code == 201
    status = admin.get("/v1/admin/status").json()
    assert status["snapshot_sequence"] >= taken.json()["snapshot_sequence"] > 0


def test_a_command_is_journaled_under_the_name_of_its_token(
    administered: Venue, admin: httpx.Client, account: str
) -> None:
    other = administered.admin.token_file.with_name("carol")
    other.write_text("carols-token-for-a-test")
    try:
        with client(administered, "carols-token-for-a-test") as carol:
            carol.post(f"{account}/deposits", json={"amount": "5"})
    finally:
        other.unlink()
    commands = admin.get("/v1/admin/audit", params={"account_id": number_of(account)}).json()
    told = [(one["administrator"], one["command"]) for one in commands["commands"]]
    assert told == [
        ("carol", "adjust_balance"),
        (NAME, "adjust_balance"),
        (NAME, "open_account"),
    ]


def test_unknown_parameters_and_repeated_fields_are_refused(admin: httpx.Client) -> None:
    assert admin.get("/v1/admin/accounts", params={"name": "x"}).status_code == 422
    twice = admin.post("/v1/admin/accounts", content='{"name": "a", "name": "b"}')
    assert (twice.status_code, twice.json()["code"]) == (400, 40010000)
    assert admin.post("/v1/admin/accounts", content="{").status_code == 400
    large = admin.post("/v1/admin/accounts", content=b" " * 100_000)
    assert (large.status_code, large.json()["code"]) == (413, 41310000)
    missing = admin.put("/v1/admin/accounts")
    assert (missing.status_code, missing.headers["allow"]) == (405, "GET, HEAD, POST")
    assert admin.get("/v1/admin/nope").status_code == 404


def test_without_its_engine_it_says_so_and_what_to_do(new_venue: Callable[..., Venue]) -> None:
    venue = new_venue().start()
    venue.admin.options[1] = venue.admin.target  # It restarts on the same port.
    venue.start_administration()
    with client(venue) as admin:
        assert admin.get("/v1/admin/accounts").status_code == 200
        venue.engine.stop()
        answer = admin.post("/v1/admin/accounts", json={"name": "x"})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert admin.get("/v1/admin/status").status_code == 503
        venue.start_engine()
        wait_for(lambda: admin.get("/v1/admin/accounts").status_code == 200)
        assert admin.get("/v1/admin/accounts").json()["accounts"] == []


def test_keys_of_the_api_still_work_beside_it(administered: Venue, account: str) -> None:
    key = administered.open_account()
    answer = http.get(f"{administered.url}/v2/account", headers=key_headers(key))
    assert answer.status_code == 200
