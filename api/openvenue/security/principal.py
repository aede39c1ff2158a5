"""The principal of a request, and the reasons why it may be unknown."""

import msgspec

from openvenue.security.client_address import Network
from openvenue.vocabulary import Scope


class Restrictions(msgspec.Struct, frozen=True, gc=False):
    """What an account's orders may not do: its owner has forbidden it, or an administrator."""

    suspend_trade: bool
    no_shorting: bool
    whole_quantities: bool
    trading_blocked: bool = False
    """By an administrator; its owner cannot undo it."""


class Principal(msgspec.Struct, frozen=True, gc=False):
    """The account that a request acts for, and what it may do. Made once per key and kept with
    it."""

    account_id: int
    key_id: str
    shard_id: int
    scopes: frozenset[Scope]
    restrictions: Restrictions | None = None
    """None: nothing is forbidden."""
    expires_at_s: float | None = None
    """Seconds since 1970, from which on it is refused; None: it does not end by itself."""
    networks: tuple[Network, ...] | None = None
    """Of the clients that may use it; None: all."""
    requests_per_minute: int | None = None
    """Instead of the venue's rate limit; 0: as many as there are."""


def may(principal: Principal, needed: Scope) -> bool:
    """True if a principal's scopes have the one that is needed: `read` includes `data`."""
    scopes = principal.scopes
    return needed in scopes or (needed == "data" and "read" in scopes)


class NotAuthenticated(Exception):
    """A request has no principal; the message says why, without any secret."""


class MalformedCredentials(NotAuthenticated):
    """The request can be read in two ways."""


class UnknownCredentials(NotAuthenticated):
    """No key, an unknown, revoked or expired one, or a wrong secret; it does not say which."""


class UncheckedCredentials(NotAuthenticated):
    """The key is unknown and the database does not answer; the same request may succeed later."""
