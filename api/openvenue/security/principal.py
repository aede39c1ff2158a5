"""The principal of a request, and the reasons why it may be unknown."""

import msgspec

from openvenue.vocabulary import Scope


class Restrictions(msgspec.Struct, frozen=True, gc=False):
    """What an account's owner has forbidden its orders."""

    suspend_trade: bool
    no_shorting: bool
    whole_quantities: bool


class Principal(msgspec.Struct, frozen=True, gc=False):
    """The account that a request acts for, and what it may do. Made once per key and kept with
    it."""

    account_id: int
    key_id: str
    shard_id: int
    scopes: frozenset[Scope]
    restrictions: Restrictions | None = None
    """None: nothing is forbidden."""


class NotAuthenticated(Exception):
    """A request has no principal; the message says why, without any secret."""


class MalformedCredentials(NotAuthenticated):
    """The request can be read in two ways."""


class UnknownCredentials(NotAuthenticated):
    """No key, an unknown or revoked one, or a wrong secret; it does not say which."""


class UncheckedCredentials(NotAuthenticated):
    """The key is unknown and the database does not answer; the same request may succeed later."""
