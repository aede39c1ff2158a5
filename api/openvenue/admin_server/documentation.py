"""The OpenAPI document of the administration."""

from openvenue.http.documentation import Documentation, Link

_ONE_KEY = "/v1/admin/keys/{key_id}"

ADMIN = Documentation(
    title="OpenVenue administration",
    summary="Accounts, keys, instruments, the audit trail and the drop copy of a venue.",
    description="Every request shows one of the engine's administration tokens, or one that may "
    "only read. Any may also be answered with 408, 415 or 431 where it is too slow, compressed or "
    "its headers are too large; the connection is closed then. Every error is a problem document "
    "(RFC 9457).",
    access="A request shows a token of the engine: <code>Authorization: Bearer TOKEN</code>.",
    security_schemes={"Token": {"type": "http", "scheme": "bearer"}},
    ways_in=[("Token",)],
    meanings={
        400: "The body or the header is malformed",
        401: "The token is missing or none of the engine's",
        403: "The token may only read",
        404: "There is no such thing",
        409: "It exists already, with other terms",
        413: "The body is too large",
        422: "A field or parameter is not known or cannot be, or the engine refuses the command",
        429: "A bound of the process is reached; nothing happened",
        503: "Nothing happened, or the outcome is unknown and the detail says so",
    },
    refusals=(400, 401, 403, 422, 429, 503),
    closed_schemas=True,
    links=[
        Link(source, 201, target, "key_id", "$response.body#/key_id")
        for source in ("POST /v1/admin/keys", f"POST {_ONE_KEY}/rotate")
        for target in (f"PATCH {_ONE_KEY}", f"DELETE {_ONE_KEY}", f"POST {_ONE_KEY}/rotate")
    ],
)
answers = ADMIN.answers
accepts = ADMIN.accepts
