"""The projector's probes and metrics over HTTP."""

import functools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from prometheus_client import generate_latest

from openvenue.projector.metrics import REGISTRY
from openvenue.projector.progress import Progress
from openvenue.serving.operations import Probes, serving_probes
from openvenue.serving.readiness import Health
from openvenue.serving.sockets import listen


@asynccontextmanager
async def serving_health(
    host: str, port: int, projections: Sequence[Progress]
) -> AsyncIterator[None]:
    """Answer probes for the duration. Raises OSError if the address cannot be bound.

    A projector is ready if each projection is at work, or stands by for another process that is.
    """

    def readiness() -> Health:
        problems = {
            progress.projection: progress.problem
            for progress in projections
            if progress.problem is not None
        }
        return Health("unavailable", problems) if problems else Health("ok")

    metrics = functools.partial(generate_latest, REGISTRY)
    probes = Probes(health=lambda: Health("ok"), readiness=readiness, metrics=metrics)
    with listen(host, port) as listener:
        async with serving_probes(listener, probes):
            yield
