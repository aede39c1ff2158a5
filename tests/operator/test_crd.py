"""The kind Venue: it agrees with the model, and refuses specs that cannot work."""

import json
import time
import types
from collections.abc import Iterator
from typing import Any, Union, get_args, get_origin

import msgspec
import pytest
import yaml
from lightkube import AsyncClient
from openvenue.serving.tuning import Tuning as ReadTuning
from openvenue_operator.model import Memory, Situation
from openvenue_operator.observe import find_venue
from openvenue_operator.offline import plan_of, render
from openvenue_operator.report import write_status
from openvenue_operator.spec import ApiSpec, Bounds, EngineSpec, Mode, VenueSpec
from openvenue_operator.status import Status, plan_status, status_of

from tests.operator.objects import venue
from tests.support.api_server import ApiServer
from tests.support.crd import definition, fields
from tests.support.observed import NOW, SPEC, load, pod, situation, tuning

VERSION = definition()["spec"]["versions"][0]
SCHEMA = VERSION["schema"]["openAPIV3Schema"]["properties"]


def defaulted(schema: dict[str, Any], value: Any) -> Any:
    """Fill in defaults as the API server does: outer ones before inner ones."""
    if schema["type"] != "object":
        return value
    filled = dict(value)
    for name, field in schema["properties"].items():
        if name not in filled and "default" in field:
            filled[name] = field["default"]
        if name in filled:
            filled[name] = defaulted(field, filled[name])
    return filled


def kinds(struct: type[msgspec.Struct], path: str = "") -> Iterator[tuple[str, str]]:
    """Yield every field of a struct by its path in JSON, with its JSON type."""
    for field in msgspec.structs.fields(struct):
        here = f"{path}.{field.encode_name}".lstrip(".")
        options = [field.type]
        if get_origin(field.type) in (Union, types.UnionType):
            options = [one for one in get_args(field.type) if one is not types.NoneType]
        (kind,) = options
        if get_origin(kind) is tuple:
            yield here, "array"
            kind, here = get_args(kind)[0], f"{here}[]"
        elif get_origin(kind) is dict or issubclass(kind, msgspec.Struct):
            yield here, "object"
        else:
            names = {int: "integer", float: "number", bool: "boolean"}
            yield here, names.get(kind, "string")
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            yield from kinds(kind, here)


@pytest.mark.parametrize(("part", "struct"), [("spec", VenueSpec), ("status", Status)])
def test_it_has_the_fields_of_the_model_and_no_others(
    part: str, struct: type[msgspec.Struct]
) -> None:
    said = {path: field["type"] for path, field in fields(SCHEMA[part])}
    assert said == dict(kinds(struct))


def test_its_defaults_are_those_of_the_model() -> None:
    least = {"api": {"deployment": "a"}, "engine": {"statefulSet": "e"}}
    spec = msgspec.convert(defaulted(SCHEMA["spec"], least), VenueSpec)
    assert spec == VenueSpec(api=ApiSpec(deployment="a"), engine=EngineSpec(stateful_set="e"))


def test_every_field_is_described() -> None:
    for part in ("spec", "status"):
        assert SCHEMA[part]["description"]
        for path, field in fields(SCHEMA[part], part):
            assert field.get("description"), path


def test_every_number_has_bounds() -> None:
    for path, field in fields(SCHEMA["spec"]):
        if field["type"] == "integer":
            assert field["minimum"] <= field["maximum"], path


def test_the_api_accepts_whatever_it_allows() -> None:
    bounds = {
        "workers": "workersPerPod",
        "db_pool_size": "dbPoolSize",
        "db_pool_overflow": "dbPoolOverflow",
        "grpc_channels": "grpcChannels",
    }
    api = SCHEMA["spec"]["properties"]["api"]["properties"]
    good: dict[str, Any] = {
        "workers": 1,
        "db_pool_size": 2,
        "db_pool_overflow": 0,
        "grpc_channels": 1,
        "log_level": "INFO",
    }
    for name, field in bounds.items():
        least, most = (api[field]["properties"]["min"][one] for one in ("minimum", "maximum"))
        for value in (least, most):
            msgspec.convert({**good, name: value}, ReadTuning)
        for value in (least - 1, most + 1):
            with pytest.raises(msgspec.ValidationError):
                msgspec.convert({**good, name: value}, ReadTuning)
    for level in api["logLevel"]["enum"]:
        msgspec.convert({**good, "log_level": level}, ReadTuning)


