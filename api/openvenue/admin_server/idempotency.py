"""The header Idempotency-Key, as in draft-ietf-httpapi-idempotency-key-header-07.

A key is a string of the structured fields, `"8e03978e"`, or the same without quotes.
"""

from collections.abc import Iterator
from typing import Annotated

from fastapi import Depends, Header, Request
from fastapi.dependencies.models import Dependant

from openvenue.admin.once import KEY_PATTERN, Once
from openvenue.admin_server.services import ServicesOf
from openvenue.http import problems

_HEADER = "idempotency-key"

OF_KEYS = {
    409: "The Idempotency-Key's first request is under way, or its outcome is "
    "unknown and the detail says where to look",
    422: "A field or parameter is not known or cannot be, the engine "
    "refuses the command, or the Idempotency-Key was used for another one",
}


async def _once(
    services: ServicesOf,
    idempotency_key: Annotated[
        str | None,
        Header(
            pattern=f'^("{KEY_PATTERN}"|{KEY_PATTERN})$',
            description="Sending the request again with the same key does not do it again.",
        ),
    ] = None,
) -> Once | None:
    if idempotency_key is None:
        return None
    return Once(services.database, idempotency_key.strip('"'))


OnceOf = Annotated[Once | None, Depends(_once)]
"""The request's Idempotency-Key; None: it has none."""


def only_where_it_counts(request: Request) -> None:
    """Refuse a key where it would not keep a repetition from being executed.

    Raises Problem 422, or 400 if there are two.
    """
    given = request.headers.getlist(_HEADER)
    if len(given) > 1:
        raise problems.bad_request("Idempotency-Key is given twice")
    if given and request.method == "POST" and not _takes_key(request.scope["route"].dependant):
        raise problems.invalid("Idempotency-Key: this path does not take one")


def _takes_key(dependant: Dependant) -> bool:
    return _HEADER in _headers(dependant)


def _headers(dependant: Dependant) -> Iterator[str]:
    yield from (parameter.alias for parameter in dependant.header_params)
    for dependency in dependant.dependencies:
        yield from _headers(dependency)
