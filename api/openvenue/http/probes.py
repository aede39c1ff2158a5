"""GET /healthz of a worker: its process answers. All other probes are `openvenue.serving`'s."""

from starlette.types import Receive, Scope, Send

from openvenue.http.asgi import JSON, send_document


async def answer_health(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Answer that the worker is there."""
    await send_document(send, 200, b'{"status":"ok","checks":{}}', JSON)
