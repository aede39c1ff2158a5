"""The OpenAPI document of all routes, the hot ones included.

Schemas come from the same structs that encode and decode, so the document cannot drift from them.
"""

import functools
from importlib.metadata import version
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi

from openvenue.http import problems, resources
from openvenue.http.docs_page import CONTENT_SECURITY_POLICY, docs_page

_REF = "#/components/schemas/{name}"
_SECURED: list[dict[str, list[str]]] = [{"KeyId": [], "SecretKey": []}]

_DESCRIPTION = (
    "Any request may also be answered with 400, 408, 415 or 431 where it is not HTTP, too slow, "
    "compressed or its headers are too large, and with 503 where the worker or the client's "
    "address has as many connections as it may; the connection is closed then. Where there is "
    "GET, HEAD answers the same without a body. A method that a path lacks is answered with 405, "
    "and `Allow` names those that it has. Every error is a problem document (RFC 9457)."
)

_DECIMAL = {
    "oneOf": [{"type": "string"}, {"type": "number"}],
    "description": "A decimal, as a string or a number; read exactly, never as a float.",
}

_TITLES_BY_STATUS = {
    code // 100_000: title for code, title in sorted(problems.TITLES.items(), reverse=True)
}


def answers(
    document: Any, *error_statuses: int, status: int = 200, secured: bool = True
) -> dict[str, Any]:
    """Return the `openapi_extra` of a route that answers with `document` (a struct, or None)."""
    statuses = {*error_statuses, *((401, 503) if secured else ())}
    responses: dict[str, Any] = {str(status): {"description": "Success"}}
    if document is not None:
        responses[str(status)]["content"] = {"application/json": {"schema": _schema(document)}}
    for error_status in sorted(statuses):
        responses[str(error_status)] = {
            "description": _TITLES_BY_STATUS[error_status],
            "content": {problems.MEDIA_TYPE: {"schema": _schema(resources.ProblemDocument)}},
        }
    extra: dict[str, Any] = {"responses": responses}
    if secured:
        extra["security"] = _SECURED
    return extra


def _schema(document: Any) -> dict[str, Any]:
    (schema,), _ = msgspec.json.schema_components([document], ref_template=_REF)
    return schema


def accepts(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the `openapi_extra` of a JSON body."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


ORDER_REQUEST = {
    "type": "object",
    "required": ["symbol", "side", "type", "time_in_force", "qty"],
    "properties": {
        "symbol": {"type": "string", "description": "Symbol or asset id."},
        "qty": _DECIMAL,
        "side": {"enum": ["buy", "sell"]},
        "type": {"enum": ["market", "limit"]},
        "time_in_force": {"enum": ["day", "gtc", "ioc", "fok"]},
        "limit_price": {**_DECIMAL, "description": "Required for limit orders, and only there."},
        "client_order_id": {"type": "string", "maxLength": 128},
    },
}

REPLACE_REQUEST = {
    "type": "object",
    "properties": {
        "qty": {**_DECIMAL, "description": "New total, filled part included."},
        "limit_price": _DECIMAL,
        "time_in_force": {"enum": ["day", "gtc", "ioc", "fok"]},
        "client_order_id": {"type": "string", "maxLength": 128},
    },
}


def _probe(name: str, summary: str, method: str) -> dict[str, Any]:
    """Return the operation of a probe; HEAD answers as GET does, without the body."""
    body = answers(resources.Health, 503, secured=False)
    if method == "head":
        for response in body["responses"].values():
            del response["content"]
    return {
        "tags": ["operations"],
        "operationId": name if method == "get" else f"{name}_{method}",
        "summary": summary,
        **body,
    }


_HOT_PATHS: dict[str, dict[str, Any]] = {
    "/v2/orders": {
        "post": {
            "tags": ["orders"],
            "operationId": "submit_order",
            "summary": "Submit an order",
            "description": "Durable before it is answered. The same client_order_id with the same "
            "body is the same order, however often it is sent; with another body it is 422.",
            **accepts(ORDER_REQUEST),
            **answers(resources.Order, 400, 403, 413, 422, 429),
        }
    },
    "/healthz": {
        method: _probe("healthz", "That a worker answers", method) for method in ("get", "head")
    },
}


def install_openapi(app: FastAPI) -> None:
    """Make `app` serve the document, and a page to read it on.

    FastAPI would encode the document anew for each who asks.
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
    structs = [
        resources.Order,
        resources.CancelResult,
        resources.Account,
        resources.Position,
        resources.Asset,
        resources.Clock,
        resources.Book,
        resources.Health,
        resources.ProblemDocument,
    ]
    _, schemas = msgspec.json.schema_components(structs, ref_template=_REF)
    components = document.setdefault("components", {})
    components.setdefault("schemas", {}).update(schemas)
    _correct(document)
    return document


def _correct(document: dict[str, Any]) -> None:
    """Put right what FastAPI adds by itself.

    Its own 422 shape, where ours is a problem document; and each header of a key as a requirement
    of its own, of which one would do, where both are needed.
    """
    ours = answers(None, 422, secured=False)["responses"]["422"]
    for operations in document["paths"].values():
        for operation in operations.values():
            if "422" in operation["responses"]:
                operation["responses"]["422"] = ours
            if "security" in operation:
                operation["security"] = _SECURED
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)
