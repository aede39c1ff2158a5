"""What every connection to PostgreSQL has in common: either side notices when the other is gone.

A host that vanished, or a network that swallows packets, sends nothing: without these options a
connection, and the locks that it holds, would stay for as long as the kernel's two hours.
"""

import socket
from typing import Any

import asyncpg

# An idle peer is given up after 10 s and three probes 5 s apart, one that acknowledges nothing of
# what it is sent after 20 s.
_KEEPALIVE_IDLE_S = 10
_KEEPALIVE_INTERVAL_S = 5
_KEEPALIVE_PROBES = 3
_USER_TIMEOUT_MS = 20_000

# What asyncpg raises of a connection that is no more; the second where its server said good-bye and
# the socket has not ended yet.
BROKEN_CONNECTION = (asyncpg.InterfaceError, asyncpg.InternalClientError)


class WatchedConnection(asyncpg.Connection):  # type: ignore[misc]
    """A connection whose socket has keepalive and a bound on unacknowledged data."""

    __slots__ = ()

    def __init__(self, protocol: Any, transport: Any, *further: Any) -> None:
        super().__init__(protocol, transport, *further)
        # asyncpg has no option for the socket, and no other moment at which it can be had.
        _watch(transport.get_extra_info("socket"))


def connect_options(application_name: str, **server_settings: str) -> dict[str, Any]:
    """Return what to pass to `asyncpg.connect` beside the address and timeouts."""
    return {
        "connection_class": WatchedConnection,
        "server_settings": {
            "application_name": application_name,
            "tcp_keepalives_idle": str(_KEEPALIVE_IDLE_S),
            "tcp_keepalives_interval": str(_KEEPALIVE_INTERVAL_S),
            "tcp_keepalives_count": str(_KEEPALIVE_PROBES),
            "tcp_user_timeout": str(_USER_TIMEOUT_MS),
            **server_settings,
        },
    }


def driver_url(database_url: str) -> str:
    """Return the URL as asyncpg takes it, where it may name SQLAlchemy's driver."""
    return database_url.replace("postgresql+asyncpg://", "postgresql://", 1)


def _watch(sock: socket.socket) -> None:
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _KEEPALIVE_IDLE_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _KEEPALIVE_INTERVAL_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _KEEPALIVE_PROBES)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _USER_TIMEOUT_MS)
