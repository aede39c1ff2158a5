"""Reads API keys over one connection of its own.

Apart from the pool, so that slow queries cannot keep keys from being checked, nor a flood of
unknown keys the queries from their connections.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from openvenue.db.connection import connect_options, driver_url

_KEYS_IN_FORCE = """
SELECT key_id, account_id, secret_hash FROM api_keys
WHERE key_id = ANY($1::text[]) AND revoked_at IS NULL
"""


class KeysNotRead(Exception):
    """The database did not answer; says why."""


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key in force."""

    account_id: int
    secret_hash: bytes


class KeyReader:
    """Connects when first asked, and again after a failure. Not for concurrent use."""

    def __init__(self, database_url: str, *, timeout_s: float) -> None:
        self._url = driver_url(database_url)
        self._timeout_s = timeout_s
        self._connection: asyncpg.Connection[Any] | None = None

    async def read(self, key_ids: Sequence[str]) -> dict[str, KeyRow]:
        """Return those of `key_ids` that are in force, by their id.

        Raises KeysNotRead where the database does not answer within the time-out, connecting
        included.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                if self._connection is None:
                    self._connection = await asyncpg.connect(
                        self._url, **connect_options("openvenue-api-keys")
                    )
                rows = await self._connection.fetch(_KEYS_IN_FORCE, key_ids)
        except TimeoutError:
            self.close()
            raise KeysNotRead(f"no answer in {self._timeout_s:g} s") from None
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            self.close()
            raise KeysNotRead(str(error)) from error
        return {row[0]: KeyRow(row[1], row[2]) for row in rows}

    def close(self) -> None:
        """Drop the connection, at once and without asking the other side."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None
