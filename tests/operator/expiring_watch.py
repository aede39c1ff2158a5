"""A reverse proxy before the API server that can expire watches, as a compaction does."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from aiohttp import web

from tests.support.api_server import ApiServer

_KEPT_HEADERS = ("Authorization", "Content-Type", "Accept")


def _error(code: int) -> bytes:
    status = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "message": "too old resource version: 1 (2)",
        "reason": "Expired",
        "code": code,
    }
    return json.dumps({"type": "ERROR", "object": status}).encode() + b"\n"


class ExpiringWatches:
    """Passes calls on; it knows the watches of one kind."""

    def __init__(self, server: ApiServer, plural: str, directory: Path) -> None:
        self.begun = 0
        """Number of watches so far."""
        self.port = 0
        self._server = server
        self._plural = plural
        self._directory = directory
        self._open: set[asyncio.Event] = set()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["ExpiringWatches"]:
        """Serve HTTP on a port of 127.0.0.1 until the context ends."""
        config = json.loads(self._server.kubeconfig().read_text())
        authority = config["clusters"][0]["cluster"]["certificate-authority"]
        connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=authority))
        async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:
            self._session = session
            app = web.Application()
            app.router.add_route("*", "/{path:.*}", self._pass_on)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
            await runner.setup()
            try:
                await web.TCPSite(runner, "127.0.0.1", 0).start()
                self.port = runner.addresses[0][1]
                yield self
            finally:
                await runner.cleanup()

    def kubeconfig(self, user: str) -> Path:
        """Return a kubeconfig file of a user that connects through this proxy."""
        config = json.loads(self._server.kubeconfig(user).read_text())
        config["clusters"][0]["cluster"] = {"server": f"http://127.0.0.1:{self.port}"}
        path = self._directory / "expiring.kubeconfig"
        path.write_text(json.dumps(config))
        return path

    def expire(self) -> int:
        """Answer 410 on all open watches and end them; return their number."""
        watches, self._open = self._open, set()
        for watch in watches:
            watch.set()
        return len(watches)

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        headers = {name: request.headers[name] for name in _KEPT_HEADERS if name in request.headers}
        async with self._session.request(
            request.method,
            f"{self._server.url}{request.raw_path}",
            data=await request.read() or None,
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=None),
        ) as answer:
            response = web.StreamResponse(status=answer.status)
            response.content_type = answer.content_type
            await response.prepare(request)
            expired = asyncio.Event()
            is_watch = "watch" in request.query and request.path.endswith(f"/{self._plural}")
            if is_watch and answer.status == 200:
                self.begun += 1
                self._open.add(expired)
            passing = asyncio.create_task(self._copy(answer, response))
            expiring = asyncio.create_task(expired.wait())
            try:
                await asyncio.wait({passing, expiring}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                self._open.discard(expired)
                passing.cancel()
                expiring.cancel()
            if expired.is_set():
                await response.write(_error(410))
            await response.write_eof()
            return response

    @staticmethod
    async def _copy(answer: aiohttp.ClientResponse, response: web.StreamResponse) -> None:
        async for part in answer.content.iter_any():
            await response.write(part)
