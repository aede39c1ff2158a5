"""Who asks, once that is known, and why it is not."""

import msgspec


class Principal(msgspec.Struct, frozen=True, gc=False):
    """Whom a request speaks for. Made once for each key and kept with it, not for each request."""

    account_id: int
    key_id: str
    shard_id: int


class NotAuthenticated(Exception):
    """A request has no principal; the message says why, and holds no secret."""


class MalformedCredentials(NotAuthenticated):
    """The request can be read in two ways, and is neither."""


class UnknownCredentials(NotAuthenticated):
    """No key, an unknown or revoked one, or a wrong secret; it does not say which."""


class UncheckedCredentials(NotAuthenticated):
    """The database would have to be asked and does not answer; the same request may do later."""
