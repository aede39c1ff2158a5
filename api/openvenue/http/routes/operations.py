"""What operators and their tools read."""

import asyncio

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from openvenue.metrics_archive import MetricsArchive

router = APIRouter(tags=["operations"])


@router.get(
    "/metrics",
    openapi_extra={"responses": {"200": {"description": "Success", "content": {"text/plain": {}}}}},
)
async def get_metrics() -> Response:
    """Return the metrics of all workers of this process group."""
    text = await asyncio.to_thread(_collect)
    return Response(text, headers={"content-type": CONTENT_TYPE_LATEST})


def _collect() -> bytes:
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    with MetricsArchive.of_environment().reading():
        return generate_latest(registry)
