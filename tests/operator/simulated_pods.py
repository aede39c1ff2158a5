"""Simulates what a bare API server lacks: the Deployment's controller, kubelets, API processes.

Pods are real objects and serve /metrics over HTTP on 127.0.0.1, each on a port of its own. They
read the tuning when they start, and when they are nudged, as under a kubelet.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from lightkube import ApiError, AsyncClient
from lightkube.models.core_v1 import Container, ContainerPort, PodSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import ConfigMap, Pod
from lightkube.types import PatchType
from openvenue_operator.cluster import NUDGE_ANNOTATION

from tests.support.exposition_text import PodMetrics

POLL_S = 0.05
_TUNED = ("workers", "db_pool_size", "db_pool_overflow", "generation")


@dataclass
class SimulatedPod:
    """One API pod: its object, and the process behind it."""

    name: str
    metrics: PodMetrics
    port: int
    runner: web.AppRunner
    nudge: str | None = None
    drains_until: float | None = None
    answer: str | None = None
    """Answer in place of its metrics."""


@dataclass
class SimulatedPods:
    """The pods of one Deployment."""

    client: AsyncClient
    namespace: str
    deployment: str
    start: PodMetrics = field(default_factory=PodMetrics)
    """Figures of pods that start without a tuning."""
    react_s: float = 0.0
    """Time from a nudge until the pod runs the tuning."""
    drain_s: float = 0.0
    cores: float = 0.1
    """Load of each pod."""
    orders_per_s: float = 100.0
    latency_s: float = 0.005
    pods: dict[str, SimulatedPod] = field(default_factory=dict)
    connections_peak: int = 0
    _made: int = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator["SimulatedPods"]:
        """Simulate until the context ends."""
        task = asyncio.create_task(self._play())
        try:
            yield self
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            for pod in self.pods.values():
                await pod.runner.cleanup()

    @property
    def generations(self) -> set[int]:
        """Generations that the pods run."""
        return {pod.metrics.generation for pod in self.pods.values()}

    async def _play(self) -> None:
        last = time.monotonic()
        while True:
            live: Any = await self.client.get(Deployment, self.deployment, namespace=self.namespace)
            await self._scale(live)
            await self._follow()
            now = time.monotonic()
            for pod in self.pods.values():
                pod.metrics.work(
                    now - last,
                    cores=self.cores,
                    orders_per_s=self.orders_per_s,
                    p99_s=self.latency_s,
                )
                pod.metrics.observed_at = time.time()
                pod.metrics.used_connections = self._connections()
            last = now
            self.connections_peak = max(self.connections_peak, self._connections())
            await asyncio.sleep(POLL_S)

    def _connections(self) -> int:
        return sum(pod.metrics.connections_at_most for pod in self.pods.values())

    async def _scale(self, live: Any) -> None:
        staying = [pod for pod in self.pods.values() if pod.drains_until is None]
        for _ in range(live.spec.replicas - len(staying)):
            await self._add(live)
        for pod in staying[live.spec.replicas :]:
            pod.drains_until = time.monotonic() + self.drain_s
            await self.client.delete(Pod, pod.name, namespace=self.namespace)
        for pod in list(self.pods.values()):
            if pod.drains_until is not None and time.monotonic() >= pod.drains_until:
                del self.pods[pod.name]
                await pod.runner.cleanup()
                with contextlib.suppress(ApiError):  # it has gone
                    await self.client.delete(
                        Pod, pod.name, namespace=self.namespace, grace_period=0
                    )
        count = sum(pod.drains_until is None for pod in self.pods.values())
        status = {
            "observedGeneration": live.metadata.generation,
            "replicas": count,
            "updatedReplicas": count,
            "readyReplicas": count,
            "availableReplicas": count,
        }
        await self.client.patch(
            Deployment.Status,
            self.deployment,
            {"status": status},
            namespace=self.namespace,
            patch_type=PatchType.MERGE,
        )

    async def _add(self, live: Any) -> None:
        self._made += 1
        name = f"{self.deployment}-{self._made}"
        # Bound to a node, so that a deleted pod stays until its kubelet reports its end.
        started = PodMetrics(**vars(self.start))
        started.lag_s, started.pool_wait_s, started.latency_s = {}, {}, {}
        pod = SimulatedPod(name, started, 0, web.AppRunner(web.Application()))
        await self._serve(pod)
        await self._read_tuning(pod)
        made: Any = await self.client.create(
            Pod(
                metadata=ObjectMeta(
                    name=name,
                    namespace=self.namespace,
                    labels=dict(live.spec.selector.matchLabels),
                ),
                spec=PodSpec(
                    nodeName="simulated",
                    containers=[
                        Container(
                            name="api",
                            image="none",
                            ports=[ContainerPort(name="http", containerPort=pod.port)],
                        )
                    ],
                ),
            )
        )
        assert made.metadata.name == name
        status = {
            "phase": "Running",
            "podIP": "127.0.0.1",
            "podIPs": [{"ip": "127.0.0.1"}],
            "conditions": [{"type": "Ready", "status": "True"}],
        }
        await self.client.patch(
            Pod.Status,
            name,
            {"status": status},
            namespace=self.namespace,
            patch_type=PatchType.MERGE,
        )
        self.pods[name] = pod

    async def _serve(self, pod: SimulatedPod) -> None:
        async def metrics(_request: web.Request) -> web.Response:
            return web.Response(text=pod.answer or pod.metrics.text())

        app = web.Application()
        app.router.add_get("/metrics", metrics)
        pod.runner = web.AppRunner(app, access_log=None)
        await pod.runner.setup()
        await web.TCPSite(pod.runner, "127.0.0.1", 0).start()
        pod.port = pod.runner.addresses[0][1]

    async def _follow(self) -> None:
        """Make nudged pods read the tuning."""
        for item in [pod async for pod in self.client.list(Pod, namespace=self.namespace)]:
            assert item.metadata is not None
            pod = self.pods.get(str(item.metadata.name))
            nudge = (item.metadata.annotations or {}).get(NUDGE_ANNOTATION)
            if pod is not None and nudge != pod.nudge:
                pod.nudge = nudge
                asyncio.get_running_loop().create_task(self._react(pod))

    async def _react(self, pod: SimulatedPod) -> None:
        await asyncio.sleep(self.react_s)
        await self._read_tuning(pod)

    async def _read_tuning(self, pod: SimulatedPod) -> None:
        try:
            found: Any = await self.client.get(
                ConfigMap, f"{self.deployment}-tuning", namespace=self.namespace
            )
        except ApiError:
            return
        # Somebody may have emptied it by hand: a pod has defaults for what is not there.
        for name, value in json.loads(found.data["tuning.json"]).items():
            if name in _TUNED:
                setattr(pod.metrics, name, value)
