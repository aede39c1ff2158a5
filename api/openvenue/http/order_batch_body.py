"""The bodies of batches: up to ORDERS_PER_BATCH_MAX orders to enter, or to cancel.

A body that is no batch is refused as a whole; an item that is no order is refused for itself.
"""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from openvenue.http import problems
from openvenue.http.json_body import decode_body, malformed, refuse_repeated_keys, sentence
from openvenue.http.order_body import (
    CLIENT_ORDER_ID_SCHEMA,
    NewOrderRequest,
    decode_new_order,
)
from openvenue.http.problems import Problem

ORDERS_PER_BATCH_MAX = 1000

_Some = Meta(min_length=1, max_length=ORDERS_PER_BATCH_MAX)
_ClientOrderId = Annotated[str, Meta(extra_json_schema={**CLIENT_ORDER_ID_SCHEMA, "minLength": 1})]


class BatchRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Orders to enter, one after the other and each for itself."""

    orders: Annotated[list[NewOrderRequest], _Some]


class CancelRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Orders to cancel, each for itself: by `ids` or by `client_order_ids`, not both."""

    ids: Annotated[list[str], _Some] | None = None
    client_order_ids: Annotated[list[_ClientOrderId], _Some] | None = None


class _Items(msgspec.Struct, forbid_unknown_fields=True):
    orders: Annotated[list[msgspec.Raw], _Some]


_decode_batch = msgspec.json.Decoder(BatchRequest).decode
_decode_items = msgspec.json.Decoder(_Items).decode
_REQUIRED = tuple(
    f'"{field.name}"'.encode()
    for field in msgspec.structs.fields(NewOrderRequest)
    if field.default is msgspec.NODEFAULT
)
_OPTIONAL = tuple(
    (f'"{field.name}"'.encode(), field.name, field.default)
    for field in msgspec.structs.fields(NewOrderRequest)
    if field.default is not msgspec.NODEFAULT
)


def decode_new_orders(body: bytes) -> Sequence[NewOrderRequest | Problem]:
    """Return the orders of a batch, and in place of each that is none what is wrong with it.

    Raises Problem: 400 if it is no JSON or has a field twice, 422 if it is no batch.
    """
    try:
        orders = _decode_batch(body).orders
    except msgspec.ValidationError:
        return _decode_one_by_one(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise malformed(body, error) from None
    if _may_repeat(body, orders):
        refuse_repeated_keys(body)
    return orders


def decode_cancels(body: bytes) -> CancelRequest:
    """Return which orders to cancel. Raises Problem: 400 if it is no JSON, 422 if it is invalid."""
    wanted = decode_body(body, CancelRequest)
    if (wanted.ids is None) == (wanted.client_order_ids is None):
        raise problems.invalid("give ids or client_order_ids, one of the two")
    return wanted


def _decode_one_by_one(body: bytes) -> list[NewOrderRequest | Problem]:
    try:
        items = _decode_items(body).orders
    except msgspec.ValidationError as error:
        raise problems.invalid(sentence(str(error))) from None
    refuse_repeated_keys(body)
    return [_order_or_problem(bytes(item)) for item in items]


def _order_or_problem(item: bytes) -> NewOrderRequest | Problem:
    try:
        return decode_new_order(item)
    except Problem as problem:
        return problem


def _may_repeat(body: bytes, orders: Sequence[NewOrderRequest]) -> bool:
    """False for nearly every batch: each field is named as often as there are orders that have it,
    so none has it twice."""
    if b"\\" in body or body.count(b'"orders"') != 1:
        return True
    if any(body.count(name) != len(orders) for name in _REQUIRED):
        return True
    return any(
        (named := body.count(quoted)) > 0
        and named != sum(getattr(order, name) is not default for order in orders)
        for quoted, name, default in _OPTIONAL
    )
