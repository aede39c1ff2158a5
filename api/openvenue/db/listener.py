"""Follows PostgreSQL notifications on one pooled connection, as long as the process runs."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import asyncpg
from sqlalchemy.exc import SQLAlchemyError

from openvenue.db.database import Database
from openvenue.telemetry import get_logger

_RETRY_S = 0.5
_PROBE_INTERVAL_S = 10.0

_log = get_logger(__name__)


@dataclass(frozen=True)
class Subscription:
    """What to do with a channel's notifications, and when some may have been missed."""

    channel: str
    on_payload: Callable[[str], None]
    on_gap: Callable[[], None]


class Listener:
    """Delivers notifications; reconnects, and calls every `on_gap` whenever it starts to listen."""

    def __init__(self, database: Database, subscriptions: list[Subscription]) -> None:
        self._database = database
        self._subscriptions = subscriptions

    async def run(self) -> None:
        """Listen until cancelled."""
        while True:
            try:
                await self._listen()
            except (
                SQLAlchemyError,
                OSError,
                asyncpg.PostgresError,
                asyncpg.InterfaceError,
            ) as error:
                _log.warning("database notifications interrupted", reason=str(error))
            await asyncio.sleep(_RETRY_S)

    async def _listen(self) -> None:
        lost = asyncio.Event()
        async with self._database.connect() as connection:
            raw = (await connection.get_raw_connection()).driver_connection
            assert isinstance(raw, asyncpg.Connection)
            raw.add_termination_listener(lambda _: lost.set())
            for subscription in self._subscriptions:
                await raw.add_listener(subscription.channel, _deliver_to(subscription))
            try:
                for subscription in self._subscriptions:
                    subscription.on_gap()
                while not await _happens(lost, _PROBE_INTERVAL_S):
                    await raw.execute("SELECT 1")
            finally:
                await connection.invalidate()


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
