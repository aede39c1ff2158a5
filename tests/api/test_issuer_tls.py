"""The keys of an issuer are read only from whom a trusted certificate names."""

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme
from openvenue.security.keys import NewKey

from tests.support.issuer import Issuer, SigningKey
from tests.support.venue import Bearer, Venue, log_lines
from tests.support.waiting import wait_for


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Return an authority that no system trusts."""
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    file = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(file))
    return str(file)


@pytest.fixture
def issuer(authority: trustme.CA) -> Iterator[Issuer]:
    """Yield an issuer at https://localhost:PORT."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(tls)
    with Issuer(tls=tls).serving() as serving:
        yield serving


def status(venue: Venue, credential: Bearer | NewKey) -> int:
    with venue.client(credential) as client:
        return client.get("/v2/account").status_code


def reasons(venue: Venue) -> str:
    """Return why the issuer's keys were not read."""
    lines = log_lines(venue, "issuer's keys not read: known ones stay as they are")
    return " ".join(line["reason"] for line in lines)


def test_an_issuer_is_believed_by_its_certificate(
    new_venue: Callable[..., Venue],
    authority: trustme.CA,
    issuer: Issuer,
    ca_file: str,
    tmp_path: Path,
) -> None:
    settings = {
        name.lower().removeprefix("openvenue_"): value
        for name, value in (issuer.environment().items())
    }
    venue = new_venue().start(projector=False, **settings, oidc_ca_file=ca_file)
    key = venue.open_account()
    token = issuer.token(key.account_id)
    assert status(venue, token) == 200
    assert issuer.readings == 1

    # Somebody else answers at its address: with a certificate of the same authority, for a name of
    # his own. Keys that he publishes are not believed, and the known one stays good.
    assert issuer.tls is not None
    authority.issue_cert("mallory.example").configure_cert(issuer.tls)
    forged = SigningKey("forged")
    issuer.published.append(forged.jwk())
    assert status(venue, issuer.token(key.account_id, key=forged)) == 503
    assert "localhost" in reasons(venue)
    assert "certificate" in reasons(venue)
    assert status(venue, token) == 200
    assert issuer.readings == 1
    # The issuer itself is back, with a new key.
    authority.issue_cert("localhost").configure_cert(issuer.tls)
    rotated = SigningKey("rotated")
    issuer.published[1:] = [rotated.jwk()]
    wait_for(lambda: status(venue, issuer.token(key.account_id, key=rotated)) == 200)
    venue.api.stop()

    stranger = tmp_path / "stranger.pem"
    trustme.CA().cert_pem.write_to_path(str(stranger))
    read = issuer.readings
    # With no authority of our own, or with a wrong one.
    for trusted in ({}, {"oidc_ca_file": str(stranger)}):
        venue.api.log.unlink()
        venue.start_api(**settings, **trusted)
        with venue.client(token) as client:
            answer = client.get("/v2/account")
        assert (answer.status_code, answer.json()["code"]) == (503, 50310000)
        assert "its issuer does not answer" in answer.json()["detail"]
        assert "certificate verify failed" in reasons(venue)
        assert status(venue, key) == 200  # API keys need no issuer.
        venue.api.stop()
    assert issuer.readings == read
