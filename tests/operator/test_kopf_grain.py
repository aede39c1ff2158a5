"""The operator uses kopf as intended: its own names, and nothing that blocks the event loop."""

import asyncio
import builtins
import json
import os
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import kopf
import pytest
from lightkube import AsyncClient
from lightkube.config.kubeconfig import KubeConfig
from openvenue_operator.cluster import connect
from openvenue_operator.handlers import kopf_settings, registry_of
from openvenue_operator.loop import Result, VenueLoop
from openvenue_operator.scrape import new_session
from openvenue_operator.settings import OperatorSettings

from tests.operator.installed_operator import OPERATOR
from tests.operator.objects import DEPLOYMENT, ENGINE, VENUE, deployment, engine_pod, venue
from tests.operator.simulated_pods import SimulatedPods
from tests.operator.test_interrupted_loop import SimulatedEngine, serving
from tests.support.api_server import ApiServer

WITHIN_S = 40.0

# --- Names ----------------------------------------------------------------------------------------


def test_kopf_would_write_on_a_venue_only_under_our_own_names() -> None:
    persistence = kopf_settings(60).persistence
    body = kopf.Body({"metadata": {"annotations": {}}, "spec": {"mode": "Auto"}})
    patch = kopf.Patch()
    record: Any = {"started": "2026-01-01T00:00:00", "retries": 1}
    persistence.progress_storage.store(
        key=kopf.HandlerId("handler"), record=record, body=body, patch=patch
    )
    persistence.progress_storage.touch(body=body, patch=patch, value="now")
    essence = persistence.diffbase_storage.build(body=body)
    persistence.diffbase_storage.store(body=body, patch=patch, essence=essence)
    assert patch.keys() == {"metadata"}
    assert patch["metadata"].keys() == {"annotations"}
    names = set(patch["metadata"]["annotations"])
    assert len(names) >= 3
    assert all(name.startswith("openvenue.dev/") for name in names), names
    assert persistence.finalizer.startswith("openvenue.dev/")


def test_its_handlers_are_of_the_kind_that_writes_nothing() -> None:
    not_called: Any = None
    registry = registry_of(not_called)
    kinds: Any = (registry._changing, registry._spawning, registry._indexing, registry._webhooks)
    assert [list(kind.get_all_handlers()) for kind in kinds] == [[], [], [], []]
    watching: Any = registry._watching
    assert len(list(watching.get_all_handlers())) == 1


# --- Blocking calls -------------------------------------------------------------------------------


@contextmanager
def blocking_calls() -> Iterator[list[str]]:
    """Collect the calls in which this thread waits, other than in its event loop.

    It does not measure time: on a busy machine anything may take long.
    """
    found: list[str] = []
    thread = threading.get_ident()

    def watch(patched: pytest.MonkeyPatch, owner: Any, name: str) -> None:
        original = getattr(owner, name)
        is_method = owner is socket.socket

        def call(*arguments: Any, **named: Any) -> Any:
            waits = not is_method or arguments[0].gettimeout() != 0
            if waits and threading.get_ident() == thread:
                found.append(f"{name}{arguments[is_method:]}")
            return original(*arguments, **named)

        patched.setattr(owner, name, call)

    with pytest.MonkeyPatch.context() as patched:
        for name in ("accept", "connect", "recv", "recv_into", "send", "sendall"):
            watch(patched, socket.socket, name)
        for owner, name in (
            (socket, "getaddrinfo"),
            (time, "sleep"),
            (builtins, "open"),
            (os, "open"),
            (subprocess, "run"),
        ):
            watch(patched, owner, name)
        yield found


def _ask_a_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(OSError, match="timed out"):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=0.05)


@pytest.mark.parametrize(
    "block",
    [
        lambda: time.sleep(0),
        lambda: open(os.devnull).close(),
        lambda: socket.getaddrinfo("localhost", 80),
        _ask_a_server,
    ],
    ids=["sleep", "open", "resolve", "ask"],
)
async def test_a_call_that_blocks_is_seen_and_one_that_waits_in_the_event_loop_is_not(
    block: Callable[[], None],
) -> None:
    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"well")
        writer.close()

    with blocking_calls() as found:
        await asyncio.sleep(0.01)
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            assert await reader.read() == b"well"
            writer.close()
        assert found == []
        block()
    assert found != []


@pytest.mark.cluster
@pytest.mark.timeout(120)
async def test_no_look_at_a_venue_blocks_the_event_loop(
    api_server: ApiServer, admin: AsyncClient, namespace: str
) -> None:
    config = KubeConfig.from_file(api_server.kubeconfig(OPERATOR)).get()
    settings = OperatorSettings(identity="test/operator")
    found: list[str] = []
    async with (
        serving(SimulatedEngine()) as port,  # type: ignore[abstract]
        connect(config) as client,
        new_session() as session,
    ):
        api_server.apply(deployment(namespace), engine_pod(namespace, port))
        status = {"status": {"podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}]}}
        patch = ("--subresource=status", "--type=merge", "-p", json.dumps(status))
        api_server.kubectl("patch", "pod", f"{ENGINE}-0", "-n", namespace, *patch)
        async with SimulatedPods(admin, namespace, DEPLOYMENT).running():
            loop = VenueLoop(client, session, settings, namespace, VENUE)
            for replicas, workers in ((3, 1), (1, 3)):
                api_server.apply(venue(namespace, replicas=replicas, workers=workers))
                deadline = time.monotonic() + WITHIN_S
                result = None
                while result is not Result.SETTLED:
                    assert time.monotonic() < deadline
                    with blocking_calls() as blocked:
                        result = await loop.reconcile()
                    found += blocked
                    await asyncio.sleep(0.1)
            with blocking_calls() as blocked:
                await loop.release()
            found += blocked
    assert found == []
