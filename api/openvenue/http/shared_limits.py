"""Bounds that a worker's connections share: how many per address, and how much is unread."""

import ipaddress
from collections import OrderedDict
from itertools import islice
from typing import Protocol

_IPV6_NETWORK_BITS = 64  # one subscriber's network
# The silent ones are at the front; a few of them may be waiting for an answer.
_SHED_TRIES_MAX = 32


class Connection(Protocol):
    """A connection as these bounds see it."""

    def shed(self) -> bool:
        """Close it, unless it is answering a request. Returns whether it was closed."""

    def cut_unread(self) -> None:
        """Cut it, because its client leaves answers unread."""


class Unread:
    """Bytes of answers that wait for clients that do not read, over all connections.

    If they are too many, the connection that has waited longest is cut.
    """

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._held: dict[Connection, int] = {}
        self.bytes = 0

    def hold(self, connection: Connection, size: int) -> None:
        """Count bytes that a client has not read."""
        self.release(connection)
        self._held[connection] = size
        self.bytes += size
        while self.bytes > self._bytes_max:
            longest = next(iter(self._held))
            self.release(longest)
            longest.cut_unread()

    def release(self, connection: Connection) -> None:
        """Stop counting it: the client reads, or has gone."""
        self.bytes -= self._held.pop(connection, 0)


class Keyless:
    """Connections that have sent no valid key, the longest silent one first."""

    def __init__(self) -> None:
        self._connections: OrderedDict[Connection, None] = OrderedDict()

    def add(self, connection: Connection) -> None:
        """Count a connection that spoke just now."""
        self._connections[connection] = None
        self._connections.move_to_end(connection)

    def remove(self, connection: Connection) -> None:
        """Stop counting it: a valid key came, or it has gone."""
        self._connections.pop(connection, None)

    def __contains__(self, connection: Connection) -> bool:
        return connection in self._connections

    def shed_one(self, newcomer: Connection) -> bool:
        """Close the longest silent one; False if only the newcomer could be closed."""
        for connection in list(islice(self._connections, _SHED_TRIES_MAX)):
            if connection is not newcomer and connection.shed():
                self.remove(connection)
                return True
        return False


class Addresses:
    """How many connections each client address has; an IPv6 network of /64 counts as one."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def enter(self, address: str) -> int:
        """Count a connection; return how many the address has now."""
        count = self._counts[address] = self._counts.get(address, 0) + 1
        return count

    def leave(self, address: str) -> None:
        """Stop counting it."""
        if self._counts[address] == 1:
            del self._counts[address]
        else:
            self._counts[address] -= 1


def plain_address(host: str) -> str:
    """Return an address as people write it: IPv4 over a socket of both families is IPv4."""
    return host.removeprefix("::ffff:") if "." in host else host


def subscriber_of(host: str) -> str:
    """Return the unit that counts as one client: an IPv4 address, or an IPv6 network of /64."""
    if ":" not in host:
        return host
    try:
        return str(ipaddress.ip_network((host.partition("%")[0], _IPV6_NETWORK_BITS), strict=False))
    except ValueError:
        return host
