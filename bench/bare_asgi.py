"""The baseline: a bare ASGI app that decodes an order and answers an order's JSON.

No authentication, no engine, no checks: it is the upper bound of any Python API on uvicorn. The
venue's figure is given as a share of it.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]


class OrderRequest(msgspec.Struct):
    symbol: str
    qty: str
    side: str
    type: str
    time_in_force: str
    limit_price: str


class OrderAnswer(msgspec.Struct):
    """The venue's answer, with constants in place of the venue's data."""

    symbol: str
    qty: str
    side: str
    type: str
    time_in_force: str
    limit_price: str
    id: str = "00000000-0001-8000-8000-0000000004d2"
    client_order_id: str = "1b0bbeb2-9b9a-4b69-95b1-5b3e8a4e4a5c"
    created_at: str = "2026-01-01T00:00:00.000000Z"
    updated_at: str = "2026-01-01T00:00:00.000000Z"
    submitted_at: str = "2026-01-01T00:00:00.000000Z"
    filled_at: str | None = None
    expired_at: str | None = None
    canceled_at: str | None = None
    failed_at: str | None = None
    replaced_at: str | None = None
    replaced_by: str | None = None
    replaces: str | None = None
    asset_id: str = "00000000-0001-8002-8000-000000000001"
    asset_class: str = "us_equity"
    notional: str | None = None
    filled_qty: str = "0"
    filled_avg_price: str | None = None
    order_class: str = "simple"
    order_type: str = "limit"
    stop_price: str | None = None
    status: str = "new"
    extended_hours: bool = False
    legs: list[str] | None = None
    trail_percent: str | None = None
    trail_price: str | None = None
    hwm: str | None = None


decode = msgspec.json.Decoder(OrderRequest).decode
encode = msgspec.json.Encoder().encode
HEALTH_BODY = b'{"status":"ok"}'


async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        raise RuntimeError("this app answers HTTP only")
    if scope["method"] == "GET":
        body = HEALTH_BODY
    else:
        message = await receive()
        data = message["body"]
        while message.get("more_body"):
            message = await receive()
            data += message["body"]
        order = decode(data)
        body = encode(
            OrderAnswer(
                symbol=order.symbol,
                qty=order.qty,
                side=order.side,
                type=order.type,
                time_in_force=order.time_in_force,
                limit_price=order.limit_price,
            )
        )
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [
                (b"content-type", b"application/json"),
                (b"content-length", str(len(body)).encode()),
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})
