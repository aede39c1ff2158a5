"""Makes the Secrets of a venue in the cluster, once, so that nothing outside knows them.

One has the token of administration. Another has the passwords of a bundled database, for the
venue's role and the server's superuser, and the connection string. An existing Secret is kept,
whatever release made it: engine and database were started with it.
"""

if __name__ == "__main__":
    from openvenue.first_process import end_at_sigterm

    end_at_sigterm()  # Before importing what takes a second.

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

GENERATED_BYTES = 32
ADMIN_KEY = "admin"


class UnusableSecret(Exception):
    """A Secret exists and lacks what its users need; the message says why."""


def admin_data() -> dict[str, str]:
    """Return a new token. The engine journals its key as a name with each command."""
    return {ADMIN_KEY: secrets.token_urlsafe(GENERATED_BYTES)}


def database_data(host: str, port: int, database: str, user: str) -> dict[str, str]:
    """Return new passwords, and the connection string of the venue's role."""
    password = secrets.token_urlsafe(GENERATED_BYTES)
    return {
        "password": password,
        "postgres-password": secrets.token_urlsafe(GENERATED_BYTES),
        "url": f"postgresql://{quote(user, safe='')}:{password}@{host}:{port}/"
        f"{quote(database, safe='')}",
    }


def ensure(client: Client, name: str, component: str, data: Mapping[str, str]) -> bool:
    """Create the Secret unless there is one; return True if it was created.

    Raises UnusableSecret if the existing one lacks a key of `data`, and the client's errors.
    """
    secret = Secret(
        metadata=ObjectMeta(
            name=name,
            labels={
                "app.kubernetes.io/part-of": "openvenue",
                "app.kubernetes.io/component": component,
                "app.kubernetes.io/managed-by": FIELD_MANAGER,
            },
        ),
        type="Opaque",
        stringData=dict(data),
    )
    try:
        client.create(secret)
    except ApiError as error:
        if error.status.code != 409:
            raise
        found = client.get(Secret, name).data or {}
        missing = [key for key in data if not found.get(key)]
        if missing:
            raise UnusableSecret(
                f"it is there without {' and '.join(missing)}: add what is missing, or delete it "
                "if nothing was started with it"
            ) from None
        return False
    return True


def main() -> None:
    """Make the requested Secrets in the pod's own namespace."""
    parser = argparse.ArgumentParser(
        prog="python -m openvenue_operator.generated_secrets",
        description=(__doc__ or "").splitlines()[0],
    )
    parser.add_argument("--admin", metavar="SECRET", help="with the token of administration")
    parser.add_argument("--database", metavar="SECRET", help="with a database's passwords")
    parser.add_argument("--database-host", help="of the database server")
    parser.add_argument("--database-port", type=int, default=5432)
    parser.add_argument("--database-name", default="openvenue")
    parser.add_argument("--database-user", default="openvenue")
    asked = parser.parse_args()
    if not asked.admin and not asked.database:
        parser.error("name a Secret: --admin or --database")
    if asked.database and not asked.database_host:
        parser.error("--database needs --database-host")
    wanted = []
    if asked.admin:
        wanted.append((asked.admin, "admin", admin_data()))
    if asked.database:
        data = database_data(
            asked.database_host, asked.database_port, asked.database_name, asked.database_user
        )
        wanted.append((asked.database, "database", data))
    for name, component, data in wanted:
        try:
            client = Client(field_manager=FIELD_MANAGER, trust_env=True)
            created = ensure(client, name, component, data)
        except (ApiError, UnusableSecret, ConfigError, OSError) as error:
            sys.exit(f"Secret {name}: {error}")
        print(f"Secret {name} {'created' if created else 'kept as it is'}")


if __name__ == "__main__":
    main()
