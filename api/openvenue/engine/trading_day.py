"""When the trading day ends, asked of the engine once a day."""

import time

import grpc

from openvenue.engine.client import EngineClient
from openvenue.engine.errors import EngineUnavailable
from openvenue.engine.v1 import engine_pb2 as pb

_TIMEOUT_S = 5.0


class TradingDay:
    """Remembers the end of the current trading day."""

    def __init__(self, engine: EngineClient) -> None:
        self._engine = engine
        self._end_ns = 0

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
