"""Finds the principal of a request and checks its scopes, for every route that needs a key."""

from starlette.types import Scope

from openvenue.http import problems
from openvenue.http.protocol import mark_keyed
from openvenue.http.worker import Worker
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
