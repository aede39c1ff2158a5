"""The OpenAPI document of all routes, the hot ones included.

The schemas of bodies and answers come from the structs that decode and encode them.
"""

import functools
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi

from openvenue.documents import resources
from openvenue.http import problems
from openvenue.http.docs_page import CONTENT_SECURITY_POLICY, docs_page
from openvenue.http.order_batch_body import BatchRequest, CancelRequest
from openvenue.http.order_body import NewOrderRequest

_REF = "#/components/schemas/{name}"
# Both headers of a key together, or a token.
_SECURED: list[dict[str, list[str]]] = [{"KeyId": [], "SecretKey": []}, {"Token": []}]
_SECURITY_SCHEMES = {
    "KeyId": {"type": "apiKey", "in": "header", "name": "APCA-API-KEY-ID"},
    "SecretKey": {"type": "apiKey", "in": "header", "name": "APCA-API-SECRET-KEY"},
    "Token": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "Of the venue's OpenID Connect issuer, if it has one.",
    },
}

_DESCRIPTION = (
    "Any request may also be answered with 400, 408, 415 or 431 where it is not HTTP, too slow, "
    "compressed or its headers are too large, and with 503 where the worker or the client's "
    "address has as many connections as it may; the connection is closed then. Where there is "
    "GET, HEAD answers the same without a body. A method that a path lacks is answered with 405, "
    "and `Allow` names those that it has. Every error is a problem document (RFC 9457)."
)

# Meanings of errors, unless a route documents its own.
_MEANINGS = {
    400: "The body is malformed",
    401: "The key is missing, unknown, revoked or expired, or the bearer token is no good",
    403: "The key may not, or its account is not open",
    404: "There is no such thing",
    413: "The body is too large",
    422: "A parameter is not known or cannot be",
    429: "The key's rate limit, or a bound of the process, is reached; nothing happened",
    503: "Nothing happened, or the outcome is unknown and the detail says so: send it again",
}

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

_documented: dict[Any, None] = {}
"""Every struct that a route accepts or answers with, in the order of the routes."""


def answers(
    document: Any,
    *error_statuses: int,
    status: int = 200,
    secured: bool = True,
    key_optional: bool = False,
    meanings: Mapping[int, str] | None = None,
) -> dict[str, Any]:
    """Return the `openapi_extra` of a route that answers with `document` (a struct, or None).

    `meanings` are this route's own meanings of error statuses.
    """
    statuses = {*error_statuses, *((401, 403, 429, 503) if secured else ())}
    described = {**_MEANINGS, **(meanings or {})}
    responses: dict[str, Any] = {str(status): {"description": "Success"}}
    if document is not None:
        responses[str(status)]["content"] = {"application/json": {"schema": _schema(document)}}
    for error_status in sorted(statuses):
        responses[str(error_status)] = {
            "description": described[error_status],
            "content": {problems.MEDIA_TYPE: {"schema": _schema(resources.ProblemDocument)}},
        }
    extra: dict[str, Any] = {"responses": responses}
    if secured:
        extra["security"] = [{}, *_SECURED] if key_optional else _SECURED
    return extra


def accepts(body: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the `openapi_extra` of a route whose JSON body is decoded into `body`."""
    content = {"application/json": {"schema": _schema(body)}}
    return {"requestBody": {"required": True, "content": content}}


def _schema(document: Any) -> dict[str, Any]:
    _documented[document] = None
    (schema,), _ = msgspec.json.schema_components([document], ref_template=_REF)
    return schema


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


_HOT_PATHS: dict[str, dict[str, Any]] = {
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
            "own result in that order: the status and the body that it would get alone. All are "
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


def install_openapi(app: FastAPI) -> None:
    """Make `app` serve the document, and a page to read it on.

    FastAPI would encode the document for each request.
    """

    @functools.cache
    def encoded() -> bytes:
        return msgspec.json.encode(_document(app))

    async def get_document(_request: Request) -> Response:
        return Response(encoded(), media_type="application/json")

    @functools.cache
    def page() -> str:
        return docs_page(msgspec.json.decode(encoded()))

    async def get_page(_request: Request) -> Response:
        policy = {"content-security-policy": CONTENT_SECURITY_POLICY}
        return Response(page(), media_type="text/html", headers=policy)

    app.add_route("/openapi.json", get_document)
    app.add_route("/docs", get_page)


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title="OpenVenue",
        version=version("openvenue"),
        summary="A trading venue in the dialect of the Alpaca Trading API.",
        description=_DESCRIPTION,
        routes=app.routes,
    )
    for path, operations in _HOT_PATHS.items():
        document["paths"].setdefault(path, {}).update(operations)
    _, schemas = msgspec.json.schema_components(list(_documented), ref_template=_REF)
    for schema in schemas.values():
        # The decoder ignores fields that only describe an order.
        schema.pop("additionalProperties", None)
    components = document.setdefault("components", {})
    components.setdefault("schemas", {}).update(schemas)
    components["securitySchemes"] = _SECURITY_SCHEMES
    _correct(document)
    return document


def _correct(document: dict[str, Any]) -> None:
    """Remove FastAPI's own shape of a 422: ours are problem documents."""
    for operations in document["paths"].values():
        for operation in operations.values():
            operation["responses"].get("422", {}).get("content", {}).pop("application/json", None)
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)
