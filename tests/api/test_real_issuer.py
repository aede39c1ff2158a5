"""Tokens of a real OpenID Connect issuer: oidc-provider, asked as a bot asks it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from alpaca.trading.client import TradingClient

from tests.api.orders import limit_order
from tests.support.issuer import AUDIENCE, CannotBeHad, RealIssuer, SigningKey, fetch_provider
from tests.support.ports import free_port
from tests.support.venue import Bearer, Venue
from tests.support.waiting import wait_for

BOT, DASHBOARD, STRANGER = 1, 1, 999
ACCOUNTS = {
    "bot": (BOT, "openvenue:read openvenue:trade"),
    "dashboard": (DASHBOARD, "openvenue:read openvenue:data"),
    "stranger": (STRANGER, "openvenue:read openvenue:trade"),
}


@pytest.fixture
def issuer(tmp_path: Path) -> Iterator[RealIssuer]:
    try:
        fetch_provider()
    except CannotBeHad as error:
        pytest.skip(f"oidc-provider cannot be had: {error}")
    port = free_port()
    issuer = RealIssuer(tmp_path, port, ACCOUNTS)
    yield issuer
    issuer.stop()


def status(venue: Venue, token: Bearer) -> int:
    with venue.client(token) as client:
        return client.get("/v2/account").status_code


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_a_bot_trades_with_a_token_through_a_rotation_of_the_issuers_keys(
    new_venue: Callable[..., Venue], issuer: RealIssuer, algorithm: str
) -> None:
    first, second = SigningKey("first", algorithm), SigningKey("second", algorithm)
    issuer.start(first)
    venue = new_venue(
        OPENVENUE_OIDC_ISSUER=issuer.url,
        OPENVENUE_OIDC_AUDIENCE=AUDIENCE,
        OPENVENUE_OIDC_REQUIRE_AT_JWT="true",
        OPENVENUE_OIDC_REFRESH_S="1",
        OPENVENUE_OIDC_ASK_INTERVAL_S="0.5",
    ).start(projector=False)
    venue.open_account(BOT)

    old = issuer.token("bot", "openvenue:read openvenue:trade")
    client: Any = TradingClient(oauth_token=old.token, url_override=venue.url)
    assert float(client.get_account().cash) == 10_000_000
    with venue.client(old) as trader:
        assert trader.post("/v2/orders", json=limit_order()).json()["status"] == "new"

    with venue.client(issuer.token("dashboard", "openvenue:read")) as dashboard:
        assert len(dashboard.get("/v2/orders").json()) == 1
        refused = dashboard.delete("/v2/orders")
        assert refused.status_code == 403
        assert refused.json()["message"] == (
            "this token may only read: DELETE needs a token that may trade"
        )
    assert status(venue, issuer.token("stranger", "openvenue:read")) == 403

    # The issuer signs with its new key, and still publishes the old one.
    issuer.start(second, first)
    new = issuer.token("bot", "openvenue:read")
    assert status(venue, new) == 200
    assert status(venue, old) == 200

    # It no longer does: the old token is refused, although it has not ended.
    issuer.start(second)
    wait_for(lambda: status(venue, old) == 401)
    assert status(venue, new) == 200
    assert status(venue, old) == 401

    # While it is away, what is known goes on.
    issuer.stop()
    wait_for(lambda: venue.metric("issuer_reads_total", result="failed") > 0)
    assert status(venue, new) == 200


def test_a_token_of_the_issuer_for_another_audience_is_refused(
    new_venue: Callable[..., Venue], issuer: RealIssuer
) -> None:
    issuer.start(SigningKey("first"))
    venue = new_venue(
        OPENVENUE_OIDC_ISSUER=issuer.url, OPENVENUE_OIDC_AUDIENCE="https://another.example"
    ).start(projector=False)
    venue.open_account(BOT)
    with venue.client(issuer.token("bot", "openvenue:read")) as client:
        answer = client.get("/v2/account")
    assert answer.status_code == 401
    assert answer.json()["message"] == "the token is for another audience"
