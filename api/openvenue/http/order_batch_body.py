"""The bodies of batches: up to ORDERS_PER_BATCH_MAX orders to enter, or to cancel.

A body that is no batch is refused as a whole; an item that is no order is refused for itself.
"""

from collections.abc import Sequence
from typing import Annotated, NamedTuple

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
    """Orders to enter, one after the other."""

    orders: Annotated[list[NewOrderRequest], _Some]
    all_or_nothing: Annotated[
        bool, Meta(description="Enter all of them, or none if one of them would be refused.")
    ] = False


class CancelRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Orders to cancel, each for itself: by `ids` or by `client_order_ids`, not both."""

    ids: Annotated[list[str], _Some] | None = None
    client_order_ids: Annotated[list[_ClientOrderId], _Some] | None = None


class _Items(msgspec.Struct, forbid_unknown_fields=True):
    orders: Annotated[list[msgspec.Raw], _Some]
    all_or_nothing: bool = False


class NewOrders(NamedTuple):
    """The decoded body of a batch."""

    items: Sequence[NewOrderRequest | Problem]
    """In place of what is no order, what is wrong with it."""
    all_or_nothing: bool


_decode_batch = msgspec.json.Decoder(BatchRequest).decode
_decode_items = msgspec.json.Decoder(_Items).decode
_MEMBERS = tuple(f'"{name}"'.encode() for name in BatchRequest.__struct_fields__)
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


def decode_new_orders(body: bytes) -> NewOrders:
    """Return the orders of a batch.

    Raises Problem: 400 if it is no JSON or has a field twice, 422 if it is no batch.
    """
    try:
        batch = _decode_batch(body)
    except msgspec.ValidationError:
        return _decode_one_by_one(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise malformed(body, error) from None
    if _may_repeat(body, batch.orders):
        refuse_repeated_keys(body)
    return NewOrders(batch.orders, batch.all_or_nothing)


def decode_cancels(body: bytes) -> CancelRequest:
    """Return which orders to cancel. Raises Problem: 400 if it is no JSON, 422 if it is invalid."""
    wanted = decode_body(body, CancelRequest)
    if (wanted.ids is None) == (wanted.client_order_ids is None):
        raise problems.invalid("give ids or client_order_ids, one of the two")
    return wanted


def _decode_one_by_one(body: bytes) -> NewOrders:
    try:
        batch = _decode_items(body)
    except msgspec.ValidationError as error:
        raise problems.invalid(sentence(str(error))) from None
    refuse_repeated_keys(body)
    return NewOrders(
        [_order_or_problem(bytes(item)) for item in batch.orders], batch.all_or_nothing
    )


def _order_or_problem(item: bytes) -> NewOrderRequest | Problem:
    try:
        return decode_new_order(item)
    except Problem as problem:
        return problem


def _may_repeat(body: bytes, orders: Sequence[NewOrderRequest]) -> bool:
    """False for nearly every batch: each field is named as often as there are orders that have it,
    so none has it twice."""
    if b"\\" in body or any(body.count(name) > 1 for name in _MEMBERS):
        return True
    if any(body.count(name) != len(orders) for name in _REQUIRED):
        return True
    return any(
        (named := body.count(quoted)) > 0
        and named != sum(getattr(order, name) is not default for order in orders)
        for quoted, name, default in _OPTIONAL
    )
