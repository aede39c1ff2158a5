"""Errors as clients see them: RFC 9457 problem documents that also have Alpaca's code and message.

    status  code      meaning
    400     40010000  the request is malformed
    401     40110000  the key is missing, unknown, revoked or expired; or the token is no good
    403     40110000  the key or token may not
    403     40310000  the account may not, or lacks money or shares
    404     40410000  it does not exist
    405     40510000  the path has no such method
    408     40810000  the request took too long to come
    409     40910000  it exists already, with other terms
    413     41310000  the body is too large
    422     40010001  a field or parameter is invalid in itself
    422     42210000  the fields are valid, but not for this order
    429     42910000  a rate limit of the key is reached, or this process is at one of its limits
    431     43110000  the headers are too large
    500     50010000  a fault of the venue; nothing happened
    503     50310000  nothing happened, or the fate is unknown and the detail says so

The codes are Alpaca's, so that its clients recognise them. A key that may not has the code of an
unknown one: ccxt takes other codes of 403 for a venue that is away, and would try again. No status
here is 504, and no order whose fate is unknown is reported as failed: clients resend on 504, and
give up on a failure.
"""

import math
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

import msgspec

from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.security.principal import (
    InvalidToken,
    MalformedCredentials,
    NotAuthenticated,
    Principal,
    UncheckedCredentials,
    UnknownAccount,
    UnknownCredentials,
)
from openvenue.vocabulary import ORDER_STATUSES

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 1
READ_ONLY_RETRY_AFTER_S = 10  # nobody makes room on a disk within a second

BAD_REQUEST = 40010000
INVALID = 40010001
UNAUTHORIZED = 40110000
REFUSED = 40310000
NOT_FOUND = 40410000
METHOD_NOT_ALLOWED = 40510000
TOO_SLOW = 40810000
CONFLICT = 40910000
TOO_LARGE = 41310000
ENCODED_BODY = 41510000
UNPROCESSABLE = 42210000
HEAD_TOO_LARGE = 43110000
TOO_MANY = 42910000
INTERNAL = 50010000
UNAVAILABLE = 50310000

TITLES = {
    BAD_REQUEST: "Malformed request",
    INVALID: "Invalid request",
    UNAUTHORIZED: "Not authorized",
    REFUSED: "Order refused",
    NOT_FOUND: "Not found",
    METHOD_NOT_ALLOWED: "Method not allowed",
    TOO_SLOW: "Request too slow",
    CONFLICT: "Exists already",
    TOO_LARGE: "Body too large",
    ENCODED_BODY: "Body compressed",
    HEAD_TOO_LARGE: "Headers too large",
    UNPROCESSABLE: "Order not possible",
    TOO_MANY: "Too many requests",
    INTERNAL: "Internal error",
    UNAVAILABLE: "Unavailable",
}


class Problem(Exception):
    """An answer other than success. `detail` is a sentence that says what to do about it.

    `members` are further members of the document.
    """

    def __init__(
        self,
        status: int,
        code: int,
        detail: str,
        *,
        title: str | None = None,
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.title = title or TITLES[code]
        self.detail = detail
        self.headers = dict(headers or {})
        self.members = members

    def body(self, instance: str) -> bytes:
        """Return the document; `instance` is the requested path."""
        return msgspec.json.encode(
            {
                "type": "urn:openvenue:problem:" + self.title.lower().replace(" ", "-"),
                "title": self.title,
                "status": self.status,
                "detail": self.detail,
                "instance": instance,
                "code": self.code,
                "message": self.detail,
                **self.members,
            }
        )


def bad_request(detail: str) -> Problem:
    """400: the body is not what its media type says."""
    return Problem(HTTPStatus.BAD_REQUEST, BAD_REQUEST, detail)


def invalid(detail: str) -> Problem:
    """422: well-formed, but invalid."""
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, INVALID, detail)


def unprocessable(detail: str) -> Problem:
    """422: valid fields, but not together, or not for this order."""
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, UNPROCESSABLE, detail)


def not_open(status: str) -> Problem:
    """422: the order to cancel or replace has ended, as `status` says."""
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        UNPROCESSABLE,
        f'order is already in "{status}" state',
        title="Order not open",
    )


