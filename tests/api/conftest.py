"""Fixtures of the API tests."""

import asyncio
import ctypes
import multiprocessing
from collections.abc import AsyncIterator, Callable, Iterator

import httpx
import pytest
from openvenue.http.app import Application
from openvenue.security.keys import READ_AND_TRADE, READ_ONLY, NewKey
from openvenue.serving.supervisor_link import SupervisorLink
from openvenue.serving.tuning import initial_tuning
from openvenue.settings import OidcSettings
from openvenue.vocabulary import Scope

from tests.api.orders import worker_of
from tests.support.issuer import AUDIENCE, Issuer
from tests.support.venue import Bearer, Venue

Credential = Callable[[NewKey, tuple[Scope, ...]], NewKey | Bearer]


@pytest.fixture
def account(new_account: Callable[..., NewKey]) -> NewKey:
    """Return a key to a new account with ten million in cash."""
    return new_account()


@pytest.fixture
def client(venue: Venue, account: NewKey) -> Iterator[httpx.Client]:
    """Yield an HTTP client of that account."""
    with venue.client(account) as client:
        yield client


@pytest.fixture(scope="session")
def trusted_issuer() -> Iterator[Issuer]:
    """Yield an issuer whose tokens `application` takes."""
    with Issuer().serving() as issuer:
        yield issuer


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    """Yield the issuer of `trusting`."""
    with Issuer().serving() as serving:
        yield serving


@pytest.fixture(scope="module")
def trusting(
    issuer: Issuer,
    tmp_path_factory: pytest.TempPathFactory,
    new_migrated_database: Callable[[], str],
) -> Iterator[Venue]:
    """Yield a venue that takes tokens, which the module's tests share."""
    venue = Venue(
        tmp_path_factory.mktemp("venue"),
        new_migrated_database(),
        environment=issuer.environment(),
    )
    try:
        yield venue.start(workers="2")
    finally:
        venue.stop()


@pytest.fixture
def account_id(trusting: Venue) -> int:
    """Return a new account of `trusting`."""
    return trusting.open_account().account_id


@pytest.fixture(params=["key", "token"])
def credential(request: pytest.FixtureRequest, venue: Venue, trusted_issuer: Issuer) -> Credential:
    """Return a function that gives out a key with these scopes to a key's account; or a token."""

    def key(of: NewKey, scopes: tuple[Scope, ...]) -> NewKey:
        if scopes == READ_AND_TRADE:
            return of
        assert scopes == READ_ONLY
        return venue.read_only_key(of.account_id)

    def token(of: NewKey, scopes: tuple[Scope, ...]) -> Bearer:
        words = " ".join(f"openvenue:{scope}" for scope in scopes)
        return trusted_issuer.token(of.account_id, scope=words)

    return token if request.param == "token" else key


@pytest.fixture
async def application(venue: Venue, trusted_issuer: Issuer) -> AsyncIterator[Application]:
    """Yield the application in this process, on the shared venue's engine and database."""
    _supervisor, worker = multiprocessing.Pipe()
    oidc = OidcSettings(issuer=trusted_issuer.url, audience=AUDIENCE)
    settings = venue.settings.model_copy(update={"oidc": oidc})
    made = Application(
        settings,
        follow_supervisor=lambda: SupervisorLink(worker, initial_tuning(settings), ctypes.c_bool()),
        patience_s=0,
    )
    async with made.running():
        async with asyncio.timeout(20):
            while worker_of(made).problems():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        yield made
