"""The projector's probes and metrics over HTTP: /healthz, /readyz and /metrics."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from openvenue.projector.metrics import REGISTRY
from openvenue.projector.progress import Progress


@asynccontextmanager
async def serving_health(host: str, port: int, progress: Progress) -> AsyncIterator[None]:
    """Answer probes for the duration. Raises OSError where the address cannot be bound.

    Ready is who projects, or stands by for another one that does.
    """

    async def health(_request: web.Request) -> web.Response:
        return web.json_response({"status": "ok", "checks": {}})

    async def readiness(_request: web.Request) -> web.Response:
        if progress.problem is None:
            return web.json_response({"status": "ok", "checks": {}})
        return web.json_response(
            {"status": "unavailable", "checks": {"projection": progress.problem}}, status=503
        )

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(REGISTRY), headers={"content-type": CONTENT_TYPE_LATEST}
        )

    application = web.Application()
    application.router.add_get("/healthz", health)
    application.router.add_get("/readyz", readiness)
    application.router.add_get("/metrics", metrics)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield
    finally:
        await runner.cleanup()
