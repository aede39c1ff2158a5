"""The engine's administrative service."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc

from openvenue.admin.errors import EngineAway, NotFound, Refused
from openvenue.engine.client import open_channel
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.engine.v1 import engine_pb2_grpc as rpc
from openvenue.settings import Settings

# A command returns once it is on disk, and a busy disk can stall for many seconds.
_TIMEOUT_S = 30.0
_SNAPSHOT_TIMEOUT_S = 600.0

# Each account comes with its positions, and a page must fit into one message.
_PAGE = 250

_GET_ONE = (
    "name a file with one of the engine's tokens in OPENVENUE_ENGINE_ADMIN_TOKEN_FILE (the engine "
    "reads them from its --admin-tokens; `openvenue up` keeps one in its data directory)"
)

# Advice for refusals that a command can meet.
_ADVICE = {
    pb.REASON_UNKNOWN_ACCOUNT: "there is no such account; see `openvenue accounts list`",
    pb.REASON_UNKNOWN_INSTRUMENT: "there is no such instrument; see `openvenue instruments list`",
    pb.REASON_INSUFFICIENT_CASH: "more than the account's free cash; open orders reserve theirs",
    pb.REASON_INSUFFICIENT_POSITION: "more than the account's free position; open orders reserve "
    "theirs",
    pb.REASON_ALREADY_EXISTS: "it exists with other terms, and those cannot change",
    pb.REASON_INVALID_DEFINITION: "its name, symbol or amounts are out of range",
    pb.REASON_CAPACITY: "the engine's limit is reached; start it with a larger --max-…",
    pb.REASON_OVERFLOW: "the amount is out of range",
}


class Admin:
    """Calls that raise AdminError, with advice, if the engine refuses or is down."""

    def __init__(self, channel: grpc.aio.Channel, target: str, token: str, shard_id: int) -> None:
        self._stub = rpc.AdminStub(channel)
        self._target = target
        self._metadata = (("authorization", f"Bearer {token}"),)
        self._shard_id = shard_id

    async def apply(self, request: pb.AdminRequest) -> pb.AdminResponse:
        """Execute a command; return once it is durable."""
        request.shard_id = self._shard_id
        with _explained(self._target):
            response: pb.AdminResponse = await self._stub.Apply(
                request, timeout=_TIMEOUT_S, metadata=self._metadata
            )
        if response.reject_reason != pb.REASON_NONE:
            name = pb.Reason.Name(response.reject_reason).removeprefix("REASON_").lower()
            advice = _ADVICE.get(response.reject_reason, "")
            raise Refused(f"the engine refused: {name.replace('_', ' ')}; {advice}".rstrip("; "))
        return response

    async def accounts(self) -> list[pb.Account]:
        """Return all accounts by number."""
        accounts: list[pb.Account] = []
        more = True
        while more:
            request = pb.ListAccountsRequest(
                after_account_id=accounts[-1].account_id if accounts else 0, limit=_PAGE
            )
            with _explained(self._target):
                page = await self._stub.ListAccounts(
                    request, timeout=_TIMEOUT_S, metadata=self._metadata
                )
            accounts += page.accounts
            more = page.more
        return accounts

    async def find_account(self, account_id: int) -> pb.Account | None:
        """Return the account, None if there is none."""
        with _explained(self._target):
            try:
                account: pb.Account = await self._stub.GetAccount(
                    pb.GetAccountRequest(account_id=account_id),
                    timeout=_TIMEOUT_S,
                    metadata=self._metadata,
                )
            except grpc.aio.AioRpcError as error:
                if error.code() != grpc.StatusCode.NOT_FOUND:
                    raise
                return None
        return account

    async def account(self, account_id: int) -> pb.Account:
        """Return the account. Raises NotFound if there is none."""
        account = await self.find_account(account_id)
        if account is None:
            raise NotFound(f"there is no account {account_id}; see `openvenue accounts list`")
        return account

    async def instruments(self) -> list[pb.InstrumentInfo]:
        """Return all instruments by number."""
        instruments: list[pb.InstrumentInfo] = []
        more = True
        while more:
            last_id = instruments[-1].terms.instrument_id if instruments else 0
            request = pb.ListInstrumentsRequest(after_instrument_id=last_id, limit=_PAGE)
            with _explained(self._target):
                page = await self._stub.ListInstruments(
                    request, timeout=_TIMEOUT_S, metadata=self._metadata
                )
            instruments += page.instruments
            more = page.more
        return instruments

    async def instrument(self, symbol: str) -> pb.InstrumentInfo:
        """Return the instrument. Raises NotFound if there is none."""
        for instrument in await self.instruments():
            if instrument.terms.symbol == symbol:
                return instrument
        raise NotFound(f"there is no instrument {symbol}; see `openvenue instruments list`")

    async def status(self, *, with_state_hash: bool = False) -> pb.EngineStatus:
        """Return the engine's status. Hashing the state delays orders meanwhile."""
        with _explained(self._target):
            status: pb.EngineStatus = await self._stub.GetStatus(
                pb.GetStatusRequest(with_state_hash=with_state_hash),
                timeout=_TIMEOUT_S,
                metadata=self._metadata,
            )
        return status

    async def is_serving(self) -> bool:
        """True once the engine has recovered and answers."""
        try:
            await self._stub.GetStatus(pb.GetStatusRequest(), timeout=1.0, metadata=self._metadata)
        except grpc.aio.AioRpcError:
            return False
        return True

    async def snapshot(self) -> int:
        """Take a snapshot; return its sequence number once it is durable."""
        with _explained(self._target):
            response = await self._stub.TakeSnapshot(
                pb.TakeSnapshotRequest(), timeout=_SNAPSHOT_TIMEOUT_S, metadata=self._metadata
            )
        return int(response.sequence)


class _explained:
    """Turns a call's error into an AdminError."""

    def __init__(self, target: str) -> None:
        self._target = target

    def __enter__(self) -> None: ...

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, grpc.aio.AioRpcError):
            if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                raise EngineAway(
                    f"the engine's administration at {self._target} does not answer: start a venue "
                    "with `openvenue up`, or name its engine with OPENVENUE_ENGINE_ADMIN_TARGET"
                ) from error
            if error.code() == grpc.StatusCode.UNAUTHENTICATED:
                raise Refused(
                    f"the engine at {self._target} does not know this token: {_GET_ONE}"
                ) from error
            raise Refused(f"the engine refused: {error.details()}") from error


@asynccontextmanager
async def connect_admin(settings: Settings) -> AsyncIterator[Admin]:
    """Connect to the engine's administration. Raises Refused if there is no token."""
    target = settings.engine_admin_target
    token = _read_token(settings.engine_admin_token_file)
    async with open_channel(settings, target) as channel:
        yield Admin(channel, target, token, settings.shard_id)


def _read_token(file: Path | None) -> str:
    if file is None:
        raise Refused(f"this takes an administrator's token: {_GET_ONE}")
    try:
        token = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise Refused(f"{file} cannot be read ({reason}): {_GET_ONE}") from error
    if not (token.isascii() and token.isprintable() and token):
        raise Refused(f"{file} does not hold a token: {_GET_ONE}")
    return token
