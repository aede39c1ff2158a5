"""JSON bodies: a body is decoded as a whole or refused, and no field of it is ignored."""

import re
from typing import TypeVar

import msgspec

from openvenue.http import problems
from openvenue.http.json_keys import repeated_key

# The first half of a UTF-16 pair without the second, or the second without the first.
_HALF_A_SURROGATE_PAIR = re.compile(
    rb"\\u[dD][89abAB]..(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB]..)\\u[dD][c-fC-F]"
)

Body = TypeVar("Body", bound=msgspec.Struct)


def decode_body(body: bytes, kind: type[Body]) -> Body:
    """Return the request of a body. Raises Problem: 400 if it is no JSON, 422 if it is invalid."""
    try:
        decoded = msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise problems.invalid(sentence(str(error))) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise malformed(body, error) from None
    refuse_repeated_keys(body)
    return decoded


def refuse_repeated_keys(body: bytes) -> None:
    """Raise Problem 400 if an object of the body has a field twice.

    The same if the body is no JSON after all: msgspec does not look into what it leaves undecoded.
    """
    try:
        key = repeated_key(body)
    except (ValueError, RecursionError) as error:
        raise malformed(body, error) from None
    if key is not None:
        raise problems.bad_request(f"request body format is invalid: {key!r} is given twice")


def sentence(fault: str) -> str:
    """Return msgspec's words about a fault as a sentence of ours."""
    missing = re.fullmatch(r"Object missing required field `(\w+)`", fault)
    return f"{missing[1]} is required" if missing else fault


def malformed(body: bytes, error: Exception) -> problems.Problem:
    """400: the body is no JSON."""
    if _HALF_A_SURROGATE_PAIR.search(body):
        return problems.bad_request(
            "request body format is invalid: an escape is half of a UTF-16 surrogate pair"
        )
    return problems.bad_request(f"request body format is invalid: {error}")