def test_its_modes_are_those_of_the_model() -> None:
    assert SCHEMA["spec"]["properties"]["mode"]["enum"] == list(Mode)


def test_its_columns_show_fields_that_there_are() -> None:
    known = {f".{part}.{path}" for part in SCHEMA for path, _field in fields(SCHEMA[part])}
    for column in VERSION["additionalPrinterColumns"]:
        path = column["jsonPath"]
        assert path in known | {".metadata.creationTimestamp"} or path.startswith(
            ".status.conditions[?(@.type=="
        ), path


RUNS = tuning(3, db_pool_size=3, db_pool_overflow=1)
PODS = [
    pod(name, RUNS, db_connections=3, load=load(orders_per_s=500, p99_ms=8)) for name in ("a", "b")
]


def well(**fields: Any) -> Situation:
    """Return a healthy venue of two pods, except for the given fields."""
    return situation(*PODS, applied=RUNS, **fields)


SITUATIONS = {
    "settled": well(),
    "nothing known": well(memory=Memory(), database=None, engine=None),
    "no deployment": situation(deployment=None),
    "before the first pod": situation(applied=None, database=None),
}
CHANGING = SPEC.replace(api=SPEC.api.replace(db_pool_size=Bounds(min=2, max=2)))
CLASHING = SPEC.replace(api=SPEC.api.replace(replicas=Bounds(min=60, max=60)))
OLD = [
    pod(name, RUNS, read_at=NOW - 60, load=load(orders_per_s=500, p99_ms=8)) for name in ("a", "b")
]
# Each with the maximum of its lines.
SHOWN = {
    "settled": (well(), 95),
    "changing": (well(spec=CHANGING), 95),
    "planned only": (well(spec=CHANGING.replace(mode=Mode.PLAN)), 95),
    "metrics too old": (situation(*OLD, applied=RUNS), 95),
    "nothing known": (well(database=None), 95),
    # The clashing numbers appear twice: in BudgetSatisfied and as the next step.
    "infeasible": (well(spec=CLASHING), 103),
}


# --- On a real API server -------------------------------------------------------------------------


def refusal(api_server: ApiServer, namespace: str, body: dict[str, Any]) -> str:
    """Send a Venue and return why it is refused; empty if it is not."""
    path = f"/apis/openvenue.dev/v1alpha1/namespaces/{namespace}/venues"
    answer = api_server.ask("POST", f"{path}?dryRun=All&fieldValidation=Strict", json=body)
    return "" if answer.status_code == 201 else str(answer.json()["message"])


def changed(path: str, value: Any) -> dict[str, Any]:
    """Return the spec of a Venue with one field changed; missing parents get their defaults."""
    spec: dict[str, Any] = {"api": {"deployment": "a"}, "engine": {"statefulSet": "e"}}
    node = spec
    *above, last = path.split(".")
    for name in above:
        node = node.setdefault(name, {})
    node[last] = value
    return spec


@pytest.mark.cluster
@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("api.replicas", {"min": 3, "max": 2}, "min of 3 is above max of 2"),
        ("api.workersPerPod", {"min": 2, "max": 1}, "min of 2 is above max of 1"),
        ("api.dbPoolSize", {"min": 9, "max": 8}, "min of 9 is above max of 8"),
        ("api.dbPoolOverflow", {"min": 1, "max": 0}, "min of 1 is above max of 0"),
        ("api.grpcChannels", {"min": 2, "max": 1}, "min of 2 is above max of 1"),
        ("engine.serverThreads", {"min": 99, "max": 64}, "min of 99 is above max of 64"),
        ("api.replicas", {"min": 0, "max": 2}, "greater than or equal to 1"),
        ("api.dbPoolSize", {"min": 1, "max": 2}, "greater than or equal to 2"),
        ("api.replicas", {"min": 2}, "spec.api.replicas.max: Required value"),
        ("api.deployment", "", "at least 1 chars"),
        ("connections.cap", 7, "2 + stream 0 + migration 1 + headroom 3 = 8 connections, and"),
        ("connections.headroom", -1, "greater than or equal to 0"),
        ("tuning.downWindowSeconds", 29, "upWindowSeconds must not be above downWindowSeconds"),
        ("tuning.deadBandPercent", 51, "less than or equal to 50"),
        (
            "api.replicas",
            {"min": 200, "max": 200},
            "200 x workersPerPod.min 1 x grpcChannels.min 1 sessions",
        ),
        ("tuning.podDeadlineSeconds", 9, "greater than or equal to 10"),
        ("mode", "auto", 'supported values: "Auto", "Plan", "Paused"'),
        ("api.workers", 3, 'unknown field "spec.api.workers"'),
    ],
)
def test_it_refuses_what_cannot_work(
    api_server: ApiServer, namespace: str, path: str, value: Any, said: str
) -> None:
    body = venue(namespace) | {"spec": changed(path, value)}
    assert said in refusal(api_server, namespace, body)


