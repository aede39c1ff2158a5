"""Nobody but an administrator gets in, by any route, and nothing changes for those who try."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from openvenue.security.keys import NewKey

from tests.admin.conftest import client
from tests.support import http
from tests.support.venue import Venue, key_headers
from tests.support.waiting import wait_for

VALUES = {"account_id": "1", "key_id": "OVX", "symbol": "AAPL", "order_id": "1"}
BODIES = {
    "/v1/admin/accounts": {"name": "mallory", "cash": "1000000"},
    "/v1/admin/accounts/{account_id}/deposits": {"amount": "1000000"},
    "/v1/admin/accounts/{account_id}/withdrawals": {"amount": "1"},
    "/v1/admin/accounts/{account_id}/positions": {"symbol": "AAPL", "qty": "5"},
    "/v1/admin/accounts/{account_id}/reset": {"cash": "1000000"},
    "/v1/admin/accounts/{account_id}/clone": {"name": "mallory"},
    "/v1/admin/accounts/{account_id}/block": {"trading_blocked": True},
    "/v1/admin/keys": {"account_id": 1},
    "/v1/admin/keys/{key_id}": {"rate_limit": "unlimited"},
    "/v1/admin/keys/{key_id}/rotate": {"overlap": "1h"},
    "/v1/admin/instruments/{symbol}": {"state": "inactive"},
    "/v1/admin/trading": {"suspended": True},
}
ROUTES = {
    ("GET", "/v1/admin/accounts"),
    ("POST", "/v1/admin/accounts"),
    ("GET", "/v1/admin/accounts/{account_id}"),
    ("POST", "/v1/admin/accounts/{account_id}/deposits"),
    ("POST", "/v1/admin/accounts/{account_id}/withdrawals"),
    ("POST", "/v1/admin/accounts/{account_id}/positions"),
    ("DELETE", "/v1/admin/accounts/{account_id}/orders"),
    ("POST", "/v1/admin/accounts/{account_id}/reset"),
    ("POST", "/v1/admin/accounts/{account_id}/clone"),
    ("GET", "/v1/admin/trading"),
    ("PUT", "/v1/admin/trading"),
    ("GET", "/v1/admin/accounts/{account_id}/block"),
    ("PUT", "/v1/admin/accounts/{account_id}/block"),
    ("GET", "/v1/admin/keys"),
    ("POST", "/v1/admin/keys"),
    ("PATCH", "/v1/admin/keys/{key_id}"),
    ("DELETE", "/v1/admin/keys/{key_id}"),
    ("POST", "/v1/admin/keys/{key_id}/rotate"),
    ("POST", "/v1/admin/keys/{key_id}/claim"),
    ("GET", "/v1/admin/instruments"),
    ("GET", "/v1/admin/instruments/{symbol}"),
    ("PUT", "/v1/admin/instruments/{symbol}"),
    ("GET", "/v1/admin/status"),
    ("POST", "/v1/admin/snapshots"),
    ("GET", "/v1/admin/audit"),
    ("GET", "/v1/admin/orders/{order_id}/story"),
    ("GET", "/v1/admin/drop-copy"),
}


@pytest.fixture(scope="module")
def victim(venue_with: Callable[..., Venue]) -> NewKey:
    """Return the key of account 1."""
    return venue_with().open_account(1)


def state_of(admin: httpx.Client) -> dict[str, Any]:
    paths = ("accounts", "accounts/1", "accounts/1/block", "keys", "instruments")
    state: dict[str, Any] = {path: admin.get(f"/v1/admin/{path}").json() for path in paths}
    status = admin.get("/v1/admin/status").json()
    state["status"] = (status["applied_sequence"], status["snapshot_sequence"])
    return state


def credentials_of(trader: NewKey) -> list[dict[str, str]]:
    return [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer not-a-token-of-this-engine"},
        {"Authorization": "Bearer " + "x" * 5000},
        {"Authorization": "Bearer b\xe4d"},
        {"Authorization": "Basic dGVzdHM6YS10b2tlbg=="},
        {"Authorization": f"Bearer {trader.secret}"},
        {"Authorization": f"Bearer {trader.key_id}:{trader.secret}"},
        key_headers(trader),
    ]


def test_every_route_is_named_here(admin: httpx.Client) -> None:
    document = admin.get("/openapi.json").json()
    found = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    assert found == ROUTES
    for method, path in ROUTES:
        operation = document["paths"][path][method.lower()]
        assert operation["security"] == [{"Token": []}], (method, path)
        assert "401" in operation["responses"]
        # No route matches a name with a line break.
        assert "404" in operation["responses"] or "{" not in path, (method, path)


@pytest.mark.parametrize(("method", "path"), sorted(ROUTES))
def test_no_token_and_no_traders_key_gets_in(
    administered: Venue, admin: httpx.Client, victim: NewKey, method: str, path: str
) -> None:
    before = state_of(admin)
    url = path.format(**{**VALUES, "key_id": victim.key_id})
    with http.Client(base_url=administered.admin_url, timeout=30) as stranger:
        for headers in credentials_of(victim):
            sent = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
            answer = stranger.request(method, url, json=BODIES.get(path), headers=sent)
            assert answer.status_code == 401, (headers, answer.text)
            assert answer.headers["www-authenticate"].startswith("Bearer")
            assert answer.json()["code"] == 40110000
        # Before anything is said about the request itself.
        answer = stranger.request(method, url + "?unknown=1", content=b"{")
        assert answer.status_code == 401
    assert state_of(admin) == before


def test_two_tokens_are_refused(administered: Venue, admin: httpx.Client) -> None:
    headers = [("Authorization", admin.headers["Authorization"])] * 2
    answer = http.get(f"{administered.admin_url}/v1/admin/status", headers=headers)
    assert answer.status_code == 400


def test_a_token_that_is_removed_is_refused_within_seconds(
    administered: Venue, admin: httpx.Client
) -> None:
    other = administered.admin.token_file.with_name("dave")
    other.write_text("daves-token-for-a-test")
    with client(administered, "daves-token-for-a-test") as dave:
        assert dave.get("/v1/admin/keys").status_code == 200
        other.unlink()
        # The engine itself refuses at once.
        assert dave.get("/v1/admin/accounts").status_code == 401
        wait_for(lambda: dave.get("/v1/admin/keys").status_code == 401, 10)


def test_the_engines_port_of_clients_admits_nobody(
    new_venue: Callable[..., Venue],
) -> None:
    """The setting may name the wrong port, where the engine asks for no token."""
    venue = new_venue().start()
    venue.start_administration(f"127.0.0.1:{venue.engine_port}")
    with client(venue) as admin:
        for path in ("status", "keys", "instruments"):
            assert admin.get(f"/v1/admin/{path}").status_code in (401, 503)


def test_the_document_and_its_page_need_no_token(administered: Venue) -> None:
    document = http.get(f"{administered.admin_url}/openapi.json")
    assert document.json()["info"]["title"] == "OpenVenue administration"
    page = http.get(f"{administered.admin_url}/docs")
    assert "Authorization: Bearer TOKEN" in page.text
    assert "<script" not in page.text
