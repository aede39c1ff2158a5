"""Makes the Secret with a database's passwords, once.

The passwords, of the venue's role and of the server's superuser, are made here and written to the
Secret alone, beside the connection string for the processes that use the database. A Secret that is
there is kept, whatever release made it: the database was initialised with its passwords.
"""

import argparse
import secrets
import sys
from collections.abc import Mapping
from urllib.parse import quote

from lightkube import ApiError, Client
from lightkube.core.exceptions import ConfigError
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Secret

from openvenue_operator.cluster import FIELD_MANAGER

PASSWORD_BYTES = 32
KEYS = ("password", "postgres-password", "url")


class UnusableSecret(Exception):
    """A Secret that is there and is not what the database's users need; the message says why."""


def ensure(client: Client, name: str, *, host: str, port: int, database: str, user: str) -> bool:
    """Create the Secret unless there is one; return whether it was created.

    Raises UnusableSecret where the one that is there lacks a key, and what the client raises.
    """
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    url = f"postgresql://{quote(user, safe='')}:{password}@{host}:{port}/{quote(database, safe='')}"
    secret = Secret(
        metadata=ObjectMeta(
            name=name,
            labels={
                "app.kubernetes.io/part-of": "openvenue",
                "app.kubernetes.io/component": "database",
                "app.kubernetes.io/managed-by": FIELD_MANAGER,
            },
        ),
        type="Opaque",
        stringData={
            "password": password,
            "postgres-password": secrets.token_urlsafe(PASSWORD_BYTES),
            "url": url,
        },
    )
    try:
        client.create(secret)
    except ApiError as error:
        if error.status.code != 409:
            raise
        check(name, client.get(Secret, name).data or {})
        return False
    return True


def check(name: str, data: Mapping[str, str]) -> None:
    """Raise UnusableSecret where a key is missing or empty."""
    missing = [key for key in KEYS if not data.get(key)]
    if missing:
        raise UnusableSecret(
            f"the Secret {name} is there without {' and '.join(missing)}: add what is missing, or "
            "delete it if no database was made with it"
        )


def main() -> None:
    """Make the Secret in the pod's own namespace."""
    parser = argparse.ArgumentParser(
        prog="python -m openvenue_operator.database_secret",
        description=(__doc__ or "").splitlines()[0],
    )
    parser.add_argument("--name", required=True, help="of the Secret")
    parser.add_argument("--host", required=True, help="of the database server")
    parser.add_argument("--port", type=int, default=5432)
    parser.add_argument("--database", required=True)
    parser.add_argument("--user", required=True)
    asked = parser.parse_args()
    try:
        client = Client(field_manager=FIELD_MANAGER, trust_env=True)
        created = ensure(
            client,
            asked.name,
            host=asked.host,
            port=asked.port,
            database=asked.database,
            user=asked.user,
        )
    except (ApiError, UnusableSecret, ConfigError, OSError) as error:
        sys.exit(f"Secret {asked.name}: {error}")
    print(f"Secret {asked.name} {'created' if created else 'kept as it is'}")


if __name__ == "__main__":
    main()
