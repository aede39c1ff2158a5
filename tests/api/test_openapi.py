"""The OpenAPI document covers every route, and every answer agrees with it."""

import contextlib
import signal
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import islice
from typing import Any

import httpx
import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from openvenue.http.order_terms import checked_client_order_id
from openvenue.http.problems import Problem
from openvenue.http.routes import absent
from openvenue.security.keys import NewKey
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_schema_conformance,
    status_code_conformance,
)

from tests.api.orders import limit_order
from tests.support import http
from tests.support.venue import Venue, key_headers, run_apart
from tests.support.waiting import wait_for

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
PAIRS = "/v1beta3/crypto/{loc}"
OPERATIONS = {
    ("/v2/orders", "post"),
    ("/v2/orders", "get"),
    ("/v2/orders", "delete"),
    ("/v2/orders/{order_id}", "get"),
    ("/v2/orders/{order_id}", "patch"),
    ("/v2/orders/{order_id}", "delete"),
    ("/v2/orders:by_client_order_id", "get"),
    ("/v2/orders:batch", "post"),
    ("/v2/orders:cancel", "post"),
    ("/v2/account", "get"),
    ("/v2/account/configurations", "get"),
    ("/v2/account/configurations", "patch"),
    ("/v2/account/activities", "get"),
    ("/v2/account/portfolio/history", "get"),
    ("/v2/account/activities/{activity_type}", "get"),
    ("/v2/positions", "get"),
    ("/v2/positions", "delete"),
    ("/v2/positions/{symbol_or_asset_id}", "get"),
    ("/v2/positions/{symbol_or_asset_id}", "delete"),
    ("/v2/assets", "get"),
    ("/v2/assets/{symbol_or_asset_id}", "get"),
    ("/v2/clock", "get"),
    ("/v2/calendar", "get"),
    ("/v3/clock", "get"),
    ("/v3/calendar/{market}", "get"),
    *(
        (f"/v2/stocks/{path}", "get")
        for path in (
            *("bars", "trades", "quotes", "bars/latest", "trades/latest", "quotes/latest"),
            *("snapshots", "meta/exchanges", "meta/conditions/{ticktype}"),
            *("{symbol}/bars", "{symbol}/trades", "{symbol}/quotes", "{symbol}/bars/latest"),
            *("{symbol}/trades/latest", "{symbol}/quotes/latest", "{symbol}/snapshot"),
        )
    ),
    *((f"{PAIRS}/{what}", "get") for what in ("bars", "trades", "quotes", "snapshots")),
    *((f"{PAIRS}/latest/{what}", "get") for what in ("bars", "trades", "quotes", "orderbooks")),
    ("/v1beta1/screener/stocks/most-actives", "get"),
    ("/v1beta1/screener/{market_type}/movers", "get"),
    ("/v2/watchlists", "get"),
    ("/v2/watchlists", "post"),
    ("/v2/watchlists/{watchlist_id}", "get"),
    ("/v2/watchlists/{watchlist_id}", "put"),
    ("/v2/watchlists/{watchlist_id}", "post"),
    ("/v2/watchlists/{watchlist_id}", "delete"),
    ("/v2/watchlists/{watchlist_id}/{symbol}", "delete"),
    ("/v2/watchlists:by_name", "get"),
    ("/v2/watchlists:by_name", "put"),
    ("/v2/watchlists:by_name", "post"),
    ("/v2/watchlists:by_name", "delete"),
    ("/v1/book/{symbol}", "get"),
    ("/healthz", "get"),
    ("/healthz", "head"),
}


OPERATIONS |= {(path, "get") for path in absent.EMPTY}
OPERATIONS |= {(path, method.lower()) for method, path in absent.NOT_FOUND}


@pytest.fixture(scope="session")
def document(venue: Venue) -> dict[str, Any]:
    found: dict[str, Any] = http.get(f"{venue.url}/openapi.json").json()
    return found


def test_every_route_is_documented(document: dict[str, Any]) -> None:
    found = {(path, method) for path, item in document["paths"].items() for method in item}
    assert found == OPERATIONS


def test_every_order_answer_names_its_schema(document: dict[str, Any]) -> None:
    submit = document["paths"]["/v2/orders"]["post"]["responses"]
    order = {"$ref": "#/components/schemas/Order"}
    assert submit["200"]["content"]["application/json"]["schema"] == order
    for status in ("400", "401", "403", "413", "422", "429", "503"):
        assert "application/problem+json" in submit[status]["content"]


