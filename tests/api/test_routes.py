"""Which methods and paths there are, and what those that are not are told."""

import socket

import httpx
import pytest
from orders import limit_order
from running_venue import Venue


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_head_answers_as_get_without_the_body(venue: Venue, path: str) -> None:
    # Two on one connection: a body that came after all would stand in the second one's place.
    with socket.create_connection(("127.0.0.1", venue.api_port), timeout=10) as connection:
        for close in (b"", b"connection: close\r\n"):
            connection.sendall(b"HEAD %s HTTP/1.1\r\nhost: v\r\n%s\r\n" % (path.encode(), close))
        received = b""
        while chunk := connection.recv(4096):
            received += chunk
    first, second, rest = received.split(b"\r\n\r\n")
    length = len(httpx.get(f"{venue.url}{path}").content)
    for head in (first, second):
        assert head.startswith(b"HTTP/1.1 200")
        assert b"content-length: %d" % length in head
    assert rest == b""


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v2/orders", "DELETE, GET, POST"),
        ("HEAD", "/v2/orders", "DELETE, GET, POST"),
        ("POST", "/v2/orders/00000000-0000-8000-8000-000000000001", "DELETE, GET, PATCH"),
        ("POST", "/v2/orders:by_client_order_id", "GET"),
        ("POST", "/healthz", "GET, HEAD"),
        ("DELETE", "/readyz", "GET, HEAD"),
        ("POST", "/openapi.json", "GET, HEAD"),
        ("POST", "/v2/assets/BTC/USD", "GET"),
    ],
)
def test_a_method_that_a_path_lacks_is_told_which_it_has(
    venue: Venue, method: str, path: str, allowed: str
) -> None:
    answer = httpx.request(method, f"{venue.url}{path}")
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert answer.headers["content-type"] == "application/problem+json"
    if method != "HEAD":
        assert answer.json()["code"] == 40510000


def test_a_slash_too_many_is_no_redirect(client: httpx.Client) -> None:
    answer = client.post("/v2/orders/", json=limit_order())
    assert answer.status_code == 404
    assert answer.json()["detail"] == "endpoint not found: leave out the slash after /v2/orders"
    assert client.get("/v2/account/").status_code == 404
    assert client.get("/v2/orders").json() == []


def test_a_slash_at_the_end_of_the_base_url_is_named(client: httpx.Client, venue: Venue) -> None:
    for method in ("GET", "POST"):
        answer = client.request(method, f"{venue.url}//v2/orders", json=limit_order())
        assert answer.status_code == 404
        assert answer.json()["detail"].endswith("leave out the slash at the end of the base URL")


def test_an_unknown_path_is_not_found(client: httpx.Client) -> None:
    for path in ("/", "/v3/orders", "/v3/orders/"):
        answer = client.get(path)
        assert (answer.status_code, answer.json()["detail"]) == (404, "endpoint not found.")


def test_the_document_and_its_page_are_served(venue: Venue) -> None:
    document = httpx.get(f"{venue.url}/openapi.json")
    assert document.headers["content-type"] == "application/json"
    assert document.json()["info"]["title"] == "OpenVenue"
    page = httpx.get(f"{venue.url}/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "openapi.json" in page.text
