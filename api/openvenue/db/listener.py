"""Follows PostgreSQL notifications on a connection beside the pool, as long as the process runs.

Small queries that must not wait for the pool go over the same connection.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import asyncpg

from openvenue.db.connection import BROKEN_CONNECTION, connect
from openvenue.reasons import reason_of
from openvenue.telemetry import get_logger

_RETRY_S = 0.5
_CONNECT_TIMEOUT_S = 5.0
_PROBE_INTERVAL_S = 10.0
_PROBE_TIMEOUT_S = 5.0

_log = get_logger(__name__)


class NoAnswer(Exception):
    """The database did not answer; says why."""


@dataclass(frozen=True)
class Subscription:
    """Handlers of a channel's notifications, and of gaps in which some may have been missed."""

    channel: str
    on_payload: Callable[[str], None]
    on_gap: Callable[[], None]


class Listener:
    """Delivers notifications; reconnects, and calls every `on_gap` when it starts to listen."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._subscriptions: list[Subscription] = []
        self._connection: asyncpg.Connection[Any] | None = None
        self._connected = asyncio.Event()
        self.answered_at: float | None = None
        """Time of the database's last answer, on the event loop's clock; None before the first."""
        self.failure = "not asked yet"
        """Cause of the last attempt's failure."""
        # The connection serves one query at a time.
        self._turn = asyncio.Lock()

    def subscribe(self, subscription: Subscription) -> None:
        """Deliver a channel's notifications from the next connection on."""
        self._subscriptions.append(subscription)

    async def run(self) -> None:
        """Listen until cancelled."""
        while True:
            try:
                await self._listen()
            except (OSError, asyncpg.PostgresError, NoAnswer, *BROKEN_CONNECTION) as error:
                self.failure = str(error) if isinstance(error, NoAnswer) else reason_of(error)
                _log.warning("database notifications interrupted", reason=self.failure)
            await asyncio.sleep(_RETRY_S)

    async def fetch(self, query: str, *arguments: Any, timeout_s: float) -> list[Any]:
        """Return a query's rows. Raises NoAnswer after `timeout_s` at the latest."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._connected.wait()
                async with self._turn:
                    if self._connection is None:
                        raise NoAnswer("the connection was lost")
                    rows: list[Any] = await self._connection.fetch(query, *arguments)
                    self.answered_at = asyncio.get_running_loop().time()
                    return rows
        except TimeoutError:
            if self._connection is not None:
                self._connection.terminate()
            raise NoAnswer(f"no answer in {timeout_s:g} s") from None
        except (OSError, asyncpg.PostgresError, *BROKEN_CONNECTION) as error:
            raise NoAnswer(reason_of(error)) from error

    async def _listen(self) -> None:
        lost = asyncio.Event()
        connection = await connect(
            self._url, "openvenue-api-listener", timeout_s=_CONNECT_TIMEOUT_S
        )
        try:
            connection.add_termination_listener(lambda _: lost.set())
            async with asyncio.timeout(_PROBE_TIMEOUT_S):
                for subscription in self._subscriptions:
                    await connection.add_listener(subscription.channel, _deliver_to(subscription))
            self._connection = connection
            self.answered_at = asyncio.get_running_loop().time()
            self._connected.set()
            for subscription in self._subscriptions:
                subscription.on_gap()
            while not await _happens(lost, _PROBE_INTERVAL_S):
                await self.fetch("SELECT 1", timeout_s=_PROBE_TIMEOUT_S)
        finally:
            self._connection = None
            self._connected.clear()
            connection.terminate()


def _deliver_to(subscription: Subscription) -> Callable[[Any, int, str, Any], None]:
    def deliver(_connection: Any, _pid: int, _channel: str, payload: Any) -> None:
        subscription.on_payload(str(payload))

    return deliver


async def _happens(event: asyncio.Event, within_s: float) -> bool:
    try:
        async with asyncio.timeout(within_s):
            await event.wait()
    except TimeoutError:
        return False
    return True
