"""The address of the client that sent a request, also behind proxies that are trusted.

A proxy appends the address of its peer to `X-Forwarded-For`. Only entries that trusted proxies
appended count, so the list is read from its end. What stands before them anybody may have written.
"""

import re
from collections.abc import Iterable, Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
)

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

_FORWARDED_FOR = b"x-forwarded-for"
_HOPS_MAX = 32
# Some proxies append the port.
_WITH_PORT = re.compile(r"\[([^\]]+)\](?::\d+)?|(\d+\.\d+\.\d+\.\d+):\d+")


def client_address(
    peer: str, headers: Iterable[tuple[bytes, bytes]], trusted_proxies: Sequence[Network]
) -> Address | None:
    """Return the address of the client that a connection's peer speaks for.

    `headers` are lower-case ASGI headers. None if the peer has no address, or a trusted proxy
    names something else than one.
    """
    address = _parse(peer)
    if address is None or not is_within(address, trusted_proxies):
        return address
    listed = b",".join(value for name, value in headers if name == _FORWARDED_FOR)
    if not listed.strip():
        return address
    for hop in reversed(listed.decode("latin-1").split(",")[-_HOPS_MAX:]):
        address = _parse(hop)
        if address is None or not is_within(address, trusted_proxies):
            return address
    return address


def is_within(address: Address, networks: Iterable[Network]) -> bool:
    """True if one of the networks has the address."""
    return any(address in network for network in networks)


def _parse(text: str) -> Address | None:
    text = text.strip()
    if (match := _WITH_PORT.fullmatch(text)) is not None:
        text = match[1] or match[2]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    # IPv4 over a socket of both families.
    return getattr(address, "ipv4_mapped", None) or address
