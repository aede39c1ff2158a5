"""The same situation has the same plan offline, byte for byte."""

import json
from pathlib import Path

import msgspec
import pytest
import yaml
from hypothesis import given, settings
from openvenue.cli.main import app
from openvenue.commands import CommandError
from openvenue_operator.model import Memory, Situation
from openvenue_operator.offline import GRACE_SECONDS, START, cold_start, plan_of, render
from openvenue_operator.plan import plan
from openvenue_operator.status import PlanStatus, Status, json_form, status_of
from typer.testing import CliRunner

from tests.support.crd import TEMPLATE
from tests.support.observed import allocation, exactly, load, observation, pod, spec
from tests.unit.operator.simulated_cluster import SimulatedCluster
from tests.unit.operator.test_plan_properties import begin, clusters, happen, happenings

NOW = 1_800_000_000.5
CHART_VALUES = TEMPLATE.parents[2] / "openvenue/values.yaml"
BUSY = Situation(
    spec=spec(),
    observation=observation(pod(load=load(cpu_cores=1.9, p99_ms=70.25)), pod("api-2")),
    memory=Memory(target=allocation(replicas=2), high_since=NOW - 60),
    now=NOW,
)


def written(situation: Situation) -> Status:
    """Return an operator's status as it comes back from the API server."""
    planned = plan(situation.spec, situation.observation, situation.memory, situation.now)
    status = status_of(situation.spec, situation.observation, planned, None, situation.now)
    return msgspec.convert(json.loads(json.dumps(json_form(status))), Status)


def situation_file(situation: Situation, directory: Path) -> Path:
    """Save the situation that the operator serves of a venue."""
    file = directory / "situation.json"
    file.write_bytes(msgspec.json.encode(situation, order="deterministic"))
    return file


def run(*arguments: str | Path) -> tuple[str, str]:
    """Return the command's standard output and standard error."""
    result = CliRunner().invoke(app, ["plan", *map(str, arguments)])
    if result.exception:
        raise result.exception
    return result.stdout, result.stderr


def venue_file(directory: Path, **api: object) -> Path:
    file = directory / "venue.yaml"
    venue_spec = {"api": {"deployment": "api", **api}, "engine": {"statefulSet": "engine"}}
    file.write_text(yaml.safe_dump({"kind": "Venue", "spec": venue_spec}))
    return file


def test_a_saved_situation_has_the_plan_that_the_operator_wrote(tmp_path: Path) -> None:
    output, sums = run("--situation", situation_file(BUSY, tmp_path))
    assert output == render(written(BUSY).plan)
    assert "more workers" in output
    assert "until the next step: 4 pods at most x 5 + 3 = 23 connections of 94" in sums


@settings(max_examples=40, deadline=None)
@given(clusters, happenings)
def test_the_plan_read_back_equals_the_plan_made_offline(
    cluster: SimulatedCluster, happened: list[tuple[int, int]]
) -> None:
    begin(cluster)
    for what, choice in happened[:20]:
        happen(cluster, what, choice)
    seen = Situation(
        spec=cluster.spec, observation=cluster.observe(), memory=cluster.memory, now=cluster.now
    )
    saved = msgspec.json.decode(msgspec.json.encode(seen), type=Situation)
    read_back = written(seen).plan
    made = status_of(saved.spec, saved.observation, plan_of(saved), None, saved.now).plan
    assert render(made) == render(read_back)


def test_the_yaml_says_all_that_the_status_says() -> None:
    read = yaml.safe_load(render(written(BUSY).plan))
    assert msgspec.convert(read, PlanStatus) == written(BUSY).plan


def test_another_spec_is_planned_for_the_load_of_then(tmp_path: Path) -> None:
    venue = venue_file(tmp_path, dbPoolSize={"min": 8, "max": 8})
    output, _sums = run("--situation", situation_file(BUSY, tmp_path), "-f", venue)
    assert "x (8+0)" in yaml.safe_load(output)["target"]
    assert output == render(written(BUSY.replace(spec=spec(db_pool_size=exactly(8)))).plan)


def test_a_spec_alone_is_planned_as_if_just_installed(tmp_path: Path) -> None:
    venue = venue_file(tmp_path, replicas={"min": 2, "max": 2})
    output, sums = run("-f", venue, "--max-connections", "30")
    assert "x (5+0)" in yaml.safe_load(output)["target"]
    assert "madeAt" not in output
    assert "with the target: 4 pods at most x 5 + 3 = 23 connections of 24" in sums
    assert run("-f", venue, "--max-connections", "30")[0] == output


def test_bounds_that_cannot_fit_are_explained(tmp_path: Path) -> None:
    venue = venue_file(tmp_path, replicas={"min": 4, "max": 4})
    output, _sums = run("-f", venue, "--max-connections", "20")
    assert "lower api.replicas.min to 3, or raise the budget by 1" in output


def test_a_file_without_a_venue_is_refused_in_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "venue.yaml"
    file.write_text("kind: Service")
    with pytest.raises(CommandError, match=r"venue\.yaml: 0 objects of kind Venue"):
        run("-f", file)


def test_a_cold_start_is_that_of_the_chart() -> None:
    chart = TEMPLATE.parents[2] / "openvenue"
    start = yaml.safe_load((chart / "values.yaml").read_text())["api"]["start"]
    assert start == {
        "workers": START.workers,
        "dbPoolSize": START.db_pool_size,
        "dbPoolOverflow": START.db_pool_overflow,
        "grpcChannels": START.grpc_channels,
        "logLevel": START.log_level,
    }
    live = cold_start(spec(), 100, 3).observation.deployment
    assert live is not None
    assert live.min_ready_seconds == live.grace_seconds == GRACE_SECONDS
    assert (
        "{maxSurge: 1, maxUnavailable: 0}" in (chart / "templates/api/deployment.yaml").read_text()
    )


def test_an_installation_is_planned_by_what_the_chart_has_pods_start_with() -> None:
    values = yaml.safe_load(CHART_VALUES.read_text())
    start = values["api"]["start"]
    assert (start["workers"], start["dbPoolSize"], start["dbPoolOverflow"]) == (
        START.workers,
        START.db_pool_size,
        START.db_pool_overflow,
    )
    assert (start["grpcChannels"], start["logLevel"]) == (START.grpc_channels, START.log_level)
