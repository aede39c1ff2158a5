"""The engine's administrative service."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc

from openvenue.admin.errors import (
    AdminError,
    EngineAway,
    InvalidRequest,
    NotAdmitted,
    NotFound,
    Refused,
    TryLater,
)
from openvenue.engine.client import open_channel
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.engine.v1 import engine_pb2_grpc as rpc
from openvenue.settings import Settings

# A command returns once it is on disk, and a busy disk can stall for many seconds.
COMMAND_TIMEOUT_S = 30.0
_SNAPSHOT_TIMEOUT_S = 600.0
_CHECK_TIMEOUT_S = 5.0
_TOKEN_CHARACTERS_MAX = 4096
_LAST_ACCOUNT = (1 << 32) - 1

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
        self.shard_id = shard_id

    async def check_token(self) -> None:
        """Raise NotAdmitted if the engine does not know the token."""
        # On no listener does the engine answer this without a token. It does answer GetStatus so
        # on that of clients, which the target could name by mistake.
        with _explained(self._target):
            await self._stub.ListAccounts(
                pb.ListAccountsRequest(after_account_id=_LAST_ACCOUNT, limit=1),
                timeout=_CHECK_TIMEOUT_S,
                metadata=self._metadata,
            )

    async def apply(self, request: pb.AdminRequest) -> pb.AdminResponse:
        """Execute a command; return once it is durable."""
        request.shard_id = self.shard_id
        with _explained(self._target):
            response: pb.AdminResponse = await self._stub.Apply(
                request, timeout=COMMAND_TIMEOUT_S, metadata=self._metadata
            )
        if response.reject_reason != pb.REASON_NONE:
            name = pb.Reason.Name(response.reject_reason).removeprefix("REASON_").lower()
            advice = _ADVICE.get(response.reject_reason, "")
            sentence = f"the engine refused: {name.replace('_', ' ')}; {advice}".rstrip("; ")
            raise Refused(sentence, response.reject_reason)
        return response

    async def accounts(self) -> list[pb.Account]:
        """Return all accounts by number."""
        accounts: list[pb.Account] = []
        more = True
        while more:
            after = accounts[-1].account_id if accounts else 0
            page, more = await self.accounts_after(after, _PAGE)
            accounts += page
        return accounts

    async def accounts_after(self, account_id: int, limit: int) -> tuple[list[pb.Account], bool]:
        """Return accounts above a number, and whether there are more. At most 250 at a time."""
        request = pb.ListAccountsRequest(after_account_id=account_id, limit=limit)
        with _explained(self._target):
            page = await self._stub.ListAccounts(
                request, timeout=COMMAND_TIMEOUT_S, metadata=self._metadata
            )
        return list(page.accounts), page.more

    async def find_account(self, account_id: int) -> pb.Account | None:
        """Return the account, None if there is none."""
        with _explained(self._target):
            try:
                account: pb.Account = await self._stub.GetAccount(
                    pb.GetAccountRequest(account_id=account_id),
                    timeout=COMMAND_TIMEOUT_S,
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
                    request, timeout=COMMAND_TIMEOUT_S, metadata=self._metadata
                )
            instruments += page.instruments
            more = page.more
        return instruments

    async def terms(self) -> dict[int, pb.DefineInstrument]:
        """Return the terms of all instruments, by number."""
        return {info.terms.instrument_id: info.terms for info in await self.instruments()}

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
                timeout=COMMAND_TIMEOUT_S,
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
            raise _explanation(error, self._target) from error


def _explanation(error: grpc.aio.AioRpcError, target: str) -> AdminError:
    code, said = error.code(), f"the engine refused: {error.details()}"
    if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
        return EngineAway(
            f"the engine's administration at {target} does not answer: start a venue with "
            "`openvenue up`, or name its engine with OPENVENUE_ENGINE_ADMIN_TARGET"
        )
    if code == grpc.StatusCode.UNAUTHENTICATED:
        return NotAdmitted(f"the engine at {target} does not know this token: {_GET_ONE}")
    if code == grpc.StatusCode.INVALID_ARGUMENT:
        return InvalidRequest(said)
    if code in (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.ABORTED):
        return TryLater(said)
    return Refused(said)


@asynccontextmanager
async def connect_admin(settings: Settings) -> AsyncIterator[Admin]:
    """Connect to the engine's administration. Raises Refused if there is no token."""
    target = settings.engine_admin_target
    token = read_token(settings.engine_admin_token_file)
    async with open_channel(settings, target) as channel:
        yield Admin(channel, target, token, settings.shard_id)


def may_be_token(token: str) -> bool:
    """True if it can be sent to the engine."""
    return 0 < len(token) <= _TOKEN_CHARACTERS_MAX and token.isascii() and token.isprintable()


def read_token(file: Path | None) -> str:
    """Return the token in a file. Raises NotAdmitted."""
    if file is None:
        raise NotAdmitted(f"this takes an administrator's token: {_GET_ONE}")
    try:
        token = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise NotAdmitted(f"{file} cannot be read ({reason}): {_GET_ONE}") from error
    if not may_be_token(token):
        raise NotAdmitted(f"{file} does not hold a token: {_GET_ONE}")
    return token
