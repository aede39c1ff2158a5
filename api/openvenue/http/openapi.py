"""The OpenAPI document of the API's routes, the hot ones included."""

from typing import Any

from openvenue.documents import resources
from openvenue.http.documentation import Documentation, Link
from openvenue.http.order_batch_body import BatchRequest, CancelRequest
from openvenue.http.order_body import NewOrderRequest

_DESCRIPTION = (
    "Any request may also be answered with 400, 408, 415 or 431 where it is not HTTP, too slow, "
    "compressed or its headers are too large, and with 503 where the worker or the client's "
    "address has as many connections as it may; the connection is closed then. Where there is "
    "GET, HEAD answers the same without a body. A method that a path lacks is answered with 405, "
    "and `Allow` names those that it has. Every error is a problem document (RFC 9457)."
)

_ONE_POSITION = "/v2/positions/{symbol_or_asset_id}"
_LINKS = (
    Link(
        *("POST /v2/orders", 200, "GET /v2/orders:by_client_order_id"),
        *("client_order_id", "$response.body#/client_order_id"),
    ),
    *(
        Link(
            *("POST /v2/orders:batch", 207, f"{method} /v2/orders/{{order_id}}"),
            *("order_id", "$response.body#/0/body/id"),
        )
        for method in ("GET", "PATCH", "DELETE")
    ),
    *(
        Link(
            *("GET /v2/positions", 200, f"{method} {_ONE_POSITION}"),
            *("symbol_or_asset_id", "$response.body#/0/asset_id"),
        )
        for method in ("GET", "DELETE")
    ),
    Link(
        *("GET /v2/assets", 200, "GET /v2/assets/{symbol_or_asset_id}"),
        *("symbol_or_asset_id", "$response.body#/0/id"),
    ),
    *(
        Link(
            *("POST /v2/watchlists", 200, f"{method} /v2/watchlists:by_name"),
            *("name", "$response.body#/name"),
        )
        for method in ("GET", "PUT", "POST", "DELETE")
    ),
    Link(
        *("GET /v2/watchlists", 200, "GET /v2/watchlists/{watchlist_id}"),
        *("watchlist_id", "$response.body#/0/id"),
    ),
)

API = Documentation(
    title="OpenVenue",
    summary="A trading venue in the dialect of the Alpaca Trading API.",
    description=_DESCRIPTION,
    access="A request shows its key in the headers <code>APCA-API-KEY-ID</code> and "
    "<code>APCA-API-SECRET-KEY</code>, or a token of the venue's issuer, if it has one, in "
    "<code>Authorization: Bearer</code>.",
    security_schemes={
        "KeyId": {"type": "apiKey", "in": "header", "name": "APCA-API-KEY-ID"},
        "SecretKey": {"type": "apiKey", "in": "header", "name": "APCA-API-SECRET-KEY"},
        "Token": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "Of the venue's OpenID Connect issuer, if it has one.",
        },
    },
    ways_in=[("KeyId", "SecretKey"), ("Token",)],
    links=_LINKS,
    meanings={
        400: "The body is malformed",
        401: "The key is missing, unknown, revoked or expired, or the bearer token is no good",
        403: "The key may not, or its account is not open",
        404: "There is no such thing",
        413: "The body is too large",
        422: "A parameter is not known or cannot be",
        429: "The key's rate limit, or a bound of the process, is reached; nothing happened",
        503: "Nothing happened, or the outcome is unknown and the detail says so: send it again",
    },
)
answers = API.answers
accepts = API.accepts

AS_ACCEPTED: dict[str, Any] = {
    "parameters": [
        {
            "name": "Prefer",
            "in": "header",
            "required": False,
            "schema": {"type": "string"},
            "description": "With `wait` (RFC 7240), the answer shows the outcome of the order, and "
            "has `Preference-Applied: wait`. Otherwise it shows the order as it was accepted.",
        }
    ]
}
"""Part of the `openapi_extra` of routes that answer with an order that they entered."""


def _probe(name: str, summary: str, method: str) -> dict[str, Any]:
    """Return the operation of a probe; HEAD answers as GET does, without the body."""
    meanings = {503: "It has as many connections as it may"}
    body = answers(resources.Health, 503, secured=False, meanings=meanings)
    if method == "head":
        for response in body["responses"].values():
            del response["content"]
    return {
        "tags": ["operations"],
        "operationId": name if method == "get" else f"{name}_{method}",
        "summary": summary,
        **body,
    }


def _answers_of_batch(meaning_of_422: str) -> dict[str, Any]:
    return answers(
        list[resources.OrderResult],
        *(400, 403, 413, 422, 429),
        status=207,
        meanings={
            400: "The body is no JSON, or an object of it has a field twice",
            403: "The key may not trade",
            422: f"The body is {meaning_of_422}",
        },
    )


HOT_PATHS: dict[str, dict[str, Any]] = {
    "/v2/orders": {
        "post": {
            "tags": ["orders"],
            "operationId": "submit_order",
            "summary": "Submit an order",
            "description": "Durable before it is answered. The same client_order_id with the same "
            "body is the same order, however often it is sent; with another body it is 422. The "
            "answer shows the order as it was accepted; with `Prefer: wait`, the outcome.",
            **AS_ACCEPTED,
            **accepts(NewOrderRequest),
            **answers(
                resources.Order,
                *(400, 403, 413, 422, 429),
                meanings={
                    403: "The key may not trade, or the account may not or lacks money, shares "
                    "or room for the order",
                    422: "A field is not supported or cannot be, or the client_order_id is that of "
                    "an order with another body",
                },
            ),
        }
    },
    "/v2/orders:batch": {
        "post": {
            "tags": ["orders"],
            "operationId": "submit_orders",
            "summary": "Submit up to 1,000 orders",
            "description": "Each is executed for itself, in the order of the batch, and has its "
            "own result in that order: the status and the body that it would get alone. With "
            "`all_or_nothing`, either all are entered or the answer is the problem of the first "
            "order that stands against it, with its place as `item`. All are "
            "durable when this is answered. Sending the same batch again is safe if each order "
            "has a client_order_id. Any other status than 207 means that nothing was entered.",
            **AS_ACCEPTED,
            **accepts(BatchRequest),
            **_answers_of_batch("no batch, or a member of it is not known"),
        }
    },
    "/v2/orders:cancel": {
        "post": {
            "tags": ["orders"],
            "operationId": "cancel_orders",
            "summary": "Cancel up to 1,000 orders",
            "description": "By `ids` or by `client_order_ids`; each for itself, with its own "
            "result in their order: 200 and the order, or the problem that a DELETE of it would "
            "get. Any "
            "other status than 207 means that nothing was canceled.",
            **accepts(CancelRequest),
            **_answers_of_batch("no list of up to 1,000 orders"),
        }
    },
    "/healthz": {
        method: _probe("healthz", "That a worker answers", method) for method in ("get", "head")
    },
}
