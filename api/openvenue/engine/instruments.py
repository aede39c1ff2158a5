"""The venue's instruments, kept in memory: every order needs one, and they rarely change.

The cache asks the engine at the start, periodically, for unknown symbols and for the whole list. It
asks at most once in an interval (default: a second), so that a stream of wrong symbols costs the
engine nothing.
"""

import asyncio
from dataclasses import dataclass

import grpc

from openvenue import metrics
from openvenue.engine.client import EngineClient
from openvenue.engine.errors import EngineUnavailable
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.ids import IdSpace, Kind
from openvenue.telemetry import get_logger
from openvenue.vocabulary import ASSET_CLASSES, AssetClass

_LOADING_POLL_S = 0.1
_REFRESH_TIMEOUT_S = 2.0
_WAITING_MAX = 1000

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Instrument:
    """Terms of one instrument; sizes in nanos of the currency or unit, limits in ticks and lots."""

    instrument_id: int
    asset_id: str
    symbol: str
    name: str
    asset_class: AssetClass
    active: bool
    tick_nanos: int
    lot_nanos: int
    min_price_ticks: int
    max_price_ticks: int
    max_order_qty_lots: int
    engine_schema: int = 0
    """Schema version of its engine: which fields of an order that knows. 0: unknown."""

    def value_micros(self, lots: int, price_ticks: int) -> int:
        """Return the value of `lots` at a price. One lot at one tick is whole micros."""
        return lots * self.lot_nanos * price_ticks * self.tick_nanos // 10**12