def unauthorized(*, takes_tokens: bool = False) -> Problem:
    """401: no key, an unknown or revoked one, or a wrong secret; it does not say which."""
    challenges = ['APCA-API-KEY-ID realm="OpenVenue"']
    if takes_tokens:
        challenges.append(_BEARER)
    return Problem(
        HTTPStatus.UNAUTHORIZED,
        UNAUTHORIZED,
        "request is not authorized",
        headers={"www-authenticate": ", ".join(challenges)},
    )


def of_authentication(error: NotAuthenticated) -> Problem:
    """400, 401, 403 or 503: the request has no principal."""
    if isinstance(error, MalformedCredentials):
        return bad_request(str(error))
    if isinstance(error, UncheckedCredentials):
        return unavailable(str(error))
    if isinstance(error, UnknownAccount):
        return not_allowed(str(error))
    if isinstance(error, InvalidToken):
        return Problem(
            HTTPStatus.UNAUTHORIZED,
            UNAUTHORIZED,
            str(error),
            headers=_bearer("invalid_token", str(error)),
        )
    return unauthorized(takes_tokens=isinstance(error, UnknownCredentials) and error.takes_tokens)


def beyond_scopes(principal: Principal, method: str, needed: str) -> Problem:
    """403: the scopes of the key or token lack the one that the request needs."""
    kind = principal.credential
    words = [_SCOPE_WORDS.get(scope, scope) for scope in sorted(principal.scopes)]
    may = f"this {kind} may only {' and '.join(words)}" if words else f"this {kind} has no scope"
    detail = f"{may}: {method} needs a {kind} that may {needed}"
    is_token = principal.signed_by is not None
    return not_allowed(detail, _bearer("insufficient_scope", detail) if is_token else None)


_SCOPE_WORDS = {"data": "read market data"}
_BEARER = 'Bearer realm="OpenVenue"'


def _bearer(error: str, description: str) -> dict[str, str]:
    """Return the header with which RFC 6750, section 3, says what is wrong with a token."""
    quoted = description.replace("\\", "").replace('"', "'")
    return {"www-authenticate": f'{_BEARER}, error="{error}", error_description="{quoted}"'}


def not_allowed(detail: str, headers: Mapping[str, str] | None = None) -> Problem:
    """403: the key or token may not."""
    return Problem(HTTPStatus.FORBIDDEN, UNAUTHORIZED, detail, title="Not allowed", headers=headers)


def beyond_networks(address: object) -> Problem:
    """403: the key may not be used from the client's address; None: it has no address."""
    where = address or "a client without an address"
    return not_allowed(f"this key may not be used from {where}")


def refused(detail: str, **members: Any) -> Problem:
    """403: the account may not, or lacks what the order needs."""
    return Problem(HTTPStatus.FORBIDDEN, REFUSED, detail, **members)


def order_not_found() -> Problem:
    """404: no such order of this account."""
    return Problem(HTTPStatus.NOT_FOUND, NOT_FOUND, "order is not found.")


def not_found(detail: str) -> Problem:
    """404."""
    return Problem(HTTPStatus.NOT_FOUND, NOT_FOUND, detail)


def conflict(detail: str) -> Problem:
    """409: what the request would make exists already, with other terms."""
    return Problem(HTTPStatus.CONFLICT, CONFLICT, detail)


def method_not_allowed(methods: Iterable[str]) -> Problem:
    """405: the path has other methods, which `Allow` names (RFC 9110, section 15.5.6)."""
    return Problem(
        HTTPStatus.METHOD_NOT_ALLOWED,
        METHOD_NOT_ALLOWED,
        "endpoint does not have this method",
        headers={"allow": ", ".join(sorted(methods))},
    )


def too_large(bytes_max: int) -> Problem:
    """413."""
    return Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, TOO_LARGE, f"the body exceeds {bytes_max} bytes"
    )


def head_too_large(bytes_max: int) -> Problem:
    """431."""
    return Problem(
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        HEAD_TOO_LARGE,
        f"request line and headers exceed {bytes_max} bytes",
    )


