"""A loop that is killed after any write, or whose calls fail, reaches the same state."""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

import grpc
import httpx2
import pytest
from lightkube import AsyncClient
from lightkube.config.kubeconfig import KubeConfig
from lightkube.resources.apps_v1 import Deployment
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.engine.v1 import engine_pb2_grpc as rpc
from openvenue_operator.cluster import CountingTransport, connect
from openvenue_operator.engine import EngineClient
from openvenue_operator.loop import Result, VenueLoop
from openvenue_operator.scrape import new_session
from openvenue_operator.settings import OperatorSettings

from tests.operator.installed_operator import OPERATOR
from tests.operator.objects import DEPLOYMENT, ENGINE, VENUE, deployment, engine_pod, venue
from tests.operator.simulated_pods import SimulatedPods
from tests.support.api_server import ApiServer
from tests.support.exposition_text import PodMetrics

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

WITHIN_S = 40.0


class Killed(BaseException):
    """The operator's process ended."""


class Interruption:
    """Failures of a loop's calls."""

    def __init__(self) -> None:
        self.writes = 0
        self.kill_after: int | None = None
        self.fails: Callable[[httpx2.Request], httpx2.Response | None] | None = None

    def wrote(self) -> None:
        self.writes += 1
        if self.writes == self.kill_after:
            raise Killed

    def transport(self) -> type[httpx2.AsyncHTTPTransport]:
        interruption = self

        class Interrupted(CountingTransport):
            async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
                failure = interruption.fails(request) if interruption.fails else None
                if failure is not None:
                    return failure
                response = await super().handle_async_request(request)
                if request.method != "GET":
                    interruption.wrote()
                return response

        return Interrupted


class SimulatedEngine(rpc.AdminServicer):
    """An engine\'s settings; other calls get UNIMPLEMENTED."""

    def __init__(self) -> None:
        self.server_threads = 64

    async def Tune(self, request: pb.TuneRequest, context: Any) -> pb.TuneResponse:
        if request.HasField("server_threads_max"):
            self.server_threads = request.server_threads_max
        return pb.TuneResponse(log_level="info", server_threads_max=self.server_threads)


