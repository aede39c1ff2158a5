"""The client's address: what trusted proxies appended counts, and nothing before it."""

from ipaddress import ip_address, ip_network

import pytest
from openvenue.security.client_address import client_address
from openvenue.settings import Settings

TRUSTED = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.7", [], "203.0.113.7"),
        ("203.0.113.7", ["198.51.100.1"], "203.0.113.7"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["192.0.2.66, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["192.0.2.66", "198.51.100.1, 10.9.9.9"], "198.51.100.1"),
        ("10.0.0.1", ["10.1.1.1, 10.2.2.2"], "10.1.1.1"),
        ("::ffff:10.0.0.1", ["198.51.100.1:4711"], "198.51.100.1"),
        ("fd00::1", ["[2001:db8::5]:80"], "2001:db8::5"),
        ("fd00::1", ["2001:db8::5"], "2001:db8::5"),
        ("10.0.0.1", ["198.51.100.1, unknown"], None),
        ("10.0.0.1", ["198.51.100.1,"], None),
        ("", ["198.51.100.1"], None),
    ],
)
def test_the_last_address_that_no_trusted_proxy_has_is_the_clients(
    peer: str, forwarded: list[str], client: str | None
) -> None:
    headers = [(b"host", b"venue")]
    headers += [(b"x-forwarded-for", value.encode()) for value in forwarded]
    found = client_address(peer, headers, TRUSTED)
    assert found == (None if client is None else ip_address(client))


def test_without_trusted_proxies_nothing_is_believed() -> None:
    headers = [(b"x-forwarded-for", b"198.51.100.1")]
    assert client_address("10.0.0.1", headers, ()) == ip_address("10.0.0.1")


def test_trusted_proxies_are_listed_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENVENUE_TRUSTED_PROXIES", "10.0.0.0/8, fd00::/8")
    assert Settings().trusted_proxies == TRUSTED
    monkeypatch.setenv("OPENVENUE_TRUSTED_PROXIES", "")
    assert Settings().trusted_proxies == ()
    monkeypatch.setenv("OPENVENUE_TRUSTED_PROXIES", "the ingress")
    with pytest.raises(ValueError, match="trusted_proxies"):
        Settings()
