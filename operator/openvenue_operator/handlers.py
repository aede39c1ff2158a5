"""kopf's handlers, which follow the Venues and keep one loop for each.

kopf watches; the loops reconcile. There are only event handlers, which need neither finalizer nor
annotation on a Venue: a namespace whose operator has gone can be deleted, and nothing writes to an
idle venue.
"""

import asyncio
import contextlib
import dataclasses
import os
from collections.abc import Collection, Iterator
from typing import Any

import aiohttp
import httpx2
import kopf
from lightkube import AsyncClient
from openvenue.telemetry import get_logger

from openvenue_operator.cluster import GROUP, PLURAL, VERSION
from openvenue_operator.loop import VenueLoop
from openvenue_operator.settings import OperatorSettings

RELEASE_TIMEOUT_S = 5.0

_log = get_logger(__name__)


class Loops(Collection[VenueLoop]):
    """The loops of all Venues, by namespace and name."""

    def __init__(
        self, client: AsyncClient, session: aiohttp.ClientSession, settings: OperatorSettings
    ) -> None:
        self._loops: dict[tuple[str, str], VenueLoop] = {}
        self._client = client
        self._session = session
        self._settings = settings
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._generations: dict[tuple[str, str], int] = {}

    def __iter__(self) -> Iterator[VenueLoop]:
        return iter(list(self._loops.values()))

    def __len__(self) -> int:
        return len(self._loops)

    def __contains__(self, loop: object) -> bool:
        return loop in self._loops.values()

    def follow(self, namespace: str, name: str, generation: int) -> None:
        """Begin to reconcile a Venue, or do it at once if its spec has changed."""
        key = (namespace, name)
        task = self._tasks.get(key)
        if task is None or task.done():
            loop = VenueLoop(self._client, self._session, self._settings, namespace, name)
            self._loops[key] = loop
            self._tasks[key] = asyncio.create_task(loop.run(), name=f"venue {namespace}/{name}")
            self._tasks[key].add_done_callback(lambda done: self._ended(key, done))
        elif self._generations.get(key) != generation:
            self._loops[key].wake()
        self._generations[key] = generation

    def wake(self, namespace: str, name: str) -> None:
        """Reconcile a Venue at once, which notices that it is gone."""
        if (loop := self._loops.get((namespace, name))) is not None:
            loop.wake()

    async def stop(self) -> None:
        """End all loops, and release their Venues to other operators."""
        loops, tasks = list(self._loops.values()), list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RELEASE_TIMEOUT_S):
                await asyncio.gather(*(self._release(loop) for loop in loops))

    async def _release(self, loop: VenueLoop) -> None:
        try:
            await loop.release()
        except (httpx2.HTTPError, OSError) as error:
            _log.warning("lease not released", venue=loop.name, problem=str(error))

    def _ended(self, key: tuple[str, str], task: asyncio.Task[None]) -> None:
        if self._tasks.get(key) is task:
            del self._tasks[key], self._loops[key], self._generations[key]


def registry_of(loops: Loops) -> kopf.OperatorRegistry:
    """Return the handlers with which kopf keeps the loops."""
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    def log_in(**context: Any) -> kopf.ConnectionInfo | None:
        return _in_cluster(**context) or kopf.login_with_kubeconfig(**context)

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)
    async def on_venue(
        *, event: kopf.RawEvent, namespace: str | None, name: str, meta: kopf.Meta, **_: Any
    ) -> None:
        assert namespace is not None, "Venues are namespaced"
        if event["type"] == "DELETED":
            loops.wake(namespace, name)
        else:
            loops.follow(namespace, name, int(meta["generation"]))

    @kopf.on.cleanup(registry=registry)
    async def clean_up(**_: Any) -> None:
        await loops.stop()

    return registry


def kopf_settings(watch_silence_s: float) -> kopf.OperatorSettings:
    """Return kopf's settings: it watches Venues, and calls nothing else."""
    settings = kopf.OperatorSettings()
    settings.watching.inactivity_timeout = watch_silence_s
    settings.scanning.disabled = True  # Do not watch namespaces and CustomResourceDefinitions.
    settings.posting.enabled = False
    settings.peering.standalone = True  # See `lease`.
    settings.networking.request_timeout = 30.0
    settings.networking.connect_timeout = 5.0
    # Event handlers do not use it; any future handler would write under our own names.
    settings.persistence.finalizer = f"{GROUP}/operator"
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=GROUP)
    settings.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=GROUP)
    return settings


def _in_cluster(**context: Any) -> kopf.ConnectionInfo | None:
    """Return the pod's service account, and the API server's address, which needs no DNS."""
    connection = kopf.login_with_service_account(**context)
    host = os.environ.get("KUBERNETES_SERVICE_HOST")
    if connection is None or not host:
        return connection
    port = os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    shown = f"[{host}]" if ":" in host else host
    return dataclasses.replace(connection, server=f"https://{shown}:{port}")
