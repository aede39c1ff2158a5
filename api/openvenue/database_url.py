"""The database's URL, as managed services give it and as libpq and SQLAlchemy spell it.

    postgresql://user:password@host:5432,host2/database?sslmode=verify-full&sslrootcert=/ca.crt

asyncpg parses most of it. This module translates the parameters that asyncpg does not know, refuses
those that have no effect, and never quotes text that may be a part of a password.
"""

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

SHAPE = (
    "it is postgresql://user:password@host:port/database?sslmode=…, in which `/`, `?`, `#`, `[`, "
    "`@`, `:` and `%` of a password are percent-encoded"
)

_SCHEMES = ("postgres", "postgresql", "postgresql+asyncpg")
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_SESSION_ATTRIBUTES = ("any", "primary", "standby", "read-write", "read-only", "prefer-standby")
_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
# Parameters that asyncpg reads. It would send any other to the server as a setting.
_OF_ASYNCPG = frozenset(
    {
        *("host", "port", "user", "password", "dbname", "database", "passfile", "service"),
        *("sslmode", "sslnegotiation", "sslpassword", *_FILES),
        *("ssl_min_protocol_version", "ssl_max_protocol_version"),
        *("target_session_attrs", "krbsrvname", "gsslib", "options"),
    }
)
_OF_OURS = frozenset(
    {"ssl", "application_name", "connect_timeout", "channel_binding", "gssencmode"}
)
# libpq's word for the certificates that the system trusts.
_SYSTEM = "system"


class BadDatabaseUrl(ValueError):
    """The URL cannot be used; says why, without any part that may be secret."""


@dataclass(frozen=True, slots=True)
class DatabaseUrl:
    """A parsed URL; make it with `parse_database_url`."""

    dsn: str = field(repr=False)
    """The URL for asyncpg."""
    application_name: str = ""
    """The name that the URL gives the connections; it precedes our own."""
    connect_timeout_s: float | None = None
    system_certificates: bool = False
    """True if the system's trusted certificates verify the server's."""

    def ssl_context(self) -> ssl.SSLContext | None:
        """Return how to verify the server, if asyncpg cannot know by itself."""
        if not self.system_certificates:
            return None
        context = ssl.create_default_context()
        context.set_alpn_protocols(["postgresql"])
        return context


def parse_database_url(text: str) -> DatabaseUrl:
    """Return the URL in asyncpg's form. Raises BadDatabaseUrl."""
    try:
        parts = urlsplit(text)
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise BadDatabaseUrl(f"cannot be read: {SHAPE}") from None
    if parts.scheme not in _SCHEMES:
        raise BadDatabaseUrl("must begin with postgresql://")
    if parts.fragment or "#" in text or parts.netloc.count("@") > 1:
        raise BadDatabaseUrl(f"cannot be read: {SHAPE}")
    _check_ports(parts.netloc.rpartition("@")[2])
    given: dict[str, str] = {}
    for name, value in pairs:
        if given.setdefault(name, value) != value:
            raise BadDatabaseUrl("gives one parameter two values")
    _refuse_unknown(given, nameable="@" not in parts.query)
    _translate_ssl(given)
    _check_values(given)
    application_name = given.pop("application_name", "")
    connect_timeout_s = _seconds(given.pop("connect_timeout", ""))
    system = given.get("sslrootcert") == _SYSTEM
    if system:
        _check_system_certificates(given)
    _check_files(given)
    # An empty value means the default, as with libpq; asyncpg's parser refuses one.
    query = urlencode({name: value for name, value in given.items() if value})
    dsn = parts._replace(scheme="postgresql", query=query).geturl()
    return DatabaseUrl(dsn, application_name, connect_timeout_s, system)


def _refuse_unknown(given: dict[str, str], *, nameable: bool) -> None:
    """Refuse parameters that neither asyncpg nor this module reads.

    `nameable`: the query cannot be the end of a password that contains a `?`.
    """
    for name in given:
        if name == "pgbouncer":
            raise BadDatabaseUrl(
                "names a connection pooler (pgbouncer=…): use the URL of the database itself"
            )
        if name not in _OF_ASYNCPG | _OF_OURS:
            raise BadDatabaseUrl(
                f"has {_shown(name) if nameable else 'a parameter'}, which is not known here: "
                f"known are {', '.join(sorted(_OF_ASYNCPG | _OF_OURS))}; a setting of the server "
                "goes into options=-c%20name%3Dvalue"
            )


def _translate_ssl(given: dict[str, str]) -> None:
    """Translate SQLAlchemy's and JDBC's `ssl` into libpq's `sslmode`; drop what is the default."""
    if "ssl" in given:
        asked = given.pop("ssl")
        mode = {"true": "require", "false": "disable"}.get(asked.lower(), asked)
        if mode and given.setdefault("sslmode", mode) != mode:
            raise BadDatabaseUrl("has ssl and sslmode, which contradict each other")
    if given.pop("channel_binding", "prefer") not in ("", "prefer", "disable"):
        raise BadDatabaseUrl(
            "asks for channel_binding, which the driver cannot do: leave it out, and verify the "
            "server with sslmode=verify-full and sslrootcert"
        )
    if given.pop("gssencmode", "prefer") not in ("", "prefer", "disable"):
        raise BadDatabaseUrl("asks for gssencmode, which the driver cannot do: use sslmode")


def _check_values(given: dict[str, str]) -> None:
    for name, values in (("sslmode", _SSL_MODES), ("target_session_attrs", _SESSION_ATTRIBUTES)):
        if given.get(name) and given[name] not in values:
            raise BadDatabaseUrl(f"has a {name} that there is not: it is {', '.join(values)}")
    _check_ports(*(f":{port}" for port in given.get("port", "").split(",")))


def _check_ports(*hosts: str) -> None:
    for host in ",".join(hosts).split(","):
        port = host.rpartition("]")[2].partition(":")[2]
        if port and not (port.isdecimal() and 0 < int(port) < 1 << 16):
            raise BadDatabaseUrl(f"has a port that is none, or cannot be read: {SHAPE}")


def _seconds(value: str) -> float | None:
    """Return a time limit; None: only our own limits apply."""
    if not value:
        return None
    if not value.lstrip("-").isdecimal() or int(value) > 3600:
        raise BadDatabaseUrl("has a connect_timeout that is not a number of seconds up to 3600")
    return float(value) if int(value) > 0 else None


def _check_system_certificates(given: dict[str, str]) -> None:
    del given["sslrootcert"]
    if given.pop("sslmode", "verify-full") != "verify-full":
        raise BadDatabaseUrl("has sslrootcert=system, which goes with sslmode=verify-full alone")
    if others := sorted(name for name in given if name.startswith("ssl")):
        raise BadDatabaseUrl(f"has sslrootcert=system, which does not go with {others[0]}")


def _check_files(given: dict[str, str]) -> None:
    for name in _FILES:
        if not given.get(name):
            continue
        try:
            with Path(given[name]).open("rb"):
                pass
        except OSError as error:
            raise BadDatabaseUrl(
                f"has a {name} that cannot be read ({given[name]}: {error.strerror})"
            ) from None


def _shown(name: str) -> str:
    """Return a parameter's name if it looks like one."""
    return f"the parameter {name}" if name.isidentifier() and len(name) <= 40 else "a parameter"
