"""Which accounts the venue has: the engine is asked, once for each account that a token names.

The projection cannot say so: it lags a little, and is empty while it is rebuilt. No account is ever
closed, so one that was there stays.
"""

from collections.abc import Awaitable, Callable

from openvenue.engine.errors import EngineError
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.security.principal import UncheckedCredentials

_UNCHECKED = "the token's account cannot be checked at the moment: the matching engine is away"


class OpenAccounts:
    """Remembers the accounts that are open. `ask` sends a request to the engine."""

    def __init__(
        self, ask: Callable[[pb.Request], Awaitable[pb.Reply]], *, entries_max: int
    ) -> None:
        self._ask = ask
        self._entries_max = entries_max
        self._open: set[int] = set()

    async def has(self, account_id: int) -> bool:
        """True if the account is open. Raises UncheckedCredentials if the engine does not say."""
        if account_id in self._open:
            return True
        try:
            reply = await self._ask(pb.Request(get_account=pb.GetAccount(account_id=account_id)))
        except EngineError as error:
            raise UncheckedCredentials(_UNCHECKED) from error
        if reply.HasField("account"):
            if len(self._open) >= self._entries_max:
                self._open.clear()
            self._open.add(account_id)
            return True
        if reply.not_sequenced.cause == pb.NotSequenced.CAUSE_NOT_FOUND:
            return False
        raise UncheckedCredentials(_UNCHECKED)
