"""Every answer of the administration agrees with its OpenAPI document."""

from collections.abc import Callable
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings

from tests.admin.test_access import ROUTES
from tests.api.test_openapi import CHECKS
from tests.support.admin_access import TOKEN
from tests.support.venue import Venue

# Without end.
ENDLESS = {("GET", "/v1/admin/drop-copy")}


@pytest.fixture(scope="module")
def api(venue_with: Callable[..., Venue]) -> schemathesis.BaseSchema:
    venue = venue_with()
    venue.start_administration()
    for _ in range(3):
        venue.open_account()
    return schemathesis.openapi.from_url(f"{venue.admin_url}/openapi.json")


@pytest.mark.parametrize(("method", "path"), sorted(ROUTES - ENDLESS))
def test_every_answer_agrees_with_the_document(
    api: schemathesis.BaseSchema, method: str, path: str
) -> None:
    @given(case=api[path][method].as_strategy())
    @settings(
        max_examples=25, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    def answers_agree(case: "schemathesis.Case[Any]") -> None:
        case.call_and_validate(headers={"Authorization": f"Bearer {TOKEN}"}, checks=CHECKS)

    answers_agree()
