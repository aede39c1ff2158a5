"""A projector's signs for operators: probes, metrics, its log, and why it ended."""

import asyncio
import itertools
import json
import math
import shutil
import signal
from pathlib import Path

import asyncpg
import httpx
import pytest
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.projector.run import ProjectionFault, all_projections, follow
from openvenue.projector.settings import ProjectorSettings
from prometheus_client.parser import text_string_to_metric_families

from tests.projector.flow import Flow, wait_until_projected
from tests.support import http, metrics
from tests.support.venue import Venue
from tests.support.waiting import until


def metric(port: str, name: str) -> float:
    text = http.get(f"http://127.0.0.1:{port}/metrics").text
    name = f"openvenue_projector_{name}"
    samples = metrics.samples(text, name)
    (value,) = (each.value for each in samples if each.labels["projection"] == "ledger")
    return value


def is_ready(port: str) -> bool:
    try:
        return http.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
    except httpx.TransportError:
        return False


async def project(venue: Venue, until_sequence: int) -> None:
    async with asyncio.timeout(60):
        own = ProjectorSettings()
        await follow(all_projections(own), venue.settings, own, asyncio.Event(), until_sequence)


async def test_probes_and_metrics_follow_the_stream(engine: Venue, flow: Flow, port: str) -> None:
    engine.start_projector(projector_http_port=port)
    last = await asyncio.to_thread(flow.send, 500)
    await until(lambda: is_ready(port))
    await until(lambda: metric(port, "sequence") == last)
    await until(lambda: metric(port, "lag_seconds") == 0)
    assert metric(port, "lag_sequences") == 0
    assert metric(port, "active") == 1
    assert metric(port, "entries_total") == last
    assert metric(port, "rows_total") > 0
    assert metric(port, "batch_entries_count") == metric(port, "transaction_seconds_count") > 0

    engine.engine.stop(signal.SIGKILL)
    await until(lambda: not is_ready(port))
    async with http.AsyncClient(base_url=f"http://127.0.0.1:{port}") as probe:
        answer = await probe.get("/readyz")
        assert answer.json()["checks"]["ledger"].startswith("engine: ")
        assert (await probe.get("/healthz")).status_code == 200
    await until(lambda: metric(port, "active") == 0)  # Figures are up to a second old.
    assert math.isnan(metric(port, "lag_sequences"))
    before = metric(port, "lag_seconds")
    assert before > 0
    await until(lambda: metric(port, "lag_seconds") > before)

    await asyncio.to_thread(engine.start_engine)
    await until(lambda: is_ready(port) and metric(port, "lag_seconds") == 0)
    assert metric(port, "lag_sequences") == 0


async def test_only_metrics_of_the_projector_are_shown_and_all_of_them_from_the_start(
    engine: Venue, port: str
) -> None:
    engine.start_projector(projector_http_port=port)
    await until(lambda: is_ready(port))
    async with http.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        text = (await client.get("/metrics")).text
    families = list(text_string_to_metric_families(text))
    prefixes = ("openvenue_projector_", "process_", "python_info")
    assert [family.name for family in families if not family.name.startswith(prefixes)] == []
    name = "openvenue_projector_failures_total"
    series = {
        (sample.labels["projection"], sample.labels["cause"])
        for sample in metrics.samples(text, name)
    }
    causes = ("engine", "connection", "offset", "schema", "fault")
    assert series == set(itertools.product(("ledger", "market", "quotes"), causes))


async def test_a_standby_is_ready(engine: Venue, flow: Flow, port: str) -> None:
    engine.start_projector()
    await wait_until_projected(engine.database_url, await asyncio.to_thread(flow.send, 100))
    first = engine.projector
    engine.start_projector(projector_http_port=port)
    try:
        await until(lambda: is_ready(port))
        assert metric(port, "active") == metric(port, "lag_seconds") == 0
        assert first is not None
        first.stop(signal.SIGKILL)
        await until(lambda: metric(port, "active") == 1)
    finally:
        if first is not None:
            first.stop()


async def test_the_log_level_follows_the_tuning_file(
    engine: Venue, tmp_path: Path, port: str
) -> None:
    file = tmp_path / "tuning.json"
    engine.start_projector(tuning_file=str(file), log_format="json", projector_http_port=port)
    await until(lambda: is_ready(port))
    assert engine.projector.log.read_text() == ""
    file.write_text(json.dumps({"generation": 1, "log_level": "INFO"}))
    await until(lambda: "tuning applied" in engine.projector.log.read_text())


async def test_a_journal_that_is_too_short_for_the_rows_is_refused(
    engine: Venue, flow: Flow
) -> None:
    await project(engine, flow.send(200))
    engine.engine.stop()
    shutil.rmtree(engine.directory / "journal")
    await asyncio.to_thread(engine.start_engine)
    with pytest.raises(ProjectionFault, match="it is another journal"):
        await project(engine, 1000)


async def test_a_longer_journal_that_is_not_the_one_of_the_rows_is_refused(
    engine: Venue, flow: Flow
) -> None:
    await project(engine, flow.send(200))
    engine.engine.stop()
    shutil.rmtree(engine.directory / "journal")
    await asyncio.to_thread(engine.start_engine)
    await asyncio.to_thread(engine.define_instruments)
    await asyncio.to_thread(
        engine.apply, pb.AdminRequest(open_account=pb.OpenAccount(account_id=1, name="one"))
    )
    with Flow(engine, seed=9) as other:
        await asyncio.to_thread(other.send, 2000)
        assert other.status().durable_sequence > 210
    with pytest.raises(ProjectionFault, match="is not the one that was projected"):
        await project(engine, 1000)


async def test_rows_that_contradict_the_journal_end_the_process(engine: Venue, flow: Flow) -> None:
    last = flow.send(200)
    await project(engine, last)
    connection = await asyncpg.connect(engine.database_url.replace("+asyncpg", ""))
    try:
        # Rows that the offset does not account for, as in a restored table.
        await connection.execute(
            "INSERT INTO orders SELECT o.* FROM (SELECT * FROM orders LIMIT 1) t, "
            "LATERAL (SELECT (jsonb_populate_record(NULL::orders, to_jsonb(t) || "
            "jsonb_build_object('order_id', n))).* FROM generate_series($1::int, $1 + 100) n) o",
            last + 1,
        )
    finally:
        await connection.close()
    await asyncio.to_thread(flow.send, 100)
    engine.start_projector()
    assert await asyncio.to_thread(engine.projector.process.wait, 30) == 3
    log = engine.projector.log.read_text()
    assert "UniqueViolationError" in log
    assert "openvenue projector rebuild" in log
