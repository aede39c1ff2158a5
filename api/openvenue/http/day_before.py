"""Reads accounts and prices as they were at the end of the day before (UTC).

They do not change any more, so each worker reads them once a day.
"""

import asyncio
import time
from collections import OrderedDict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from openvenue import metrics
from openvenue.db.alchemy import DATABASE_ERRORS, is_away
from openvenue.db.database import Database
from openvenue.engine.instruments import Instruments
from openvenue.queries.equity import AtClose, DayBefore, account_at_close, prices_at_close
from openvenue.reasons import reason_of
from openvenue.telemetry import get_logger

_ACCOUNTS_KEPT_MAX = 10_000
# The projection may still lack entries of a day that has just ended.
_SETTLED_AFTER = timedelta(minutes=1)

# Accounts and positions come from the engine: a database in trouble may hardly delay them.
_PATIENCE_S = 0.5
_RETRY_S = 5.0

_log = get_logger(__name__)


UNKNOWN = DayBefore(AtClose(None, {}), {})
"""Stands in while the database is away."""


class DaysBefore:
    """Finds each account's day before."""

    def __init__(self, database: Database, instruments: Instruments, shard_id: int) -> None:
        self._database = database
        self._instruments = instruments
        self._shard_id = shard_id
        self._day: date | None = None
        self._prices: dict[int, Decimal] | None = None
        self._accounts: OrderedDict[int, AtClose] = OrderedDict()
        self._asks_again_at = 0.0

    async def of(self, account_id: int) -> DayBefore:
        """Return the account's day before; UNKNOWN while the database is away."""
        now = datetime.now(UTC)
        day = now.date() - timedelta(days=1)
        if day != self._day:
            self._day, self._prices = day, None
            self._accounts.clear()
        account, prices = self._accounts.get(account_id), self._prices
        if account is None or prices is None:
            if time.monotonic() < self._asks_again_at:
                metrics.DAY_BEFORE_LOOKUPS.labels("failed").inc()
                return UNKNOWN
            try:
                async with asyncio.timeout(_PATIENCE_S), self._database.connect() as connection:
                    account = await account_at_close(connection, self._shard_id, account_id, day)
                    if prices is None:
                        ids = [each.instrument_id for each in self._instruments.all()]
                        prices = await prices_at_close(connection, self._shard_id, ids, day)
            except (TimeoutError, *DATABASE_ERRORS) as error:
                if not isinstance(error, TimeoutError) and not is_away(error):
                    raise
                metrics.DAY_BEFORE_LOOKUPS.labels("failed").inc()
                self._asks_again_at = time.monotonic() + _RETRY_S
                _log.warning("the day before is not known", reason=reason_of(error))
                return UNKNOWN
            if now - datetime(now.year, now.month, now.day, tzinfo=UTC) > _SETTLED_AFTER:
                self._keep(day, account_id, account, prices)
            metrics.DAY_BEFORE_LOOKUPS.labels("miss").inc()
        else:
            metrics.DAY_BEFORE_LOOKUPS.labels("hit").inc()
        return DayBefore(account, prices)

    def _keep(
        self, day: date, account_id: int, account: AtClose, prices: dict[int, Decimal]
    ) -> None:
        if day == self._day:
            self._prices = prices
            self._accounts[account_id] = account
            if len(self._accounts) > _ACCOUNTS_KEPT_MAX:
                self._accounts.popitem(last=False)
