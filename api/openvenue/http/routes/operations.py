"""What operators and their tools read."""

import asyncio
import os

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

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
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)
