"""The page that describes the API to people: plain HTML made of the OpenAPI document, no script.

Clients paste keys into their terminals beside this page, so it runs no foreign script.
"""

from html import escape
from typing import Any

CONTENT_SECURITY_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem }
code, pre { font-family: ui-monospace, monospace; font-size: .9em }
pre { background: #8881; overflow-x: auto; padding: .5rem }
h2 { border-top: 1px solid #8886; padding-top: 1rem }
table { border-collapse: collapse } td, th { padding: .2rem 1rem .2rem 0; text-align: left;
vertical-align: top }
@media (prefers-color-scheme: dark) { body { background: #111; color: #ddd } a { color: #9cf } }
"""


def docs_page(document: dict[str, Any], access: str) -> str:
    """Return the page of an OpenAPI document; its links are relative to the page.

    `access` is HTML that says how a request shows who it is.
    """
    operations = [
        (path, method.upper(), operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method != "head"
    ]
    schemas = document["components"]["schemas"]
    title = escape(document["info"]["title"])
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        '<meta name=viewport content="width=device-width">',
        f"<title>{title}</title><style>{_STYLE}</style><h1>{title}</h1>",
        f"<p>{escape(document['info']['summary'])}</p>",
        f"<p>{escape(document['info']['description'])}</p>",
        f"<p>{access} The document for tools: <a href=openapi.json>openapi.json</a>.</p><ul>",
        *(
            f'<li><a href="#{escape(operation["operationId"])}"><code>{method} {escape(path)}'
            f"</code></a> {escape(operation.get('summary', ''))}"
            for path, method, operation in operations
        ),
        "</ul>",
        *(_operation(*one) for one in operations),
        *(_schema(name, schema) for name, schema in schemas.items()),
    ]
    return "\n".join(parts)


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    parts = [
        f'<h2 id="{escape(operation["operationId"])}"><code>{method} {escape(path)}</code></h2>',
        f"<p>{escape(operation.get('description') or operation.get('summary', ''))}</p>",
    ]
    rows = [
        (parameter["name"], parameter["in"], _type(parameter["schema"]))
        for parameter in operation.get("parameters", [])
    ]
    content = operation.get("requestBody", {}).get("content", {})
    for body in content.values():
        properties = _properties(body["schema"])
        rows += [(name, "body", _type(schema)) for name, schema in properties.items()]
    parts.append(_table(("Parameter", "in", "type"), rows))
    answers = [
        (status, answer["description"], _answer_type(answer))
        for status, answer in operation["responses"].items()
    ]
    parts.append(_table(("Status", "", "answer"), answers))
    return "\n".join(parts)


def _answer_type(answer: dict[str, Any]) -> str:
    content = answer.get("content", {})
    return ", ".join(_type(one["schema"]) for one in content.values() if one.get("schema"))


def _schema(name: str, schema: dict[str, Any]) -> str:
    rows = [(field, _type(of), "") for field, of in _properties(schema).items()]
    description = escape(schema.get("description", ""))
    return (
        f'<h2 id="{escape(name)}">{escape(name)}</h2><p>{description}</p>'
        f"{_table(('Field', 'type', ''), rows)}"
    )


def _properties(schema: dict[str, Any]) -> dict[str, Any]:
    properties: dict[str, Any] = schema.get("properties", {})
    return properties


def _type(schema: dict[str, Any]) -> str:
    """Return a type in words; a schema of its own is a link."""
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        return f'<a href="#{escape(name)}">{escape(name)}</a>'
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return " or ".join(_type(one) for one in schema[several])
    if "enum" in schema:
        return " | ".join(f"<code>{escape(str(value))}</code>" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return escape(str(schema.get("format") or schema.get("type") or "any"))


def _table(heads: tuple[str, ...], rows: list[tuple[str, str, str]]) -> str:
    """Return a table; the first column is text, the others are HTML."""
    if not rows:
        return ""
    head = "".join(f"<th>{escape(one)}" for one in heads)
    lines = [
        f"<tr><td><code>{escape(first)}</code>{''.join(f'<td>{one}' for one in rest)}"
        for first, *rest in rows
    ]
    return f"<table><tr>{head}{''.join(lines)}</table>"
