"""The operator tunes a real API and a real engine; only the kubelet is simulated."""

import asyncio
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from openvenue_operator.exposition import read

from tests.operator.objects import DEPLOYMENT, ENGINE, VENUE, deployment, engine_pod, venue
from tests.operator.operator_process import running_operator
from tests.support.api_server import ApiServer
from tests.support.venue import Venue
from tests.support.waiting import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]

WITHIN_S = 60.0


class Kubelet:
    """Writes the ConfigMap into the API's file when the pod is annotated."""

    def __init__(self, server: ApiServer, namespace: str, file: Path) -> None:
        self.server = server
        self.namespace = namespace
        self.file = file
        self.nudges: list[str] = []

    async def run(self) -> None:
        while True:
            pod = self.get("pod", "api-1")
            annotations = pod["metadata"].get("annotations", {})
            nudge = annotations.get("openvenue.dev/tuning-generation")
            if nudge and nudge not in self.nudges:
                self.nudges.append(nudge)
                tuning = self.get("configmap", f"{DEPLOYMENT}-tuning")["data"]["tuning.json"]
                new = self.file.with_suffix(".new")
                new.write_text(tuning)
                os.replace(new, self.file)
            await asyncio.sleep(0.2)

    def get(self, kind: str, name: str) -> Any:
        return self.server.get(kind, name, self.namespace)


async def test_workers_and_pools_change_in_the_running_process(
    api_server: ApiServer, namespace: str, new_venue: Callable[..., Venue], tmp_path: Path
) -> None:
    file = tmp_path / "tuning.json"
    started = {"workers": "1", "db_pool_size": "2", "db_pool_overflow": "0"}
    running = new_venue().start(projector=True, tuning_file=str(file), **started)
    supervisor = running.api.pid
    environment = {f"OPENVENUE_{name.upper()}": value for name, value in started.items()}
    pod = engine_pod(namespace, running.api_port)
    pod["metadata"] = {
        "name": "api-1",
        "namespace": namespace,
        "labels": {"app.kubernetes.io/component": "api", "app.kubernetes.io/instance": DEPLOYMENT},
    }
    pod["spec"]["containers"][0]["ports"] = [
        {"name": "http", "containerPort": running.api_port},
        {"name": "operations", "containerPort": running.operations_port},
    ]
    api_server.apply(
        deployment(namespace, environment=environment),
        pod,
        engine_pod(namespace, running.engine_port),
    )
    for name in ("api-1", f"{ENGINE}-0"):
        status = {
            "phase": "Running",
            "podIP": "127.0.0.1",
            "podIPs": [{"ip": "127.0.0.1"}],
            "conditions": [{"type": "Ready", "status": "True"}],
        }
        patch = ("--subresource=status", "--type=merge", "-p", json.dumps({"status": status}))
        api_server.kubectl("patch", "pod", name, "-n", namespace, *patch)
    names = ("observedGeneration", "replicas", "updatedReplicas", "readyReplicas")
    counts = dict.fromkeys((*names, "availableReplicas"), 1)
    patch = ("--subresource=status", "--type=merge", "-p", json.dumps({"status": counts}))
    api_server.kubectl("patch", "deployment", DEPLOYMENT, "-n", namespace, *patch)
    kubelet = Kubelet(api_server, namespace, file)
    playing = asyncio.create_task(kubelet.run())
    try:
        with running_operator(api_server, tmp_path, namespace):
            api_server.apply(venue(namespace, workers=2, pool=3, overflow=1))
            await until(lambda: _is_tuned(kubelet) and len(running.worker_pids()) == 2)
            await until(lambda: _pool(running) == (6.0, 2.0))
            api_server.apply(venue(namespace, workers=1, pool=4))
            await until(lambda: _is_tuned(kubelet) and len(running.worker_pids()) == 1)
            await until(lambda: _pool(running) == (4.0, 0.0))
    finally:
        playing.cancel()
    assert running.api.running
    assert running.api.pid == supervisor


def _is_tuned(kubelet: Kubelet) -> bool:
    found = kubelet.get("venue", VENUE)
    status = found.get("status") or {}
    return any(
        one["type"] == "Tuned"
        and one["status"] == "True"
        and status.get("observedGeneration") == found["metadata"]["generation"]
        for one in status.get("conditions", [])
    )


def _pool(venue: Venue) -> tuple[float, float]:
    """Return size and overflow of all pools together, by the API's metrics."""
    reading = read(venue.metrics(), time.time())
    return reading.db_pool_size, reading.db_pool_overflow
