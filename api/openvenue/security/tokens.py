"""Bearer tokens of an external issuer: JSON Web Tokens, checked as RFC 9068 and RFC 8725 say.

A token is good if a published key of the issuer signed it with a configured algorithm, and `iss`,
`aud`, `exp`, `nbf` and `typ` are right. It names the account that it acts for, and has scopes like
a key. A checked token is kept until it ends, so that a request with it costs a hash and no
signature. It is no longer good once the issuer does not publish the key that signed it.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import jwt
import msgspec

from openvenue import metrics
from openvenue.security.issuer import IssuerKeys
from openvenue.security.principal import InvalidToken, Principal
from openvenue.settings import OidcSettings
from openvenue.telemetry import log_refusal
from openvenue.vocabulary import SCOPES, Scope

_TYPES = ("jwt", "at+jwt")
_ACCOUNT_DIGITS_MAX = 10
_ACCOUNT_MAX = (1 << 32) - 1
_NEVER_S = 1 << 40  # seconds since 1970

# The first that fits. A sentence for the client, and the cause of the metric.
_FAILURES: tuple[tuple[type[jwt.PyJWTError], str, str], ...] = (
    (jwt.ExpiredSignatureError, "expired", "the token has expired"),
    (jwt.ImmatureSignatureError, "early", "the token is not valid yet"),
    (jwt.InvalidAudienceError, "audience", "the token is for another audience"),
    (jwt.InvalidIssuerError, "issuer", "the token is of another issuer"),
    (jwt.MissingRequiredClaimError, "claims", "the token lacks one of exp, iss and aud"),
    (jwt.InvalidSignatureError, "signature", "the token's signature is wrong"),
    (jwt.InvalidKeyError, "signature", "the token's key is too short for its algorithm"),
    (jwt.PyJWTError, "malformed", "the token is malformed"),
)


class Token(msgspec.Struct):
    """A token whose signature and claims were checked."""

    account_id: int
    scopes: frozenset[Scope]
    ends_at_s: float
    """Seconds since 1970, the leeway included."""
    signed_by: str
    """The thumbprint of the issuer's key."""
    principal: Principal | None = None
    """What was made of it and of `account` last."""
    account: Principal | None = None


class Tokens:
    """Checks tokens, and remembers the good ones in bounded number."""

    def __init__(self, settings: OidcSettings, keys: IssuerKeys, *, entries_max: int) -> None:
        self._settings = settings
        self._keys = keys
        self._entries_max = entries_max
        self._checked: OrderedDict[bytes, Token] = OrderedDict()
        self._hits = metrics.PendingCounter(metrics.TOKEN_CHECKS.labels("hit"))
        self._verified = metrics.TOKEN_CHECKS.labels("verified")

    async def check(self, encoded: bytes, now_s: float) -> Token:
        """Return a token that is good at `now_s`, in seconds since 1970.

        Raises InvalidToken, or UncheckedCredentials if the issuer does not answer.
        """
        digest = hashlib.sha256(encoded).digest()
        token = self._checked.get(digest)
        if token is not None and now_s < token.ends_at_s and self._keys.publishes(token.signed_by):
            self._keys.require_fresh()
            self._checked.move_to_end(digest)
            self._hits.pending += 1
            return token
        self._checked.pop(digest, None)
        token = await self._verify(encoded)
        self._verified.inc()
        if len(self._checked) >= self._entries_max:
            self._checked.popitem(last=False)
        self._checked[digest] = token
        return token

    def may_be_of(self, signed_by: str) -> bool:
        """True unless the issuer has withdrawn the key that signed a token."""
        return self._keys.publishes(signed_by)

    def export_metrics(self) -> None:
        """Export what was counted in memory."""
        self._hits.export()
        self._keys.export_metrics()

    async def run(self) -> None:
        """Keep the issuer's keys fresh until cancelled."""
        await self._keys.run()

    async def _verify(self, encoded: bytes) -> Token:
        settings = self._settings
        if len(encoded) > settings.token_bytes_max:
            raise _refused("size", f"the token is longer than {settings.token_bytes_max} bytes")
        try:
            header = jwt.get_unverified_header(encoded)
        except jwt.PyJWTError:
            raise _refused("malformed", "the token is malformed") from None
        key_id, algorithm = self._chosen(header)
        key = await self._keys.find(key_id, algorithm)
        if key is None:
            raise _refused("key", "the issuer publishes no such key for the token's algorithm")
        try:
            claims = jwt.decode(
                encoded,
                key.key,
                algorithms=[algorithm],
                audience=settings.audience,
                issuer=settings.issuer,
                leeway=settings.leeway_s,
                options={"require": ["exp", "iss", "aud"], "enforce_minimum_key_length": True},
            )
        except jwt.PyJWTError as error:
            cause, detail = next(rest for kind, *rest in _FAILURES if isinstance(error, kind))
            raise _refused(cause, detail) from None
        return self._read(claims, key.thumbprint)

    def _chosen(self, header: Mapping[str, Any]) -> tuple[str, str]:
        """Return the id and the algorithm of the key that a header names."""
        settings = self._settings
        algorithm, key_id = header.get("alg"), header.get("kid")
        if algorithm not in settings.algorithms:
            raise _refused(
                "algorithm", f"the token's algorithm is none of {', '.join(settings.algorithms)}"
            )
        if not isinstance(key_id, str) or not key_id:
            raise _refused("key", "the token does not say which key signed it (kid)")
        if "crit" in header:
            raise _refused("malformed", "the token has critical headers, which nobody knows here")
        kind = header.get("typ", "jwt")
        kind = kind.lower().removeprefix("application/") if isinstance(kind, str) else ""
        if kind not in (_TYPES[1:] if settings.require_at_jwt else _TYPES):
            raise _refused("type", "this kind of token is not for access (typ)")
        return key_id, algorithm

    def _read(self, claims: Mapping[str, Any], signed_by: str) -> Token:
        settings = self._settings
        if "cnf" in claims:
            # Taken as a bearer token, it would work for whoever has stolen it (RFC 9449, 7.2).
            raise _refused("claims", "the token is bound to a key of its client (cnf)")
        account_id = _account_of(claims.get(settings.account_claim))
        if account_id is None:
            raise _refused(
                "claims", f"the token's claim {settings.account_claim} has no account's number"
            )
        ends_at_s = min(int(claims["exp"]), _NEVER_S) + settings.leeway_s
        scopes = _scopes_of(claims.get(settings.scope_claim), settings.scope_prefix)
        return Token(account_id, scopes, ends_at_s, signed_by)


def _account_of(claim: object) -> int | None:
    """Return an account's number, given as a number or as decimal digits."""
    if isinstance(claim, str) and len(claim) <= _ACCOUNT_DIGITS_MAX:
        claim = int(claim) if claim.isascii() and claim.isdigit() else None
    if type(claim) is not int or not 0 < claim <= _ACCOUNT_MAX:
        return None
    return claim


def _scopes_of(claim: object, prefix: str) -> frozenset[Scope]:
    """Return the scopes that this venue knows."""
    words = claim.split() if isinstance(claim, str) else claim
    if not isinstance(words, list):
        return frozenset()
    return frozenset(scope for scope in SCOPES if prefix + scope in words)


def _refused(cause: str, detail: str) -> InvalidToken:
    metrics.TOKEN_REFUSALS.labels(cause).inc()
    log_refusal("token refused", cause)
    return InvalidToken(detail)
