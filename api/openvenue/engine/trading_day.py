"""The end of the trading day, which the API asks of the engine once a day."""

import asyncio
import time

import grpc

from openvenue.engine.client import EngineClient
from openvenue.engine.errors import EngineUnavailable
from openvenue.engine.v1 import engine_pb2 as pb

_TIMEOUT_S = 5.0
_RETRY_S = 0.5
_CHECK_S = 60.0


class TradingDay:
    """The ends of trading days. A trading day has 24 hours, so one end determines all others."""

    LENGTH_NS = 24 * 3600 * 10**9

    def __init__(self, end_ns: int = 0) -> None:
        self._end_ns = end_ns

    @property
    def known(self) -> bool:
        """True once the engine has given the end of a day."""
        return self._end_ns != 0

    def end_after(self, timestamp_ns: int) -> int:
        """Return the first end of a trading day after a time; precondition: `known`."""
        days = (self._end_ns - timestamp_ns - 1) // self.LENGTH_NS
        return self._end_ns - days * self.LENGTH_NS


class FollowedTradingDay(TradingDay):
    """Remembers the end of the current trading day; `run` keeps it up to date."""

    def __init__(self, engine: EngineClient) -> None:
        super().__init__()
        self._engine = engine

    async def end_ns(self) -> int:
        """Return when DAY orders expire next, in ns since the epoch; raises EngineUnavailable."""
        if self._end_ns <= time.time_ns():
            try:
                status = await self._engine.admin.GetStatus(
                    pb.GetStatusRequest(), timeout=_TIMEOUT_S
                )
            except grpc.aio.AioRpcError as error:
                raise EngineUnavailable("the matching engine did not answer") from error
            self._end_ns = status.trading_day_end_ns
        return self._end_ns

    async def run(self) -> None:
        """Ask until the end is known, and again when the day is over."""
        while True:
            try:
                await self.end_ns()
                await asyncio.sleep(_CHECK_S)
            except EngineUnavailable:
                await asyncio.sleep(_RETRY_S)
