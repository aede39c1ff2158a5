"""What operators and their tools read."""

import asyncio
from collections.abc import Callable

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from openvenue.metrics_archive import MetricsArchive

# More often than anybody scrapes; less often than many scrapers together ask.
_AGE_MAX_S = 1.0

router = APIRouter(tags=["operations"])


class Exposition:
    """The metrics of all workers as text, collected by one at a time however many ask.

    What it returns is at most `age_max_s` old: a collection reads the files of every worker.
    """

    def __init__(self, collect: Callable[[], bytes], age_max_s: float) -> None:
        self._collect = collect
        self._age_max_s = age_max_s
        self._started_at = float("-inf")
        self._collection: asyncio.Task[bytes] | None = None

    async def text(self) -> bytes:
        """Return the latest collection, or the one under way. Raises what collecting raised."""
        now = asyncio.get_running_loop().time()
        collection = self._collection
        if collection is None or (collection.done() and now - self._started_at > self._age_max_s):
            self._started_at = now
            collection = asyncio.create_task(asyncio.to_thread(self._collect))
            self._collection = collection
        # Whoever stops waiting does not stop it for the others.
        return await asyncio.shield(collection)


@router.get(
    "/metrics",
    openapi_extra={"responses": {"200": {"description": "Success", "content": {"text/plain": {}}}}},
)
async def get_metrics() -> Response:
    """Return the metrics of all workers of this process group, at most a second old."""
    return Response(await _exposition.text(), headers={"content-type": CONTENT_TYPE_LATEST})


def _collect() -> bytes:
    registry = CollectorRegistry()
    archive = MetricsArchive.of_environment()
    registry.register(archive)
    with archive.reading():
        return generate_latest(registry)


_exposition = Exposition(_collect, _AGE_MAX_S)
