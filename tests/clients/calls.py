"""A call of a client's method, and what became of it."""

import inspect
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import ccxt
from alpaca.common.exceptions import APIError
from openvenue.security.keys import NewKey

from tests.support.venue import Venue


class Verdict(StrEnum):
    WORKS = "works"
    PARTLY = "partly"
    EMPTY = "empty"
    REFUSED = "refused"
    ABSENT = "not in the client"


class MissingMethod(Exception):
    """The client claims to have a method, and does not have it."""


@dataclass(frozen=True)
class Call:
    """A call of a method, and what part of its uses the call asks for.

    `is_right` makes it, and returns true if the answer, as the client parsed it, is that of a venue
    that has traded. An `empty` call asks for what the venue does not have, and gets none.
    """

    method: str
    is_right: Callable[[Any], object]
    asks_for: str = ""
    empty: bool = False


@dataclass(frozen=True)
class Client:
    """A client: how to make one, its methods, and calls of each in the order to make them."""

    name: str
    made: Callable[[Venue, NewKey], Any]
    methods: frozenset[str]
    calls: tuple[Call, ...]


@dataclass(frozen=True)
class Outcome:
    """What a call got; `sentence` is the venue's, if it refused."""

    call: Call
    verdict: Verdict
    sentence: str = ""


def alpaca_client(kind: type, *calls: Call) -> Client:
    """Return a client of alpaca-py; its methods are those that `kind` itself has."""
    methods = (name for name, member in vars(kind).items() if inspect.isfunction(member))
    return Client(
        f"alpaca-py: {kind.__name__}",
        lambda venue, key: kind(key.key_id, key.secret, url_override=venue.url),
        frozenset(name for name in methods if not name.startswith("_")),
        calls,
    )


def outcomes(client: Client, venue: Venue, key: NewKey) -> Iterator[Outcome]:
    """Make all calls. Raises if an answer is wrong, or breaks the client."""
    made = client.made(venue, key)
    for call in client.calls:
        try:
            assert call.is_right(made), f"{call.method} {call.asks_for} got a wrong answer"
        except (APIError, ccxt.BaseError) as refusal:
            yield Outcome(call, Verdict.REFUSED, _sentence(refusal))
        except MissingMethod:
            yield Outcome(call, Verdict.ABSENT)
        else:
            yield Outcome(call, Verdict.EMPTY if call.empty else Verdict.WORKS)


def _sentence(refusal: Exception) -> str:
    """Return the message of the problem document in a refusal."""
    text = str(refusal)
    problem, _ = json.JSONDecoder().raw_decode(text[text.index("{") :])
    # A 5xx is a failure of the venue, not a refusal.
    assert 400 <= problem["status"] < 500, text
    return str(problem["message"])
