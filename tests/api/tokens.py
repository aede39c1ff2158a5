"""Requests with bearer tokens, and the answer to one that is no good."""

from typing import Any

from tests.support import http
from tests.support.venue import Bearer, Venue


def get(venue: Venue, token: Bearer | str, path: str = "/v2/account") -> Any:
    encoded = token if isinstance(token, str) else token.token
    headers = {"Authorization": f"Bearer {encoded}"}
    return http.get(venue.url + path, headers=headers, timeout=60)


def assert_refused(answer: Any, detail: str) -> None:
    """Assert that the answer is the 401 of a token with this sentence, in all its places."""
    assert answer.status_code == 401, answer.text
    document = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (document["code"], document["message"]) == (40110000, detail)
    assert document["detail"] == detail
    assert answer.headers["www-authenticate"] == (
        f'Bearer realm="OpenVenue", error="invalid_token", error_description="{detail}"'
    )
