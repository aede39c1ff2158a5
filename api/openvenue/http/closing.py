"""Answers that end their connection, and the headers of all answers."""

from email.utils import formatdate
from http import HTTPStatus
from typing import Any

from starlette.types import Receive, Scope, Send

from openvenue.http import problems
from openvenue.http.problems import Problem

_CLOSE = (b"connection", b"close")
HEADERS_OF_ALL = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
)
"""Headers of every answer: no guessing of content types, no caching."""


def asking_to_leave(send: Send) -> Send:
    """Make an answer ask its client to reconnect, to another worker or pod."""

    async def send_and_close(message: Any) -> None:
        if message["type"] == "http.response.start":
            others = [one for one in message.get("headers", []) if one != _CLOSE]
            message["headers"] = [*others, _CLOSE]
        await send(message)

    return send_and_close


def last_answer_of(app: Any) -> Any:
    """Return an application whose answers ask their client to reconnect."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, asking_to_leave(send))

    return answer


def closing_answer(problem: Problem) -> bytes:
    """Return the whole response of a problem that ends its connection."""
    body = problem.body("")
    status = HTTPStatus(problem.status)
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\n"
        f"date: {formatdate(usegmt=True)}\r\n"
        f"content-type: {problems.MEDIA_TYPE}\r\n"
        f"content-length: {len(body)}\r\n"
        "connection: close\r\n"
    )
    further = ((name.encode(), value.encode()) for name, value in problem.headers.items())
    lines = (b"%s: %s\r\n" % header for header in (*HEADERS_OF_ALL, *further))
    return head.encode() + b"".join(lines) + b"\r\n" + body


def come_back(reason: str) -> Any:
    """Return an application that asks its client to come back later."""
    problem = problems.unavailable(reason)
    body = problem.body("")
    headers = [
        (b"content-type", problems.MEDIA_TYPE.encode()),
        (b"content-length", b"%d" % len(body)),
        _CLOSE,
        *((name.encode(), value.encode()) for name, value in problem.headers.items()),
    ]

    async def answer(_scope: Any, _receive: Any, send: Send) -> None:
        start = {"type": "http.response.start", "status": problem.status, "headers": headers}
        await send(start)
        await send({"type": "http.response.body", "body": body})

    return answer
