"""A request that the stopping server gives up still gets a true problem document."""

import asyncio
import json
from typing import Any

from openvenue.http.app import Application
from openvenue.security.keys import NewKey

from tests.support.venue import Venue, key_headers


async def give_up(application: Application, key: NewKey, method: str, path: str) -> dict[str, Any]:
    """Cancel a request that waits in vain; return its problem."""
    sent: list[Any] = []
    asked = asyncio.Event()

    async def receive() -> Any:
        asked.set()
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(name.lower().encode(), value.encode()) for name, value in key_headers(key).items()]
    scope: dict[str, Any] = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
    }
    scope |= {"headers": headers, "query_string": b"", "root_path": "", "app": None}
    scope |= {"http_version": "1.1", "server": ("v", 1), "client": ("c", 1), "scheme": "http"}
    task = asyncio.create_task(application(scope, receive, send))
    waits = asyncio.create_task(asked.wait() if method == "POST" else asyncio.sleep(0.5))
    await waits
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    start, body = sent
    assert start["status"] == 503
    problem: dict[str, Any] = json.loads(body["body"])
    return problem


async def test_a_read_changed_nothing(
    application: Application, venue: Venue, account: NewKey
) -> None:
    venue.engine.pause()
    try:
        problem = await give_up(application, account, "GET", "/v2/account")
    finally:
        venue.engine.resume()
    assert problem["detail"] == "the worker stopped; nothing was changed: ask again"


async def test_an_order_whose_body_had_not_come_was_not_entered(
    application: Application, account: NewKey
) -> None:
    problem = await give_up(application, account, "POST", "/v2/orders")
    assert problem["detail"] == "the worker stopped before the order was entered: send it again"
