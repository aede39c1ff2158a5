"""Makes every connection to PostgreSQL, from one reading of the URL.

Without SQLAlchemy, which the projector does not need and would import for a third of its start.

Each side notices when the other is gone. A host that vanished, or a network that swallows packets,
sends nothing: without these options a connection, and its locks, would stay for the kernel's two
hours.
"""

import asyncio
import socket
import ssl
from typing import Any

import asyncpg

from openvenue.database_url import SHAPE, parse_database_url
from openvenue.reasons import reason_of

# Give up an idle peer after 10 s and three probes 5 s apart, and a peer that acknowledges nothing
# after 20 s.
_KEEPALIVE_IDLE_S = 10
_KEEPALIVE_INTERVAL_S = 5
_KEEPALIVE_PROBES = 3
_USER_TIMEOUT_MS = 20_000

# asyncpg raises these for a connection that is gone; the second if its server said good-bye and the
# socket has not ended yet.
BROKEN_CONNECTION = (asyncpg.InterfaceError, asyncpg.InternalClientError)

# The database is down, or a failover's standby answered; other errors would come again.
DATABASE_AWAY = (
    OSError,
    TimeoutError,
    *BROKEN_CONNECTION,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
    asyncpg.PostgresSystemError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.ObjectNotInPrerequisiteStateError,  # It accepts no connections.
)

_POOLER = (
    "a connection pooler stands before the database, and the venue needs sessions of its own "
    "(LISTEN, advisory locks, statement timeouts): use the URL of the database itself"
)


class DatabaseRefused(ConnectionError):
    """A connection that fails until somebody changes something; says what."""


class WatchedConnection(asyncpg.Connection):  # type: ignore[misc]
    """A connection whose socket has keepalive and a bound on unacknowledged data."""

    __slots__ = ()

    def __init__(self, protocol: Any, transport: Any, *further: Any) -> None:
        super().__init__(protocol, transport, *further)
        # asyncpg has no option for the socket, and gives access to it only here.
        _watch(transport.get_extra_info("socket"))


async def connect(
    database_url: str,
    application_name: str,
    *,
    timeout_s: float,
    command_timeout_s: float | None = None,
    **server_settings: str,
) -> "asyncpg.Connection[Any]":
    """Open a connection; it must be closed.

    Raises DatabaseRefused if it would fail in the same way again; OSError or asyncpg.PostgresError
    if the database is down or refuses.
    """
    try:
        url = parse_database_url(database_url)
        connection = await asyncpg.connect(
            url.dsn,
            timeout=url.connect_timeout_s or timeout_s,
            command_timeout=command_timeout_s,
            ssl=url.ssl_context(),
            connection_class=WatchedConnection,
            server_settings={
                "application_name": f"{url.application_name} {application_name}".strip(),
                "tcp_keepalives_idle": str(_KEEPALIVE_IDLE_S),
                "tcp_keepalives_interval": str(_KEEPALIVE_INTERVAL_S),
                "tcp_keepalives_count": str(_KEEPALIVE_PROBES),
                "tcp_user_timeout": str(_USER_TIMEOUT_MS),
                **server_settings,
            },
        )
    except ssl.SSLError as error:  # Also a ValueError, if it is about the certificate.
        raise DatabaseRefused(f"no trusted connection to the database: {_of_tls(error)}") from None
    except asyncpg.ProtocolViolationError as error:
        if "startup parameter" in str(error):
            raise DatabaseRefused(f"{_POOLER} (it says: {error})") from None
        raise
    except asyncpg.ClientConfigurationError as error:
        raise DatabaseRefused(f"the database's URL cannot be used: {error}") from None
    except ValueError:
        # The message may quote a part of the URL, and so of the password.
        raise DatabaseRefused(f"the database's URL cannot be read: {SHAPE}") from None
    try:
        await _refuse_pooler(connection, timeout_s)
    except BaseException:
        connection.terminate()
        raise
    return connection


async def _refuse_pooler(connection: "asyncpg.Connection[Any]", timeout_s: float) -> None:
    """Raise DatabaseRefused behind a pooler, which greets with an invented process id."""
    async with asyncio.timeout(timeout_s):
        pid = await connection.fetchval("SELECT pg_backend_pid()")
    if pid != connection.get_server_pid():
        raise DatabaseRefused(_POOLER)


def _of_tls(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted ({error.verify_message})"
    return reason_of(error)


def _watch(sock: socket.socket) -> None:
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _KEEPALIVE_IDLE_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _KEEPALIVE_INTERVAL_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _KEEPALIVE_PROBES)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _USER_TIMEOUT_MS)