def encoded_body() -> Problem:
    """415: the body is compressed."""
    return Problem(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        ENCODED_BODY,
        "the body must not be compressed: leave out Content-Encoding",
        headers={"accept-encoding": "identity"},
    )


def too_slow(timeout_s: float) -> Problem:
    """408: the request did not arrive in time; it was not executed."""
    return Problem(
        HTTPStatus.REQUEST_TIMEOUT,
        TOO_SLOW,
        f"the request took longer than {timeout_s:g} s to come",
    )


def cut_off() -> Problem:
    """400: the client left before its request was complete."""
    return Problem(HTTPStatus.BAD_REQUEST, BAD_REQUEST, "the request ends before its body does")


def unavailable(detail: str, *, retry_after_s: int = RETRY_AFTER_S, **members: Any) -> Problem:
    """503: nothing happened, and the same request may succeed later."""
    return Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        UNAVAILABLE,
        detail,
        headers={"retry-after": str(retry_after_s)},
        **members,
    )


def too_many(detail: str) -> Problem:
    """429: this process is at one of its limits; nothing happened."""
    return Problem(
        HTTPStatus.TOO_MANY_REQUESTS,
        TOO_MANY,
        detail,
        headers={"retry-after": str(RETRY_AFTER_S)},
    )


def rate_limited(principal: Principal, per_minute: int, wait_s: float) -> Problem:
    """429: the key, or the tokens for an account, have sent too many requests; nothing happened."""
    who = "this key" if principal.signed_by is None else "the account's tokens"
    return Problem(
        HTTPStatus.TOO_MANY_REQUESTS,
        TOO_MANY,
        f"rate limit exceeded: {who} may send {per_minute} requests a minute, and each item of a "
        "batch counts",
        headers={"retry-after": str(math.ceil(wait_s))},
    )


ACCOUNT_BLOCKED = "the venue has blocked the account from trading; open orders can be canceled"
READ_THE_ORDER = "read the order before trying again"


def fate_unknown(reason: str, client_order_id: str | None, advice: str = READ_THE_ORDER) -> Problem:
    """503: the request was sent to the engine, which may have executed it or not.

    `advice` is for a command without a client order id.
    """
    if client_order_id is None:
        return unavailable(f"{reason}; its outcome is unknown: {advice}")
    return unavailable(
        f"{reason}; its outcome is unknown: look it up with GET /v2/orders:by_client_order_id, or "
        "send the same request with the same client_order_id again, which is safe",
        client_order_id=client_order_id,
    )


def of_not_sequenced(refusal: pb.NotSequenced) -> Problem:
    """The engine did not take a request; nothing happened."""
    if refusal.cause == pb.NotSequenced.CAUSE_INVALID_ARGUMENT:
        return invalid(refusal.message)
    if refusal.cause == pb.NotSequenced.CAUSE_NOT_FOUND:
        return not_found(refusal.message)
    if refusal.cause == pb.NotSequenced.CAUSE_READ_ONLY:
        return unavailable(refusal.message, retry_after_s=READ_ONLY_RETRY_AFTER_S)
    return unavailable(refusal.message or "the matching engine is not taking requests")


def of_reject(reject: pb.Reject) -> Problem:
    """The engine sequenced a command and refused it; it changed nothing."""
    if reject.reason == pb.REASON_ORDER_NOT_OPEN and reject.HasField("order"):
        return not_open(ORDER_STATUSES[reject.order.status])
    return of_reason(reject.reason)


def of_reason(reason: int) -> Problem:
    """The engine refused a command for this reason."""
    status, code, detail = _REJECTS.get(
        reason, (HTTPStatus.UNPROCESSABLE_ENTITY, INVALID, f"refused with reason {reason}")
    )
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        return unavailable(detail)
    return Problem(status, code, detail)