@pytest.mark.cluster
@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("mode", "Plan"),
        ("connections.cap", 8),
        ("tuning.downWindowSeconds", 30),
        ("api.replicas", {"min": 126, "max": 126}),
    ],
)
def test_it_takes_what_just_works(
    api_server: ApiServer, namespace: str, path: str, value: Any
) -> None:
    body = venue(namespace) | {"spec": changed(path, value)}
    assert refusal(api_server, namespace, body) == ""


@pytest.mark.cluster
def test_the_api_server_fills_in_the_models_defaults(api_server: ApiServer, namespace: str) -> None:
    body = venue(namespace) | {"spec": changed("mode", "Auto")}
    api_server.apply(body)
    live = json.loads(api_server.kubectl("get", "vn", "venue", "-n", namespace, "-o", "json"))
    spec = msgspec.convert(live["spec"], VenueSpec)
    assert spec == VenueSpec(api=ApiSpec(deployment="a"), engine=EngineSpec(stateful_set="e"))


@pytest.mark.cluster
def test_a_venue_stays_with_its_deployment(api_server: ApiServer, namespace: str) -> None:
    api_server.apply(venue(namespace))
    path = f"/apis/openvenue.dev/v1alpha1/namespaces/{namespace}/venues/venue"
    answer = api_server.ask(
        "PATCH",
        path,
        content=json.dumps({"spec": {"api": {"deployment": "another"}}}),
        headers={"Content-Type": "application/merge-patch+json"},
    )
    assert answer.status_code == 422
    assert "a Venue keeps its Deployment" in answer.json()["message"]


@pytest.mark.cluster
def test_a_venue_has_a_name_that_its_lease_can_have_too(
    api_server: ApiServer, namespace: str
) -> None:
    assert refusal(api_server, namespace, venue(namespace, name="v" * 234)) == ""
    assert "may not be more than 234" in refusal(
        api_server, namespace, venue(namespace, name="v" * 235)
    )


@pytest.mark.cluster
def test_kubectl_explains_every_field(api_server: ApiServer, namespace: str) -> None:
    del namespace
    for part in ("spec", "status"):
        told = api_server.kubectl("explain", f"venues.{part}", "--recursive")
        names = {path.rpartition(".")[2] for path, _field in fields(SCHEMA[part])}
        assert names <= set(told.split())
    assert "left free for people" in api_server.kubectl(
        "explain", "venues.spec.connections.headroom"
    )


@pytest.mark.cluster
def test_a_wait_does_not_pass_on_what_was_said_of_an_older_spec(
    api_server: ApiServer, namespace: str
) -> None:
    api_server.apply(venue(namespace))
    path = f"/apis/openvenue.dev/v1alpha1/namespaces/{namespace}/venues/venue"
    patch = {"Content-Type": "application/merge-patch+json"}

    def say_tuned(generation: int) -> None:
        condition = {
            "type": "Tuned",
            "status": "True",
            "reason": "TargetRuns",
            "message": "all pods run the target",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
            "observedGeneration": generation,
        }
        body = {"status": {"conditions": [condition]}}
        answer = api_server.ask("PATCH", f"{path}/status", content=json.dumps(body), headers=patch)
        assert answer.status_code == 200, answer.text

    def wait(timeout_s: float) -> bool:
        started_at = time.monotonic()
        try:
            api_server.kubectl(
                *("wait", "--for=condition=Tuned", "vn/venue", "-n", namespace),
                f"--timeout={timeout_s}s",
            )
        except AssertionError:
            assert time.monotonic() - started_at >= timeout_s, "it did not wait"
            return False
        return True

    say_tuned(1)
    assert wait(5)
    api_server.apply(venue(namespace, mode="Plan"))
    assert not wait(1)
    say_tuned(2)
    assert wait(5)