@asynccontextmanager
async def serving(engine: SimulatedEngine) -> AsyncIterator[int]:
    server = grpc.aio.server()
    rpc.add_AdminServicer_to_server(engine, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield port
    finally:
        await server.stop(None)


COURSES_AT_ONCE = 4
_of_this_course: ContextVar[Interruption] = ContextVar("interruption of the course that runs")


@pytest.fixture
def engine_writes_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count writes to an engine among those of the course whose operator makes them."""
    original = EngineClient.set_server_threads

    async def set_and_count(self: EngineClient, address: str, count: int) -> None:
        await original(self, address, count)
        _of_this_course.get().wrote()

    monkeypatch.setattr(EngineClient, "set_server_threads", set_and_count)


class Course:
    """One run of the same events, in its own namespace."""

    def __init__(
        self, server: ApiServer, admin: AsyncClient, namespace: str, interruption: Interruption
    ) -> None:
        self.server = server
        self.admin = admin
        self.namespace = namespace
        self.interruption = interruption
        self.kills = 0

    async def run(self) -> dict[str, Any]:
        """Let a venue start and change, restarting the operator whenever it ends."""
        _of_this_course.set(self.interruption)
        engine = SimulatedEngine()  # type: ignore[abstract]
        async with serving(engine) as port:
            objects = deployment(self.namespace), engine_pod(self.namespace, port)
            await asyncio.to_thread(self.server.apply, *objects)
            status = json.dumps({"status": {"podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}]}})
            await asyncio.to_thread(
                self.server.kubectl, "patch", "pod", f"{ENGINE}-0", "-n", self.namespace,
                "--subresource=status", "--type=merge", "-p", status,
            )  # fmt: skip
            start = PodMetrics(workers=2, db_pool_size=5, db_pool_overflow=5)
            pods = SimulatedPods(self.admin, self.namespace, DEPLOYMENT, start, drain_s=0.3)
            async with pods.running():
                # First more of everything, then fewer pods with more workers.
                await self._settle(replicas=3, workers=1, pool=3)
                await self._settle(replicas=1, workers=3, pool=2)
                running = {
                    (pod.metrics.workers, pod.metrics.db_pool_size, pod.metrics.db_pool_overflow)
                    for pod in pods.pods.values()
                }
                tuning = self._get("configmap", f"{DEPLOYMENT}-tuning")["data"]["tuning.json"]
                written = json.loads(tuning)
                assert pods.generations == {written.pop("generation")}
        return {
            "replicas": self._get("deployment", DEPLOYMENT)["spec"]["replicas"],
            "tuning": written,
            "running": running,
            "engine": engine.server_threads,
        }

    async def _settle(self, **bounds: Any) -> None:
        await asyncio.to_thread(self.server.apply, venue(self.namespace, **bounds))
        wanted = self._get("venue", VENUE)["metadata"]["generation"]
        deadline = time.monotonic() + WITHIN_S
        while True:
            try:
                await self._operate_until_settled(wanted, deadline)
            except Killed:
                self.kills += 1
            else:
                return

    async def _operate_until_settled(self, generation: int, deadline: float) -> None:
        settings = OperatorSettings(identity="test/operator")
        config = KubeConfig.from_file(self.server.kubeconfig(OPERATOR)).get()
        async with (
            connect(config, self.interruption.transport()) as client,
            new_session() as session,
        ):
            loop = VenueLoop(client, session, settings, self.namespace, VENUE)
            while await loop.reconcile() is not Result.SETTLED or not self._is_told(generation):
                assert time.monotonic() < deadline, self._get("venue", VENUE).get("status")
                await asyncio.sleep(0.1)

    def _is_told(self, generation: int) -> bool:
        status = self._get("venue", VENUE).get("status") or {}
        return bool(status.get("observedGeneration") == generation)

    def _get(self, kind: str, name: str) -> Any:
        return self.server.get(kind, name, self.namespace)


@pytest.fixture
def new_course(
    api_server: ApiServer, admin: AsyncClient, new_namespace: Callable[[], str]
) -> Callable[[Interruption], Course]:
    return lambda interruption: Course(api_server, admin, new_namespace(), interruption)


async def test_killed_after_any_write_it_comes_to_the_same_state(
    new_course: Callable[[Interruption], Course], engine_writes_counted: None
) -> None:
    untouched = Interruption()
    wanted = await new_course(untouched).run()
    assert wanted["replicas"] == 1
    assert wanted["running"] == {(3, 2, 0)}
    assert untouched.writes > 8
    at_once = asyncio.Semaphore(COURSES_AT_ONCE)

    async def killed_after(write: int) -> None:
        interruption = Interruption()
        interruption.kill_after = write
        async with at_once:
            course = await asyncio.to_thread(new_course, interruption)
            assert await course.run() == wanted, f"killed after write {write}"
        assert course.kills <= 1

    async with asyncio.TaskGroup() as courses:
        for write in range(1, untouched.writes + 1):
            courses.create_task(killed_after(write))


@pytest.mark.parametrize("failure", ["429", "500", "410", "cut", "slow"])
async def test_calls_that_fail_only_delay_it(
    new_course: Callable[[Interruption], Course], failure: str
) -> None:
    chance = random.Random(failure)

    def fail(request: httpx2.Request) -> httpx2.Response | None:
        if chance.random() > 0.15:
            return None
        if failure == "cut":
            raise httpx2.ReadError("cut", request=request)
        if failure == "slow":
            raise httpx2.ReadTimeout("slow", request=request)
        status = {
            "kind": "Status",
            "code": int(failure),
            "message": "injected",
            "status": "Failure",
        }
        return httpx2.Response(
            int(failure), json=status, headers={"Retry-After": "1"}, request=request
        )

    interruption = Interruption()
    interruption.fails = fail
    result = await new_course(interruption).run()
    assert result["replicas"] == 1
    assert result["running"] == {(3, 2, 0)}


async def test_windows_go_on_without_a_write_and_begin_anew_with_another_process(
    api_server: ApiServer, admin: AsyncClient, namespace: str
) -> None:
    roomy = venue(namespace)
    roomy["spec"]["api"]["replicas"] = {"min": 1, "max": 2}
    roomy["spec"]["tuning"] = {"upWindowSeconds": 3600, "downWindowSeconds": 3600}
    api_server.apply(deployment(namespace), roomy)
    config = KubeConfig.from_file(api_server.kubeconfig(OPERATOR)).get()
    settings = OperatorSettings(identity="test/operator")

    async def high_since(loop: VenueLoop) -> float:
        deadline = time.monotonic() + WITHIN_S
        while loop.situation is None or loop.situation.memory.high_since is None:
            assert time.monotonic() < deadline
            await loop.reconcile()
            await asyncio.sleep(0.2)
        return loop.situation.memory.high_since

    async with (
        SimulatedPods(admin, namespace, DEPLOYMENT, cores=0.95).running(),
        connect(config) as client,
        new_session() as session,
    ):
        first = VenueLoop(client, session, settings, namespace, VENUE)
        since = await high_since(first)
        await asyncio.sleep(1.5)
        await first.reconcile()
        assert await high_since(first) == since
        second = VenueLoop(client, session, settings, namespace, VENUE)
        assert await high_since(second) > since


async def test_a_change_is_followed_by_the_cooldown_in_another_process_too(
    api_server: ApiServer, admin: AsyncClient, namespace: str
) -> None:
    cooldown_s = 15
    roomy = venue(namespace)
    roomy["spec"]["api"]["replicas"] = {"min": 1, "max": 4}
    roomy["spec"]["tuning"] = {
        "upWindowSeconds": 1,
        "downWindowSeconds": 3600,
        "cooldownSeconds": cooldown_s,
    }
    api_server.apply(deployment(namespace), roomy)
    config = KubeConfig.from_file(api_server.kubeconfig(OPERATOR)).get()
    settings = OperatorSettings(identity="test/operator")

    async def grows(loop: VenueLoop, replicas: int) -> float:
        """Reconcile until more pods are asked for; return the time."""
        deadline = time.monotonic() + WITHIN_S
        while True:
            await loop.reconcile()
            live: Any = await admin.get(Deployment, DEPLOYMENT, namespace=namespace)
            if live.spec.replicas > replicas:
                return time.time()
            assert time.monotonic() < deadline
            await asyncio.sleep(0.2)

    async with (
        SimulatedPods(admin, namespace, DEPLOYMENT, cores=0.95).running(),
        connect(config) as client,
        new_session() as session,
    ):
        first = VenueLoop(client, session, settings, namespace, VENUE)
        await grows(first, 1)
        assert first.situation is not None
        changed_at = first.situation.now
        second = VenueLoop(client, session, settings, namespace, VENUE)
        again_at = await grows(second, 2)
        assert second.situation is not None
        since = second.situation.memory.high_since
        assert since is not None
        # More was asked for long before, so only the cooldown delayed it.
        assert since < changed_at + cooldown_s - 2
        assert again_at >= changed_at + cooldown_s