_FORBIDDEN = HTTPStatus.FORBIDDEN
_UNPROCESSABLE = HTTPStatus.UNPROCESSABLE_ENTITY
_REJECTS: dict[int, tuple[int, int, str]] = {
    pb.REASON_UNKNOWN_ACCOUNT: (_FORBIDDEN, REFUSED, "the account of this key is not open"),
    pb.REASON_UNKNOWN_INSTRUMENT: (_UNPROCESSABLE, INVALID, "asset is not found"),
    pb.REASON_INSTRUMENT_INACTIVE: (_UNPROCESSABLE, INVALID, "asset is not active"),
    pb.REASON_INVALID_QUANTITY: (
        _UNPROCESSABLE,
        INVALID,
        "qty must be positive and not above the asset's largest order",
    ),
    pb.REASON_INVALID_PRICE: (
        _UNPROCESSABLE,
        INVALID,
        "limit_price or stop_price is outside the asset's price limits",
    ),
    pb.REASON_NO_LAST_PRICE: (
        _UNPROCESSABLE,
        UNPROCESSABLE,
        "a trailing_stop order follows the last price, and the asset has none yet",
    ),
    pb.REASON_INVALID_ORDER: (_UNPROCESSABLE, INVALID, "this combination of fields has no meaning"),
    pb.REASON_INSUFFICIENT_CASH: (_FORBIDDEN, REFUSED, "insufficient buying power"),
    pb.REASON_INSUFFICIENT_POSITION: (
        _FORBIDDEN,
        REFUSED,
        "insufficient qty available for order, and the account may not sell short",
    ),
    pb.REASON_DUPLICATE_CLIENT_ORDER_ID: (
        _UNPROCESSABLE,
        INVALID,
        "client_order_id must be unique",
    ),
    pb.REASON_CLIENT_ORDER_ID_MAYBE_USED: (
        HTTPStatus.SERVICE_UNAVAILABLE,
        UNAVAILABLE,
        "the history did not say whether client_order_id was used before",
    ),
    pb.REASON_UNKNOWN_ORDER: (HTTPStatus.NOT_FOUND, NOT_FOUND, "order is not found."),
    pb.REASON_ORDER_NOT_OPEN: (_UNPROCESSABLE, UNPROCESSABLE, "order is not open"),
    pb.REASON_QUANTITY_BELOW_FILLED: (
        _UNPROCESSABLE,
        UNPROCESSABLE,
        "qty must be > filled_qty",
    ),
    pb.REASON_POSITION_INTENT_MISMATCH: (
        _UNPROCESSABLE,
        UNPROCESSABLE,
        "position intent mismatch",
    ),
    pb.REASON_POST_ONLY_WOULD_TRADE: (
        _UNPROCESSABLE,
        UNPROCESSABLE,
        "a post-only order would trade at once",
    ),
    pb.REASON_ACCOUNT_SUSPENDED: (_FORBIDDEN, REFUSED, ACCOUNT_BLOCKED),
    pb.REASON_VENUE_SUSPENDED: (
        _FORBIDDEN,
        REFUSED,
        "the venue has suspended trading; open orders can be canceled",
    ),
    pb.REASON_CAPACITY: (
        HTTPStatus.SERVICE_UNAVAILABLE,
        UNAVAILABLE,
        "the matching engine has no room for more positions",
    ),
    pb.REASON_OPEN_ORDER_LIMIT: (
        HTTPStatus.SERVICE_UNAVAILABLE,
        UNAVAILABLE,
        "the venue has as many open orders as it takes; orders that cannot rest are still taken",
    ),
    pb.REASON_ACCOUNT_OPEN_ORDER_LIMIT: (
        _FORBIDDEN,
        REFUSED,
        "the account has as many open orders as it may: cancel some first",
    ),
    pb.REASON_ACCOUNT_POSITION_LIMIT: (
        _FORBIDDEN,
        REFUSED,
        "the account has as many positions as it may: close one, or cancel what is open in one",
    ),
    # Of a batch; a single order ends there, and is not refused.
    pb.REASON_FILL_LIMIT: (
        _UNPROCESSABLE,
        UNPROCESSABLE,
        "together the orders could cause more fills than the venue executes in one step: send "
        "fewer orders, or smaller ones",
    ),
    pb.REASON_OVERFLOW: (_UNPROCESSABLE, INVALID, "qty and price are too large together"),
}
