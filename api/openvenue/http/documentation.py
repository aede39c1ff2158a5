"""Makes an application's OpenAPI document, and a page to read it on.

The schemas of bodies and answers come from the structs that decode and encode them.
"""

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi

from openvenue.documents import resources
from openvenue.http import problems
from openvenue.http.docs_page import CONTENT_SECURITY_POLICY, docs_page

_REF = "#/components/schemas/{name}"


@dataclass(frozen=True, slots=True)
class Link:
    """A value of an answer that is a parameter of the next request.

    `source` and `target` are a method and a path; `value` is a runtime expression of OpenAPI.
    """

    source: str
    status: int
    target: str
    parameter: str
    value: str

    def add(self, document: dict[str, Any]) -> None:
        """Add it to the document of both."""
        method, path = self.source.split(" ")
        responses = document["paths"][path][method.lower()]["responses"]
        method, path = self.target.split(" ")
        operation_id = document["paths"][path][method.lower()]["operationId"]
        responses[str(self.status)].setdefault("links", {})[operation_id] = {
            "operationId": operation_id,
            "parameters": {self.parameter: self.value},
        }


class Documentation:
    """What the routes of one application say of themselves.

    The `security_schemes` that each of `ways_in` names let a request in together. `access` says so
    to people, in HTML.
    `meanings` are those of error statuses, unless a route documents its own; `refusals` are those
    of every secured route. Without `closed_schemas`, bodies may have fields that the document does
    not name. `links` are those that names of fields and parameters do not show by themselves.
    """

    def __init__(
        self,
        *,
        title: str,
        summary: str,
        description: str,
        access: str,
        security_schemes: Mapping[str, Mapping[str, str]],
        ways_in: Iterable[Iterable[str]],
        meanings: Mapping[int, str],
        closed_schemas: bool = False,
        links: Iterable[Link] = (),
        refusals: tuple[int, ...] = (401, 403, 429, 503),
    ) -> None:
        self._about: dict[str, Any] = {
            "title": title,
            "summary": summary,
            "description": description,
        }
        self._access = access
        self._security_schemes = security_schemes
        self._secured: list[dict[str, list[str]]] = [{name: [] for name in way} for way in ways_in]
        self._meanings = meanings
        self._closed_schemas = closed_schemas
        self._links = tuple(links)
        self._refusals = refusals
        # Every struct that a route accepts or answers with, in the order of the routes.
        self._documented: dict[Any, None] = {}

    def answers(
        self,
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
        statuses = {*error_statuses, *(self._refusals if secured else ())}
        described = {**self._meanings, **(meanings or {})}
        problem = self._schema(resources.ProblemDocument)
        responses: dict[str, Any] = {str(status): {"description": "Success"}}
        if document is not None:
            content = {"application/json": {"schema": self._schema(document)}}
            responses[str(status)]["content"] = content
        for error_status in sorted(statuses):
            responses[str(error_status)] = {
                "description": described[error_status],
                "content": {problems.MEDIA_TYPE: {"schema": problem}},
            }
        extra: dict[str, Any] = {"responses": responses}
        if secured:
            extra["security"] = [{}, *self._secured] if key_optional else self._secured
        return extra

    def accepts(self, body: type[msgspec.Struct]) -> dict[str, Any]:
        """Return the `openapi_extra` of a route whose JSON body is decoded into `body`."""
        content = {"application/json": {"schema": self._schema(body)}}
        return {"requestBody": {"required": True, "content": content}}

    def install(self, app: FastAPI, further: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        """Make `app` serve the document, and a page to read it on.

        `further` are operations, by path and method, of routes that `app` does not know.
        """

        # FastAPI would encode the document for each request.
        @functools.cache
        def encoded() -> bytes:
            return msgspec.json.encode(self._document(app, further or {}))

        async def get_document(_request: Request) -> Response:
            return Response(encoded(), media_type="application/json")

        @functools.cache
        def page() -> str:
            return docs_page(msgspec.json.decode(encoded()), self._access)

        async def get_page(_request: Request) -> Response:
            policy = {"content-security-policy": CONTENT_SECURITY_POLICY}
            return Response(page(), media_type="text/html", headers=policy)

        app.add_route("/openapi.json", get_document)
        app.add_route("/docs", get_page)

    def _schema(self, document: Any) -> dict[str, Any]:
        self._documented[document] = None
        (schema,), _ = msgspec.json.schema_components([document], ref_template=_REF)
        return schema

    def _document(self, app: FastAPI, further: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        document = get_openapi(**self._about, version=version("openvenue"), routes=app.routes)
        for path, operations in further.items():
            document["paths"].setdefault(path, {}).update(operations)
        _, schemas = msgspec.json.schema_components(list(self._documented), ref_template=_REF)
        for schema in schemas.values():
            if not self._closed_schemas:
                schema.pop("additionalProperties", None)
        components = document.setdefault("components", {})
        components.setdefault("schemas", {}).update(schemas)
        components["securitySchemes"] = self._security_schemes
        _correct(document)
        for link in self._links:
            link.add(document)
        return document


def _correct(document: dict[str, Any]) -> None:
    """Remove FastAPI's own shape of a 422: ours are problem documents."""
    for operations in document["paths"].values():
        for operation in operations.values():
            operation["responses"].get("422", {}).get("content", {}).pop("application/json", None)
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)
