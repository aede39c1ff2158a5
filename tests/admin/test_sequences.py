"""Sequences of administrators' requests along the document's links."""

from collections.abc import Callable
from random import Random
from typing import Any

from schemathesis.checks import CheckFunction
from schemathesis.specs.openapi.checks import ensure_resource_availability

from tests.support.admin_access import TOKEN
from tests.support.sequences import play
from tests.support.venue import Venue

REACHED = {
    "GET /v1/admin/accounts/{account_id}",
    "POST /v1/admin/accounts/{account_id}/deposits",
    "POST /v1/admin/accounts/{account_id}/positions",
    "GET /v1/admin/audit",
    "POST /v1/admin/keys/{key_id}/rotate",
    "PATCH /v1/admin/keys/{key_id}",
    "DELETE /v1/admin/keys/{key_id}",
}


def unchecked(label: str) -> list[CheckFunction]:
    # A 404 may also mean the symbol that the body names.
    return [ensure_resource_availability] if label.endswith("/positions") else []


def test_no_sequence_of_requests_is_answered_against_the_document(
    venue_with: Callable[..., Venue],
) -> None:
    venue = venue_with()
    if "administration" not in venue.processes:
        venue.start_administration()
    numbers = [venue.open_account().account_id for _ in range(3)]

    def make_key(case: Any, random: Random) -> None:
        case.body = {"account_id": random.choice(numbers), "label": "of a sequence"}

    def rotate(case: Any, _random: Random) -> None:
        case.body = {"overlap": "1h"}

    def limit(case: Any, random: Random) -> None:
        case.body = {"rate_limit": random.randint(1, 1000)}

    def open_account(case: Any, random: Random) -> None:
        case.body = {"name": f"opened {random.random()}", "cash": "1000"}

    def move(case: Any, random: Random) -> None:
        case.body = {"amount": str(random.randint(1, 9))}

    def give(case: Any, random: Random) -> None:
        case.body = {"symbol": "AAPL", "qty": str(random.randint(1, 9))}

    play(
        f"{venue.admin_url}/openapi.json",
        {"Authorization": f"Bearer {TOKEN}"},
        {
            "POST /v1/admin/accounts": open_account,
            "POST /v1/admin/accounts/{account_id}/deposits": move,
            "POST /v1/admin/accounts/{account_id}/withdrawals": move,
            "POST /v1/admin/accounts/{account_id}/positions": give,
            "POST /v1/admin/keys": make_key,
            "PATCH /v1/admin/keys/{key_id}": limit,
            "POST /v1/admin/keys/{key_id}/rotate": rotate,
        },
        starts={
            "POST /v1/admin/accounts",
            "POST /v1/admin/keys",
            "GET /v1/admin/accounts",
            "GET /v1/admin/instruments",
        },
        reach=REACHED,
        unchecked=unchecked,
        parts=2,
    )
