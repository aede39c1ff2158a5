"""Finds the principal of a request and checks its scopes, for every route that needs a key or a
token."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from starlette.types import Scope

from openvenue import metrics
from openvenue.http import problems
from openvenue.http.protocol import mark_keyed
from openvenue.http.worker import Worker
from openvenue.security.client_address import Network, client_address, is_within
from openvenue.security.principal import Principal, may
from openvenue.vocabulary import Scope as KeyScope

if TYPE_CHECKING:
    from openvenue.http.rate_limits import Allowance

_READING = ("GET", "HEAD")
_BUCKET = "openvenue.bucket"
_NO_STATE: dict[str, Any] = {}


async def principal_of(worker: Worker, request: Scope) -> Principal:
    """Return the principal of a request, whose key or token may use the request's method.

    Raises NotAuthenticated; Problem 403 if it may not, 429 if it sends too many.
    """
    return await _allowed(worker, request, "read" if request["method"] in _READING else "trade")


async def reader_of_market_data(worker: Worker, request: Scope) -> Principal:
    """Return the principal of a request for what all clients see alike.

    Raises as `principal_of` does.
    """
    return await _allowed(worker, request, "data")


async def reader_of_public(worker: Worker, request: Scope) -> None:
    """Let in a request for public data: without a key or token, or with one that may be used.

    Raises as `principal_of` does, also without a key where the settings want one.
    """
    is_somebody = worker.authenticator.has_credentials(request["headers"])
    if is_somebody or not worker.settings.public_pair_data:
        await reader_of_market_data(worker, request)


async def _allowed(worker: Worker, request: Scope, needed: KeyScope) -> Principal:
    principal = await worker.authenticator.principal_of(request["headers"])
    mark_keyed(request)
    _count(worker, request, principal)
    if principal.networks is not None:
        _check_address(worker, request, principal.networks)
    if not may(principal, needed):
        raise problems.beyond_scopes(principal, request["method"], needed)
    return principal


def charge_batch(worker: Worker, principal: Principal, items: int) -> None:
    """Count a batch's items as requests; the request itself was counted. Raises Problem 429."""
    if per_minute := _rate_limit(worker, principal):
        _take(worker, principal, per_minute, items - 1)


def rate_limit_headers(request: Scope) -> list[tuple[bytes, bytes]]:
    """Return the headers of an answer that say what its key or token may still send."""
    bucket = request.get("state", _NO_STATE).get(_BUCKET)
    if bucket is None:
        return []
    limits, key_id, per_minute = bucket
    allowance: Allowance = limits.take(key_id, per_minute, 0)
    return allowance.headers()


def _count(worker: Worker, request: Scope, principal: Principal) -> None:
    """Count a request, and note its bucket for `rate_limit_headers`. Raises Problem 429."""
    if per_minute := _rate_limit(worker, principal):
        bucket = (worker.rate_limits, principal.key_id, per_minute)
        request.setdefault("state", {})[_BUCKET] = bucket
        _take(worker, principal, per_minute, 1)


def _take(worker: Worker, principal: Principal, per_minute: int, count: int) -> None:
    allowance = worker.rate_limits.take(principal.key_id, per_minute, count)
    if allowance.wait_s:
        metrics.RATE_LIMITED.inc()
        raise problems.rate_limited(principal, per_minute, allowance.wait_s)


def _rate_limit(worker: Worker, principal: Principal) -> int:
    """Return the requests a minute that a principal may send; 0: as many as there are."""
    if principal.requests_per_minute is not None:
        return principal.requests_per_minute
    setting = worker.settings.rate_limit_per_minute
    return 0 if setting == "unlimited" else setting


def _check_address(worker: Worker, request: Scope, networks: Iterable[Network]) -> None:
    peer = request["client"][0] if request.get("client") else ""
    address = client_address(peer, request["headers"], worker.settings.trusted_proxies)
    if address is None or not is_within(address, networks):
        metrics.ADDRESS_REFUSALS.inc()
        raise problems.beyond_networks(address)
