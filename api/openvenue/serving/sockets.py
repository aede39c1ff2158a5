"""Listening sockets for both address families."""

import socket

_BACKLOG = 2048
_ANY = ("", "::")


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; `::` takes connections of both families if there are both.

    Raises OSError if the address cannot be bound.
    """
    if host in _ANY and socket.has_dualstack_ipv6():
        return socket.create_server(
            ("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=_BACKLOG
        )
    if host in _ANY:
        return socket.create_server(("0.0.0.0", port), backlog=_BACKLOG)  # noqa: S104
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
    return socket.create_server((host, port), family=family, backlog=_BACKLOG)
