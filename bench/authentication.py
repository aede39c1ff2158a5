"""What it costs to find out who a request acts for: `python -m bench.authentication`.

Measures `Authenticator.principal_of` alone, in one process: for a known API key, a token that was
checked before, and one that comes for the first time. Nothing is asked over a network.
"""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

from openvenue.db.listener import Listener
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.security.authenticator import (
    AUTHORIZATION_HEADER,
    KEY_ID_HEADER,
    SECRET_HEADER,
    Authenticator,
)
from openvenue.security.key_reader import KeyRow
from openvenue.security.keys import hash_secret
from openvenue.security.open_accounts import OpenAccounts
from openvenue.settings import OidcSettings, Settings
from openvenue.vocabulary import SCOPES

from tests.support.issuer import AUDIENCE, Issuer, SigningKey

_ACCOUNT = 7
_ROUNDS = 15
_HITS = 20_000
_NEW = 300
# Of a browser or client library, beside the credentials.
_OTHER_HEADERS = [
    (b"host", b"venue"),
    (b"accept", b"*/*"),
    (b"user-agent", b"bench"),
    (b"content-type", b"application/json"),
    (b"content-length", b"120"),
]


class _Reader:
    """Answers as the database would."""

    async def read(self, key_ids: list[str]) -> dict[str, KeyRow]:
        return {
            key_id: KeyRow(_ACCOUNT, hash_secret(b"s" * 43), frozenset(SCOPES))
            for key_id in key_ids
        }

    async def read_restrictions(self, _account_ids: list[int]) -> dict[int, None]:
        return {}


async def _has_account(_: pb.Request) -> pb.Reply:
    return pb.Reply(account=pb.Account(account_id=_ACCOUNT))


async def _us_each(calls: list[Callable[[], Awaitable[Any]]]) -> float:
    started = time.perf_counter()
    for call in calls:
        await call()
    return (time.perf_counter() - started) / len(calls) * 1e6


async def _measure(issuer: Issuer) -> None:
    oidc = OidcSettings(
        issuer=issuer.url, audience=AUDIENCE, algorithms=("RS256", "ES256"), ask_interval_s=0.1
    )
    authenticator = Authenticator(
        Settings(oidc=oidc),
        Listener("postgresql://nobody@/nothing"),
        OpenAccounts(_has_account, entries_max=10),
    )
    authenticator._reader = _Reader()  # type: ignore[assignment]
    running = asyncio.ensure_future(authenticator.run())

    def asking(*credentials: tuple[bytes, bytes]) -> Callable[[], Awaitable[Any]]:
        headers = [*_OTHER_HEADERS, *credentials]
        return lambda: authenticator.principal_of(headers)

    def bearing(key: SigningKey, number: int) -> Callable[[], Awaitable[Any]]:
        token = issuer.token(_ACCOUNT, key=key, sub=f"bot {number}").token
        return asking((AUTHORIZATION_HEADER, b"Bearer " + token.encode()))

    by_key = asking((KEY_ID_HEADER, b"OVAAAAAAAAAAAAAAAAAA"), (SECRET_HEADER, b"s" * 43))
    rsa, curve = issuer.key, SigningKey("curve", "ES256")
    issuer.published.append(curve.jwk())
    by_token = bearing(rsa, 0)
    figures: dict[str, list[float]] = {}
    numbers = iter(range(1, 10**9))
    for call in (by_key, by_token, bearing(curve, next(numbers))):
        await call()
    for _ in range(_ROUNDS):  # In turn, so that all see the same machine.
        for name, calls in {
            "known key": [by_key] * _HITS,
            "known token": [by_token] * _HITS,
            "new token, RS256": [bearing(rsa, next(numbers)) for _ in range(_NEW)],
            "new token, ES256": [bearing(curve, next(numbers)) for _ in range(_NEW)],
        }.items():
            figures.setdefault(name, []).append(await _us_each(calls))
    key_us = statistics.median(figures["known key"])
    for name, each in figures.items():
        median = statistics.median(each)
        print(f"{name:18} {median:8.2f} us  {median / key_us:6.1f} times a known key")
    running.cancel()


def main() -> None:
    """Measure and print."""
    with Issuer().serving() as issuer:
        asyncio.run(_measure(issuer))


if __name__ == "__main__":
    main()