@pytest.fixture(scope="session")
def api(venue: Venue) -> schemathesis.BaseSchema:
    return schemathesis.openapi.from_url(f"{venue.url}/openapi.json")


@pytest.mark.parametrize(("path", "method"), sorted(OPERATIONS))
def test_every_answer_agrees_with_the_document(
    api: schemathesis.BaseSchema, account: NewKey, path: str, method: str
) -> None:
    @given(case=api[path][method.upper()].as_strategy())
    @settings(
        max_examples=15, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    def answers_agree(case: "schemathesis.Case[Any]") -> None:
        case.call_and_validate(headers=key_headers(account), checks=CHECKS)

    answers_agree()


def schemas_of_client_order_ids(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return them of every place in which a request names one."""
    schemas = document["components"]["schemas"]
    (query,) = document["paths"]["/v2/orders:by_client_order_id"]["get"]["parameters"]
    listed = schemas["CancelRequest"]["properties"]["client_order_ids"]["anyOf"]
    return [
        *(
            schemas[f"{kind}Request"]["properties"]["client_order_id"]
            for kind in ("NewOrder", "Replace")
        ),
        query["schema"],
        next(each["items"] for each in listed if each.get("type") == "array"),
    ]


def test_the_document_tells_which_client_order_ids_are_taken(document: dict[str, Any]) -> None:
    def is_taken(text: str) -> bool:
        with contextlib.suppress(Problem):
            return checked_client_order_id(text) == text
        return False

    for schema in schemas_of_client_order_ids(document):
        validator = jsonschema_rs.validator_for(schema)
        assert validator.is_valid("x" * 128)
        assert not validator.is_valid("x" * 129)
        for character in map(chr, range(0x110000)):
            # JSON has no surrogates. What is not assigned differs from one Unicode to the next.
            if unicodedata.category(character) not in ("Cs", "Cn"):
                assert validator.is_valid(character) == is_taken(character), hex(ord(character))


def test_a_client_order_id_of_the_document_is_taken(
    api: schemathesis.BaseSchema, client: httpx.Client
) -> None:
    @given(case=api["/v2/orders:by_client_order_id"]["GET"].as_strategy())
    @settings(
        max_examples=50, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    def is_taken(case: "schemathesis.Case[Any]") -> None:
        wanted = case.query["client_order_id"]
        answer = client.post("/v2/orders", json=limit_order(client_order_id=wanted, qty="1"))
        assigned = all(unicodedata.category(each) != "Cn" for each in wanted)
        fits = assigned and len(wanted.encode()) <= 128
        assert (answer.status_code == 200) == fits, answer.text

    is_taken()


def test_both_headers_of_a_key_are_required_together_or_a_token(document: dict[str, Any]) -> None:
    open_to_all = {("/healthz", "get"), ("/healthz", "head")}
    secured: list[Any] = [{"KeyId": [], "SecretKey": []}, {"Token": []}]
    for path, method in OPERATIONS:
        operation = document["paths"][path][method]
        expected: Any = None if (path, method) in open_to_all else secured
        if path.startswith(PAIRS):
            expected = [{}, *expected]
        assert operation.get("security") == expected, (path, method)


def test_canceling_all_answers_what_is_documented(
    document: dict[str, Any], client: httpx.Client
) -> None:
    assert client.post("/v2/orders", json=limit_order()).status_code == 200
    answered = client.delete("/v2/orders").status_code
    statuses = document["paths"]["/v2/orders"]["delete"]["responses"]
    assert [status for status in statuses if status.startswith("2")] == [str(answered)] == ["207"]


ORDER_ID = "00000000-0000-8000-8000-000000000001"
REQUESTS = [
    ("POST", "/v2/orders", "/v2/orders"),
    ("GET", "/v2/orders", "/v2/orders"),
    ("GET", "/v2/orders", "/v2/orders?status=all"),
    ("GET", "/v2/orders", "/v2/orders?limit=0"),
    ("GET", "/v2/orders", "/v2/orders?symbols=NOPE"),
    ("DELETE", "/v2/orders", "/v2/orders"),
    ("GET", "/v2/orders/{order_id}", f"/v2/orders/{ORDER_ID}"),
    ("GET", "/v2/orders/{order_id}", "/v2/orders/nope"),
    ("PATCH", "/v2/orders/{order_id}", f"/v2/orders/{ORDER_ID}"),
    ("DELETE", "/v2/orders/{order_id}", f"/v2/orders/{ORDER_ID}"),
    ("GET", "/v2/orders:by_client_order_id", "/v2/orders:by_client_order_id?client_order_id=x"),
    ("GET", "/v2/orders:by_client_order_id", "/v2/orders:by_client_order_id"),
    ("GET", "/v2/account", "/v2/account"),
    ("GET", "/v2/account/configurations", "/v2/account/configurations"),
    ("PATCH", "/v2/account/configurations", "/v2/account/configurations"),
    ("GET", "/v2/account/activities", "/v2/account/activities"),
    ("GET", "/v2/account/activities", "/v2/account/activities?page_token=x"),
    ("GET", "/v2/account/activities/{activity_type}", "/v2/account/activities/FILL"),
    ("GET", "/v2/account/activities/{activity_type}", "/v2/account/activities/NOPE"),
    ("GET", "/v2/account/activities/{activity_type}", "/v2/account/activities/FILL?page_size=0"),
    ("GET", "/v2/account/portfolio/history", "/v2/account/portfolio/history"),
    ("GET", "/v2/account/portfolio/history", "/v2/account/portfolio/history?period=x"),
    ("GET", "/v2/positions", "/v2/positions"),
    ("GET", "/v2/positions/{symbol_or_asset_id}", "/v2/positions/AAPL"),
    ("GET", "/v2/positions/{symbol_or_asset_id}", "/v2/positions/NOPE"),
    ("DELETE", "/v2/positions", "/v2/positions"),
    ("DELETE", "/v2/positions/{symbol_or_asset_id}", "/v2/positions/AAPL"),
    ("DELETE", "/v2/positions/{symbol_or_asset_id}", "/v2/positions/AAPL?percentage=101"),
    ("GET", "/v2/assets", "/v2/assets"),
    ("GET", "/v2/assets", "/v2/assets?status=nope"),
    ("GET", "/v2/assets/{symbol_or_asset_id}", "/v2/assets/AAPL"),
    ("GET", "/v2/assets/{symbol_or_asset_id}", "/v2/assets/NOPE"),
    ("GET", "/v2/clock", "/v2/clock"),
    ("GET", "/v2/calendar", "/v2/calendar?start=2026-12-01"),
    ("GET", "/v2/calendar", "/v2/calendar?start=x"),
    ("GET", "/v3/clock", "/v3/clock"),
    ("GET", "/v3/clock", "/v3/clock?markets=LSE"),
    ("GET", "/v3/calendar/{market}", "/v3/calendar/NASDAQ"),
    ("GET", "/v3/calendar/{market}", "/v3/calendar/NASDAQ?end=x"),
    ("GET", "/v3/calendar/{market}", "/v3/calendar/LSE"),
    ("GET", "/v1/book/{symbol}", "/v1/book/AAPL"),
    ("GET", "/v1/book/{symbol}", "/v1/book/AAPL?depth=0"),
    ("GET", "/v1/book/{symbol}", "/v1/book/NOPE"),
    ("GET", "/v2/stocks/bars", "/v2/stocks/bars?symbols=AAPL&timeframe=1Day"),
    ("GET", "/v2/stocks/bars", "/v2/stocks/bars"),
    ("GET", "/v2/stocks/{symbol}/trades", "/v2/stocks/AAPL/trades"),
    ("GET", "/v2/stocks/{symbol}/trades", "/v2/stocks/NOPE/trades"),
    ("GET", "/v2/stocks/{symbol}/quotes", "/v2/stocks/AAPL/quotes"),
    ("GET", "/v2/stocks/{symbol}/quotes", "/v2/stocks/NOPE/quotes"),
    ("GET", "/v2/stocks/quotes", "/v2/stocks/quotes?symbols=AAPL"),
    ("GET", f"{PAIRS}/quotes", "/v1beta3/crypto/us/quotes?symbols=BTC/USD&limit=0"),
    ("GET", "/v2/stocks/{symbol}/trades/latest", "/v2/stocks/AAPL/trades/latest"),
    ("GET", "/v2/stocks/quotes/latest", "/v2/stocks/quotes/latest?symbols=AAPL"),
    ("GET", f"{PAIRS}/latest/orderbooks", "/v1beta3/crypto/us/latest/orderbooks?symbols=BTC/USD"),
    ("GET", f"{PAIRS}/bars", "/v1beta3/crypto/us/bars?symbols=BTC/USD&timeframe=x"),
    ("GET", "/v1beta1/screener/{market_type}/movers", "/v1beta1/screener/stocks/movers?top=51"),
    ("GET", "/v2/watchlists", "/v2/watchlists"),
    ("POST", "/v2/watchlists", "/v2/watchlists"),
    ("GET", "/v2/watchlists/{watchlist_id}", f"/v2/watchlists/{ORDER_ID}"),
    ("PUT", "/v2/watchlists/{watchlist_id}", f"/v2/watchlists/{ORDER_ID}"),
    ("POST", "/v2/watchlists/{watchlist_id}", f"/v2/watchlists/{ORDER_ID}"),
    ("DELETE", "/v2/watchlists/{watchlist_id}", f"/v2/watchlists/{ORDER_ID}"),
    ("DELETE", "/v2/watchlists/{watchlist_id}/{symbol}", f"/v2/watchlists/{ORDER_ID}/AAPL"),
    ("GET", "/v2/watchlists:by_name", "/v2/watchlists:by_name?name=x"),
    ("DELETE", "/v2/watchlists:by_name", "/v2/watchlists:by_name"),
    ("GET", "/healthz", "/healthz"),
]


class Documented:
    """Sends one request of each kind and checks every answer by the document."""

    def __init__(self, venue: Venue) -> None:
        self.schema = schemathesis.openapi.from_url(f"{venue.url}/openapi.json")
        self.document = http.get(f"{venue.url}/openapi.json").json()

    def check_all(self, client: httpx.Client) -> set[int]:
        """Return the statuses of the answers."""
        found = set()
        undocumented = []
        for method, path, url in REQUESTS:
            body = {"POST": limit_order(), "PATCH": {"qty": "1"}}.get(method)
            answer = client.request(method, url, json=body)
            found.add(answer.status_code)
            responses = self.document["paths"][path][method.lower()]["responses"]
            media_type = answer.headers.get("content-type", "").partition(";")[0]
            response = responses.get(str(answer.status_code), {})
            if media_type not in response.get("content", {"": None}):
                undocumented.append((method, url, answer.status_code, media_type))
            elif media_type.endswith("json"):
                self.schema[path][method].validate_response(answer)
        assert undocumented == []
        return found


def test_every_refusal_is_documented(new_venue: Callable[..., Venue]) -> None:
    venue = new_venue().start(
        engine_in_flight_max="1", unary_calls_max="1", engine_reply_timeout_s="60"
    )
    documented = Documented(venue)
    key = venue.open_account(1)
    without_account = run_apart(venue._create_key(99))
    with venue.client(key) as client, venue.client(without_account) as stranger:
        assert documented.check_all(client) >= {200, 207, 404, 422}
        assert documented.check_all(stranger) >= {200, 403}
        assert 401 in documented.check_all(http.Client(base_url=venue.url))
        for body, status in ((b"{", 400), (b" " * 100_000, 413)):
            for method, path in (
                ("POST", "/v2/orders"),
                ("PATCH", "/v2/orders/{order_id}"),
                ("PATCH", "/v2/account/configurations"),
                ("POST", "/v2/watchlists"),
                ("PUT", "/v2/watchlists/{watchlist_id}"),
            ):
                answer = client.request(
                    method, path.format(order_id=ORDER_ID, watchlist_id=ORDER_ID), content=body
                )
                assert answer.status_code == status
                assert (
                    str(status) in documented.document["paths"][path][method.lower()]["responses"]
                )

        # The paused engine has as many requests under way as allowed.
        venue.engine.pause()
        # Of two requests for one place, one gets it and the other is refused at once.
        paths = ("/v2/account", "/v1/book/AAPL") * 2
        with ThreadPoolExecutor(len(paths)) as others:
            asked = [others.submit(client.get, path) for path in paths]
            refused = [answer.result().status_code for answer in islice(as_completed(asked), 2)]
            assert refused == [429, 429]
            assert documented.check_all(client) >= {429}
            venue.engine.stop(signal.SIGKILL)
            assert sorted(answer.result().status_code for answer in asked) == [429, 429, 503, 503]
        wait_for(lambda: "no session" in venue.readiness().text)
        assert documented.check_all(client) >= {503}
