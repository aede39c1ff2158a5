"""The principal of a request, and the reasons why it may be unknown."""

import msgspec

from openvenue.security.client_address import Network
from openvenue.vocabulary import Scope

_ACCOUNT = "account:"


class Restrictions(msgspec.Struct, frozen=True, gc=False):
    """What an account's orders may not do: its owner has forbidden it, or an administrator."""

    suspend_trade: bool
    no_shorting: bool
    whole_quantities: bool
    trading_blocked: bool = False
    """By an administrator; its owner cannot undo it."""


class Principal(msgspec.Struct, frozen=True, gc=False):
    """The account that a request acts for, and what it may do. Made once per key or token and kept
    with it."""

    account_id: int
    key_id: str
    """All tokens for an account have the same, `account_key_id`: they share what a key has."""
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
    signed_by: str | None = None
    """Thumbprint of the issuer's key that signed its token; None: it has an API key."""

    @property
    def credential(self) -> str:
        """What it came with, in words."""
        return "key" if self.signed_by is None else "token"


def account_key_id(account_id: int) -> str:
    """Return what stands for the key of a token; no API key has a colon.

    PostgreSQL announces changes of an account's configuration under this name.
    """
    return f"{_ACCOUNT}{account_id}"


def account_of_key_id(key_id: str) -> int:
    """Return the account of an `account_key_id`."""
    return int(key_id.removeprefix(_ACCOUNT))


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

    def __init__(self, *, takes_tokens: bool = False) -> None:
        super().__init__()
        self.takes_tokens = takes_tokens


class InvalidToken(NotAuthenticated):
    """The bearer token is not one for this venue, or no longer; says why."""


class UnknownAccount(NotAuthenticated):
    """The token is good, but the venue does not have its account; says which."""


class UncheckedCredentials(NotAuthenticated):
    """Database, issuer or engine would have to be asked and does not answer; the same request may
    succeed later."""
