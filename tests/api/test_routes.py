"""Existing methods and paths, and the answers for others."""

import socket

import httpx
import pytest
from openvenue.http.json_keys import repeated_key
from openvenue.security.keys import NewKey

from tests.api.orders import limit_order
from tests.support import http
from tests.support.venue import Venue, key_headers


@pytest.mark.parametrize("path", ["/healthz", "/openapi.json", "/docs"])
def test_head_answers_as_get_without_the_body(venue: Venue, path: str) -> None:
    # Two requests on one connection: a body of the first would be read as the second.
    with socket.create_connection(("127.0.0.1", venue.api_port), timeout=10) as connection:
        for close in (b"", b"connection: close\r\n"):
            connection.sendall(b"HEAD %s HTTP/1.1\r\nhost: v\r\n%s\r\n" % (path.encode(), close))
        received = b""
        while chunk := connection.recv(4096):
            received += chunk
    first, second, rest = received.split(b"\r\n\r\n")
    length = len(http.get(f"{venue.url}{path}").content)
    for head in (first, second):
        assert head.startswith(b"HTTP/1.1 200")
        assert b"content-length: %d" % length in head
    assert rest == b""


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v2/orders", "DELETE, GET, HEAD, POST"),
        ("POST", "/v2/orders/00000000-0000-8000-8000-000000000001", "DELETE, GET, HEAD, PATCH"),
        ("POST", "/v2/orders:by_client_order_id", "GET, HEAD"),
        ("POST", "/healthz", "GET, HEAD"),
        ("POST", "/openapi.json", "GET, HEAD"),
        ("POST", "/v2/assets/BTC/USD", "GET, HEAD"),
    ],
)
def test_a_method_that_a_path_lacks_is_told_which_it_has(
    venue: Venue, method: str, path: str, allowed: str
) -> None:
    answer = http.request(method, f"{venue.url}{path}")
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == 40510000


def test_a_slash_too_many_is_no_redirect(client: httpx.Client) -> None:
    answer = client.post("/v2/orders/", json=limit_order())
    assert answer.status_code == 404
    assert answer.json()["detail"] == "endpoint not found: leave out the slash after /v2/orders"
    assert client.get("/v2/account/").status_code == 404
    assert client.get("/v2/orders").json() == []


def test_a_base_url_that_ends_with_a_slash_works(venue: Venue, account: NewKey) -> None:
    with http.Client(headers=key_headers(account)) as client:
        assert client.get(f"{venue.url}//v2/account").status_code == 200
        answer = client.post(f"{venue.url}//v2/orders", json=limit_order())
        assert answer.status_code == 200
        assert client.delete(f"{venue.url}//v2/orders/{answer.json()['id']}").status_code == 204


def test_head_of_a_resource_is_get_without_the_body(client: httpx.Client) -> None:
    for path in ("/v2/clock", "/v2/orders", "/v2/assets/AAPL"):
        head = client.head(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-type"] == "application/json"
    assert client.head("/v2/assets/NOPE").status_code == 404
    assert httpx.head(f"{client.base_url}/v2/clock").status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        '{"symbol": "AAPL", "qty": "1", "qty": "2"}',
        '{"symbol": "AAPL", "qty": "1", "\\u0071ty": "2"}',
        '{"symbol": "AAPL", "take_profit": {"limit_price": "1", "limit_price": "2"}}',
    ],
)
def test_a_field_given_twice_is_refused(client: httpx.Client, body: str) -> None:
    answer = client.post("/v2/orders", content=body)
    assert (answer.status_code, answer.json()["code"]) == (400, 40010000)
    assert "is given twice" in answer.json()["detail"]


def test_two_objects_may_have_the_same_field() -> None:
    assert repeated_key(b'{"a": {"x": 1}, "b": {"x": 1}, "c": "\\"x\\": ", "d": "\\\\"}') is None
    assert repeated_key(b'{"a": "b", "b": "a", "c": [{"a": 1}, {"a": 2}]}') is None


def test_a_key_given_twice_is_refused(venue: Venue, account: NewKey) -> None:
    headers = list(key_headers(account).items())
    for twice in (each for each in headers if each[0].startswith("APCA")):
        answer = http.get(f"{venue.url}/v2/account", headers=[*headers, twice])
        assert (answer.status_code, answer.json()["code"]) == (400, 40010000)


def test_probes_and_metrics_are_not_among_the_routes_of_clients(venue: Venue) -> None:
    for path in ("/readyz", "/metrics"):
        assert http.get(f"{venue.url}{path}").status_code == 404
        assert http.get(f"{venue.operations_url}{path}").status_code == 200
    assert http.get(f"{venue.operations_url}/healthz").json() == {"status": "ok", "checks": {}}
    assert http.get(f"{venue.operations_url}/v2/clock").status_code == 404


def test_an_unknown_path_is_not_found(client: httpx.Client) -> None:
    for path in ("/", "/v3/orders", "/v3/orders/"):
        answer = client.get(path)
        assert (answer.status_code, answer.json()["detail"]) == (404, "endpoint not found.")


def test_the_document_and_its_page_are_served(venue: Venue) -> None:
    document = http.get(f"{venue.url}/openapi.json")
    assert document.headers["content-type"] == "application/json"
    assert document.json()["info"]["title"] == "OpenVenue"
    page = http.get(f"{venue.url}/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "openapi.json" in page.text
    assert "POST /v2/orders" in page.text
    # No foreign content and no script, because people paste keys beside it.
    assert "<script" not in page.text
    assert "//" not in page.text.replace("<!--", "")
    assert "default-src 'none'" in page.headers["content-security-policy"]