class Instruments:
    """Look-ups by symbol, public asset id and engine id."""

    def __init__(
        self, engine: EngineClient, shard_id: int, refresh_s: float, ask_interval_s: float = 1.0
    ) -> None:
        self._engine = engine
        self._ids = IdSpace(shard_id, Kind.INSTRUMENT)
        self._refresh_s = refresh_s
        self._ask_interval_s = ask_interval_s
        self._by_name: dict[str, Instrument] = {}
        self._by_id: dict[int, Instrument] = {}
        self.loaded = False
        """True if the engine has answered since the start."""
        self._asked_at = float("-inf")
        self._turn = asyncio.Lock()
        self._next_refresh: asyncio.Task[bool] | None = None
        self._waiting = 0
        self._left_out: set[int] = set()
        self._hits = metrics.PendingCounter(metrics.INSTRUMENT_LOOKUPS.labels("hit"))

    def export_metrics(self) -> None:
        """Export what was counted in memory."""
        self._hits.export()

    def get(self, symbol_or_asset_id: str) -> Instrument | None:
        """Return the instrument if it is known already; see `find`."""
        instrument = self._by_name.get(symbol_or_asset_id)
        if instrument is not None:
            self._hits.pending += 1
        return instrument

    async def find(self, symbol_or_asset_id: str) -> Instrument | None:
        """Return the instrument, asking the engine if it is not known yet.

        None is certain: the engine has said so since the call. Raises EngineUnavailable if it does
        not answer, or if too many requests wait for that.
        """
        instrument = self.get(symbol_or_asset_id)
        if instrument is not None:
            return instrument
        metrics.INSTRUMENT_LOOKUPS.labels("miss").inc()
        await self._must_refresh()
        return self._by_name.get(symbol_or_asset_id.lower()) or self._by_name.get(
            symbol_or_asset_id
        )

    async def list_now(self) -> list[Instrument]:
        """Return all instruments by symbol, as the engine has them since the call.

        For clients that keep the list for ever, as ccxt does. Raises EngineUnavailable as `find`
        does.
        """
        await self._must_refresh()
        return self.all()

    async def of_id(self, instrument_id: int) -> Instrument:
        """Return the instrument of an engine id that came from the engine or its journal.

        Raises EngineUnavailable if it cannot be found out.
        """
        instrument = self._by_id.get(instrument_id)
        if instrument is None:
            await self._refresh_from_now()
            instrument = self._by_id.get(instrument_id)
        if instrument is None:
            raise EngineUnavailable(f"instrument {instrument_id} could not be read from the engine")
        return instrument

    def all(self) -> list[Instrument]:
        """Return all known instruments by symbol; see `list_now`."""
        return sorted(self._by_id.values(), key=lambda instrument: instrument.symbol)

    async def run(self) -> None:
        """Refresh until cancelled."""
        while True:
            await self._refresh_from_now()
            await asyncio.sleep(self._refresh_s if self.loaded else _LOADING_POLL_S)

    async def _must_refresh(self) -> None:
        if not await self._refresh_from_now():
            raise EngineUnavailable("the instruments could not be read from the matching engine")

    async def _refresh_from_now(self) -> bool:
        """Ask the engine as soon as allowed; return True if it answered.

        Callers before that moment wait for the same answer.
        """
        if not self._engine.connected or self._waiting >= _WAITING_MAX:
            return False
        if self._next_refresh is None:
            self._next_refresh = asyncio.create_task(self._refresh_when_due())
        self._waiting += 1
        try:
            return await asyncio.shield(self._next_refresh)
        finally:
            self._waiting -= 1

    async def _refresh_when_due(self) -> bool:
        loop = asyncio.get_running_loop()
        async with self._turn:
            # Counted from the last attempt, so that an engine in trouble is left alone too.
            await asyncio.sleep(self._asked_at + self._ask_interval_s - loop.time())
            self._asked_at = loop.time()
            self._next_refresh = None  # This answer may lack later definitions.
            return await self._refresh()

    async def _refresh(self) -> bool:
        try:
            response = await self._engine.admin.ListInstruments(
                pb.ListInstrumentsRequest(), timeout=_REFRESH_TIMEOUT_S
            )
        except grpc.aio.AioRpcError as error:
            _log.warning("instruments not refreshed", reason=error.code().name)
            return False
        by_id = {
            info.terms.instrument_id: instrument_of(info.terms, self._ids, response.schema_version)
            for info in response.instruments
            if self._understood(info.terms)
        }
        by_name: dict[str, Instrument] = {}
        for instrument in by_id.values():
            by_name[instrument.asset_id] = instrument
            # Alpaca's older spelling of a currency pair; a real symbol of that name takes
            # precedence.
            by_name.setdefault(instrument.symbol.replace("/", ""), instrument)
        by_name.update((instrument.symbol, instrument) for instrument in by_id.values())
        self._by_id, self._by_name = by_id, by_name
        self.loaded = True
        return True

    def _understood(self, terms: pb.DefineInstrument) -> bool:
        """False if the instrument is of a kind that a later version added."""
        understood = terms.asset_class in ASSET_CLASSES
        if not understood and terms.instrument_id not in self._left_out:
            self._left_out.add(terms.instrument_id)
            _log.warning(
                "instrument left out: its asset class came with a later version",
                symbol=terms.symbol,
                asset_class=terms.asset_class,
            )
        return understood


def instrument_of(terms: pb.DefineInstrument, ids: IdSpace, engine_schema: int = 0) -> Instrument:
    """Return the instrument that has these terms; `ids` are those of the shard's instruments.

    Raises UnknownEnumerator for an asset class of a later version.
    """
    return Instrument(
        instrument_id=terms.instrument_id,
        asset_id=ids.format(terms.instrument_id),
        symbol=terms.symbol,
        name=terms.name,
        asset_class=ASSET_CLASSES[terms.asset_class],
        active=terms.state == pb.INSTRUMENT_STATE_ACTIVE,
        tick_nanos=terms.tick_size_nanos,
        lot_nanos=terms.lot_size_nanos,
        min_price_ticks=terms.min_price_ticks,
        max_price_ticks=terms.max_price_ticks,
        max_order_qty_lots=terms.max_order_qty_lots,
        engine_schema=engine_schema,
    )
