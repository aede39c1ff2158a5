"""Finds the principal of a request and checks its scopes, for every route that needs a key."""

from starlette.types import Scope

from openvenue.http import problems
from openvenue.http.protocol import mark_keyed
from openvenue.http.worker import Worker
from openvenue.security.authenticator import KEY_ID_HEADER, SECRET_HEADER
from openvenue.security.principal import Principal

_READING = ("GET", "HEAD")


async def principal_of(worker: Worker, request: Scope) -> Principal:
    """Return the principal of a request, whose key may use the request's method.

    Raises NotAuthenticated; Problem 403 if the key may not.
    """
    principal = await worker.authenticator.principal_of(request["headers"])
    mark_keyed(request)
    needed = "read" if request["method"] in _READING else "trade"
    if needed not in principal.scopes:
        raise problems.beyond_scopes(principal.scopes, request["method"], needed)
    return principal


async def reader_of_public(worker: Worker, request: Scope) -> None:
    """Let in a request for public data: without a key, or with one that may be used.

    Raises as `principal_of` does, also without a key where the settings want one.
    """
    with_key = any(name in (KEY_ID_HEADER, SECRET_HEADER) for name, _ in request["headers"])
    if with_key or not worker.settings.public_pair_data:
        await principal_of(worker, request)
