"""Decides what the answer to an order shows: the order as it was accepted, or its outcome.

An order has traded before it is durable and answered. As Alpaca, the venue answers with the order
as accepted nonetheless, because bots wait for changes after the answer: a fill that is in the
answer already would be none that they see. A client that wants the outcome sends `Prefer: wait`
(RFC 7240, section 4.3), and the answer says `Preference-Applied: wait`. The venue answers in both
cases once the order is durable, so a number of seconds behind `wait` changes nothing.
"""

from collections.abc import Iterable

from msgspec import UNSET

from openvenue.documents import resources

APPLIED = (b"preference-applied", b"wait")


def wants_outcome(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """True if the headers of a request, their names in lower case, have `Prefer: wait`."""
    return any(name == b"prefer" and _has_wait(value) for name, value in headers)


def applied_preference(outcome: bool) -> dict[str, str]:
    """Return the header that says that the answer shows the outcome, if it does."""
    name, value = APPLIED
    return {name.decode(): value.decode()} if outcome else {}


def shown(document: resources.Order, outcome: bool) -> resources.Order:
    """Return a new order as its answer shows it."""
    return document if outcome else as_accepted(document)


def as_accepted(
    document: resources.Order, replaced: resources.Order | None = None
) -> resources.Order:
    """Make `document` show the order as it was accepted, and return it.

    An order that replaces another goes on from where that one, `replaced`, was.
    """
    document.status = "accepted"
    document.updated_at = document.created_at
    document.filled_at = document.canceled_at = document.expired_at = None
    document.replaced_at = document.replaced_by = None
    document.filled_qty = "0" if replaced is None else replaced.filled_qty
    document.filled_avg_price = None if replaced is None else replaced.filled_avg_price
    document.triggered_at = UNSET if replaced is None else replaced.triggered_at
    return document


def _has_wait(value: bytes) -> bool:
    # A preference may have a value behind "=" and parameters behind ";".
    for preference in value.lower().split(b","):
        if preference.partition(b";")[0].partition(b"=")[0].strip() == b"wait":
            return True
    return False
