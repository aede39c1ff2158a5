"""Probes and metrics of a process over HTTP, on a listener that no client reaches.

/healthz    200 if the process should not be restarted
/readyz     200 if it serves; otherwise the problems, each with its start
/metrics    at most a second old, however many scrape
"""

import asyncio
import functools
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import msgspec
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from openvenue.serving.readiness import Health

# Shorter than a scraper's interval, longer than the interval of many scrapers together.
_AGE_MAX_S = 1.0
_STOP_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Probes:
    """The answers of a process. The serving thread calls all three."""

    health: Callable[[], Health]
    readiness: Callable[[], Health]
    metrics: Callable[[], bytes]


def probes_of_one(
    name: str, problem: Callable[[], str | None], registry: CollectorRegistry
) -> Probes:
    """Return the probes of a process that does one thing: ready if it has no problem."""

    def readiness() -> Health:
        found = problem()
        return Health("ok") if found is None else Health("unavailable", {name: found})

    metrics = functools.partial(generate_latest, registry)
    return Probes(health=lambda: Health("ok"), readiness=readiness, metrics=metrics)


class Exposition:
    """Metrics as text; one collection at a time serves all scrapers."""

    def __init__(self, collect: Callable[[], bytes], age_max_s: float) -> None:
        self._collect = collect
        self._age_max_s = age_max_s
        self._started_at = float("-inf")
        self._collection: asyncio.Task[bytes] | None = None

    async def text(self) -> bytes:
        """Return the latest collection, or the one under way. Raises the error of collecting."""
        now = asyncio.get_running_loop().time()
        collection = self._collection
        if collection is None or (collection.done() and now - self._started_at > self._age_max_s):
            self._started_at = now
            collection = asyncio.create_task(asyncio.to_thread(self._collect))
            self._collection = collection
        # A caller that stops waiting must not stop it for the others.
        return await asyncio.shield(collection)


@asynccontextmanager
async def serving_probes(listener: socket.socket, probes: Probes) -> AsyncIterator[None]:
    """Answer on `listener` for the duration."""
    exposition = Exposition(probes.metrics, _AGE_MAX_S)

    async def health(_request: web.Request) -> web.Response:
        return _answer(probes.health())

    async def readiness(_request: web.Request) -> web.Response:
        return _answer(probes.readiness())

    async def metrics(_request: web.Request) -> web.Response:
        headers = {"content-type": CONTENT_TYPE_LATEST}
        return web.Response(body=await exposition.text(), headers=headers)

    application = web.Application()
    application.router.add_get("/healthz", health)
    application.router.add_get("/readyz", readiness)
    application.router.add_get("/metrics", metrics)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.SockSite(runner, listener).start()
        yield
    finally:
        await runner.cleanup()


@contextmanager
def probes_in_a_thread(listener: socket.socket, probes: Probes) -> Iterator[None]:
    """Answer on `listener` for the duration, from a thread, because the main one may be stuck."""
    loop = asyncio.new_event_loop()
    ended = asyncio.Event()

    async def serve() -> None:
        async with serving_probes(listener, probes):
            await ended.wait()

    thread = threading.Thread(
        target=loop.run_until_complete, args=(serve(),), name="operations", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(_STOP_TIMEOUT_S)


def _answer(health: Health) -> web.Response:
    document = {name: value for name, value in msgspec.structs.asdict(health).items() if value}
    body = msgspec.json.encode({"checks": {}, **document})
    status = 200 if health.status == "ok" else 503
    return web.Response(body=body, status=status, content_type="application/json", headers=_HEADERS)


_HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
