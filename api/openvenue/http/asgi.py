"""Reading requests and sending answers on bare ASGI."""

from starlette.types import Receive, Send

from openvenue.http import problems
from openvenue.http.problems import Problem

JSON = (b"content-type", b"application/json")
_PROBLEM = (b"content-type", problems.MEDIA_TYPE.encode())


async def read_body(receive: Receive, bytes_max: int) -> bytes:
    """Return a request's body. Raises Problem: 413, or 400 where it was cut off."""
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body"):
        if len(body) > bytes_max:
            break
        message = await receive()
        body += message.get("body", b"")
    if message["type"] == "http.disconnect":
        raise problems.cut_off()
    if len(body) > bytes_max:
        raise problems.too_large(bytes_max)
    return body


async def send_document(
    send: Send, status: int, body: bytes, *headers: tuple[bytes, bytes]
) -> None:
    """Send a whole answer."""
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})


async def send_problem(
    send: Send, problem: Problem, instance: str, *further: tuple[bytes, bytes]
) -> None:
    """Send the answer of a problem; `instance` is the path that was asked for.

    `further` are headers beside the problem's own.
    """
    headers = [(name.encode(), value.encode()) for name, value in problem.headers.items()]
    await send_document(send, problem.status, problem.body(instance), _PROBLEM, *headers, *further)
