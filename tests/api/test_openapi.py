"""The OpenAPI document covers every route, and every answer agrees with it."""

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from openvenue.keys import NewKey
from running_venue import Venue, key_headers
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
OPERATIONS = {
    ("/v2/orders", "post"),
    ("/v2/orders", "get"),
    ("/v2/orders", "delete"),
    ("/v2/orders/{order_id}", "get"),
    ("/v2/orders/{order_id}", "patch"),
    ("/v2/orders/{order_id}", "delete"),
    ("/v2/orders:by_client_order_id", "get"),
    ("/v2/account", "get"),
    ("/v2/positions", "get"),
    ("/v2/positions/{symbol_or_asset_id}", "get"),
    ("/v2/assets", "get"),
    ("/v2/assets/{symbol_or_asset_id}", "get"),
    ("/v2/clock", "get"),
    ("/v1/book/{symbol}", "get"),
    ("/healthz", "get"),
    ("/readyz", "get"),
    ("/metrics", "get"),
}


@pytest.fixture(scope="session")
def document(venue: Venue) -> dict:
    return httpx.get(f"{venue.url}/openapi.json").json()


def test_every_route_is_documented(document: dict) -> None:
    found = {(path, method) for path, item in document["paths"].items() for method in item}
    assert found == OPERATIONS


def test_every_order_answer_names_its_schema(document: dict) -> None:
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
    def answers_agree(case: schemathesis.Case) -> None:
        case.call_and_validate(headers=key_headers(account), checks=CHECKS)

    answers_agree()
