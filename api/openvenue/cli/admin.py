"""The engine's administrative service, for commands that run and end."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc

from openvenue.cli.errors import CommandError
from openvenue.engine.client import open_channel
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.engine.v1 import engine_pb2_grpc as rpc
from openvenue.settings import Settings

_TIMEOUT_S = 10.0
_SNAPSHOT_TIMEOUT_S = 600.0

# What to do about refusals that a command can meet.
_ADVICE = {
    pb.REASON_UNKNOWN_ACCOUNT: "there is no such account; see `openvenue accounts list`",
    pb.REASON_UNKNOWN_INSTRUMENT: "there is no such instrument; see `openvenue instruments list`",
    pb.REASON_INSUFFICIENT_CASH: "more than the account's free cash; open orders reserve theirs",
    pb.REASON_INSUFFICIENT_POSITION: "more than the account's free position; open orders reserve "
    "theirs",
    pb.REASON_ALREADY_EXISTS: "it exists with other terms, and those cannot change",
    pb.REASON_INVALID_DEFINITION: "the terms contradict each other or are out of range",
    pb.REASON_CAPACITY: "the engine's limit is reached; start it with a larger --max-…",
    pb.REASON_OVERFLOW: "the amount is out of range",
}


class Admin:
    """Calls that raise CommandError, with advice, where the engine refuses or is away."""

    def __init__(self, channel: grpc.aio.Channel, target: str, shard_id: int) -> None:
        self._stub = rpc.AdminStub(channel)
        self._target = target
        self._shard_id = shard_id

    async def apply(self, request: pb.AdminRequest) -> pb.AdminResponse:
        """Carries a command out; returns once it is durable."""
        request.shard_id = self._shard_id
        with _explained(self._target):
            response: pb.AdminResponse = await self._stub.Apply(request, timeout=_TIMEOUT_S)
        if response.reject_reason != pb.REASON_NONE:
            name = pb.Reason.Name(response.reject_reason).removeprefix("REASON_").lower()
            advice = _ADVICE.get(response.reject_reason, "")
            raise CommandError(
                f"the engine refused: {name.replace('_', ' ')}; {advice}".rstrip("; ")
            )
        return response

    async def accounts(self) -> list[pb.Account]:
        with _explained(self._target):
            response = await self._stub.ListAccounts(pb.ListAccountsRequest(), timeout=_TIMEOUT_S)
        return list(response.accounts)

    async def account(self, account_id: int) -> pb.Account:
        for account in await self.accounts():
            if account.account_id == account_id:
                return account
        raise CommandError(f"there is no account {account_id}; see `openvenue accounts list`")

    async def instruments(self) -> list[pb.InstrumentInfo]:
        with _explained(self._target):
            response = await self._stub.ListInstruments(
                pb.ListInstrumentsRequest(), timeout=_TIMEOUT_S
            )
        return list(response.instruments)

    async def instrument(self, symbol: str) -> pb.InstrumentInfo:
        for instrument in await self.instruments():
            if instrument.terms.symbol == symbol:
                return instrument
        raise CommandError(f"there is no instrument {symbol}; see `openvenue instruments list`")

    async def status(self, *, with_state_hash: bool = False) -> pb.EngineStatus:
        """What the engine is at. Hashing the state holds orders up meanwhile."""
        with _explained(self._target):
            status: pb.EngineStatus = await self._stub.GetStatus(
                pb.GetStatusRequest(with_state_hash=with_state_hash), timeout=_TIMEOUT_S
            )
        return status

    async def is_serving(self) -> bool:
        """Whether the engine has recovered and answers."""
        try:
            await self._stub.GetStatus(pb.GetStatusRequest(), timeout=1.0)
        except grpc.aio.AioRpcError:
            return False
        return True

    async def snapshot(self) -> int:
        """Takes a snapshot; returns its sequence number once it is durable."""
        with _explained(self._target):
            response = await self._stub.TakeSnapshot(
                pb.TakeSnapshotRequest(), timeout=_SNAPSHOT_TIMEOUT_S
            )
        return int(response.sequence)


class _explained:
    """Turns what a call raises into a CommandError."""

    def __init__(self, target: str) -> None:
        self._target = target

    def __enter__(self) -> None: ...

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, grpc.aio.AioRpcError):
            if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                raise CommandError(
                    f"the engine at {self._target} does not answer: start a venue with "
                    "`openvenue up`, or name its engine with OPENVENUE_ENGINE_TARGET"
                ) from error
            raise CommandError(f"the engine refused: {error.details()}") from error


@asynccontextmanager
async def connect_admin(settings: Settings) -> AsyncIterator[Admin]:
    async with open_channel(settings) as channel:
        yield Admin(channel, settings.engine_target, settings.shard_id)