async def write_status_of(seen: Situation, client: AsyncClient, namespace: str) -> Status:
    """Write the status of a situation into the Venue, and return it."""
    found = await find_venue(client, namespace, "venue")
    assert found is not None
    made = status_of(seen.spec, seen.observation, plan_of(seen), None, seen.now)
    await write_status(client, found, made)
    return made


@pytest.mark.cluster
@pytest.mark.parametrize("seen", SITUATIONS.values(), ids=SITUATIONS)
async def test_a_status_is_taken_as_it_is_and_shows_the_plan_that_is_made_offline(
    api_server: ApiServer, namespace: str, client: AsyncClient, seen: Situation
) -> None:
    api_server.apply(venue(namespace))
    made = await write_status_of(seen, client, namespace)
    live = json.loads(api_server.kubectl("get", "vn", "venue", "-n", namespace, "-o", "json"))
    kept = msgspec.convert(live["status"], Status)
    assert kept == made
    assert render(kept.plan) == render(plan_status(plan_of(seen), seen.now))
    assert yaml.safe_load(render(kept.plan)) == live["status"]["plan"]


@pytest.mark.cluster
async def test_its_columns_say_whether_it_is_well_and_why_not(
    api_server: ApiServer, namespace: str, client: AsyncClient
) -> None:
    api_server.apply(venue(namespace))
    await write_status_of(SITUATIONS["settled"], client, namespace)
    heading, row = api_server.kubectl("get", "vn", "-n", namespace).splitlines()
    assert heading.split() == [
        *(
            "NAME",
            "READY",
            "ENGINE",
            "MODE",
            "PODS",
            "WORKERS",
            "POOL",
            "CONNECTIONS",
            "ORDERS/S",
            "P99",
        ),
        *("AGE", "NEXT"),
    ]
    cells = row.split(maxsplit=11)
    assert cells[:10] == ["venue", "True", "True", "Auto", "2/2", "1", "3+1", "6/94", "1000", "8"]
    assert cells[11].strip() == "nothing: all pods run the target"


@pytest.mark.cluster
@pytest.mark.parametrize(
    ("seen", "why_not"),
    [
        (well(spec=CLASHING), "nothing: the least that the bounds allow is 62 pods at a time"),
        (
            situation(*OLD, applied=RUNS),
            "nothing: all pods run the target; holds, for metrics are 60 s old",
        ),
        (well(other_venue="elder"), "nothing: Venue elder, which is older, tunes api"),
        (
            well(spec=CHANGING, obstacle="data is declared by argocd"),
            "tries again: generation 4: 1 worker x (2+1), 1 channel; data is declared by argocd",
        ),
    ],
)
async def test_its_last_column_says_why_nothing_happens(
    api_server: ApiServer, namespace: str, client: AsyncClient, seen: Situation, why_not: str
) -> None:
    api_server.apply(venue(namespace))
    found = await find_venue(client, namespace, "venue")
    assert found is not None
    await write_status(
        client, found, status_of(seen.spec, seen.observation, plan_of(seen), None, seen.now)
    )
    _heading, row = api_server.kubectl("get", "vn", "-n", namespace).splitlines()
    assert why_not in row


@pytest.mark.cluster
@pytest.mark.parametrize(("seen", "lines"), SHOWN.values(), ids=SHOWN)
async def test_kubectl_shows_the_status_on_one_screen(
    api_server: ApiServer, namespace: str, client: AsyncClient, seen: Situation, lines: int
) -> None:
    api_server.apply(venue(namespace))
    found = await find_venue(client, namespace, "venue")
    assert found is not None
    # A venue that has run for a while, and was changed before.
    memory = seen.memory.replace(changed_at=seen.now - 1234.56789, pool_short_at=3)
    planned = plan_of(seen.replace(memory=memory))
    await write_status(
        client, found, status_of(seen.spec, seen.observation, planned, None, seen.now)
    )
    shown = api_server.kubectl("get", "vn", "venue", "-n", namespace, "-o", "yaml")
    status = shown[shown.index("\nstatus:\n") :].strip()
    assert len(status.splitlines()) <= lines, status
