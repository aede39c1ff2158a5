"""Checks in the background whether the engine answers.

A session can be up while nothing answers: a process that hangs keeps its connections, and a disk
that hangs keeps its answers back. So a task asks the engine something each second, on the path of
orders (its ring, its shard, its journal). Readers take the last result.
"""

import asyncio
import time

import grpc

from openvenue import metrics
from openvenue.engine.client import EngineClient
from openvenue.engine.v1 import engine_pb2 as pb

_INTERVAL_S = 1.0
# Any answer will do, even that there is no such account.
_QUESTION = pb.Request(get_account=pb.GetAccount(account_id=1))


class EngineProbe:
    """Asks the engine while `run` runs."""

    def __init__(self, engine: EngineClient, shard_id: int, timeout_s: float) -> None:
        self._engine = engine
        self._question = pb.SessionRequest(requests=[_QUESTION], shard_id=shard_id)
        self._timeout_s = timeout_s
        self._asked_in_vain_at: float | None = None

    @property
    def silent(self) -> bool:
        """True if the last question was not answered in time."""
        return self._asked_in_vain_at is not None

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            asked_at = time.monotonic()
            if not self._engine.connected or await self._answers():
                self._asked_in_vain_at = None
            elif self._asked_in_vain_at is None:
                self._asked_in_vain_at = asked_at
            await asyncio.sleep(asked_at + _INTERVAL_S - time.monotonic())

    def export_metrics(self) -> None:
        """Set the gauge of the time without an answer."""
        since = self._asked_in_vain_at
        metrics.ENGINE_SILENT_SECONDS.set(0 if since is None else time.monotonic() - since)

    async def _answers(self) -> bool:
        try:
            await self._engine.trading.Submit(self._question, timeout=self._timeout_s)
        except grpc.aio.AioRpcError as error:
            # Any other error is an answer, or a lost connection, which the session reports.
            return error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED
        return True
