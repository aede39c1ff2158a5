"""The custom resource on a real API server: defaults, rules, words, status and columns."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from api_server import ApiServer
from crd import fields, schema
from objects import DEPLOYMENT, VENUE, deployment
from observed import deployment as live
from observed import pod, silent
from openvenue_operator.model import Memory, VenueSpec
from openvenue_operator.offline import render
from openvenue_operator.status import Status, json_form
from operator_process import running_operator
from test_offline import run
from test_status import status

MINIMAL: dict[str, Any] = {
    "api": {"deployment": DEPLOYMENT},
    "engine": {"statefulSet": "venue-engine"},
}
STRICT = "fieldValidation=Strict"


class Place:
    """A namespace in which Venues are made."""

    def __init__(self, server: ApiServer, namespace: str) -> None:
        self.server = server
        self.namespace = namespace
        self.venues = f"/apis/openvenue.dev/v1alpha1/namespaces/{namespace}/venues"

    def post(self, **spec: Any) -> httpx.Response:
        """Make a Venue of a minimal spec and these parts."""
        venue = {
            "apiVersion": "openvenue.dev/v1alpha1",
            "kind": "Venue",
            "metadata": {"name": VENUE},
            "spec": MINIMAL | spec,
        }
        return self.server.ask("POST", f"{self.venues}?{STRICT}", json=venue)

    def get(self, **headers: str) -> Any:
        return self.server.ask("GET", f"{self.venues}/{VENUE}", headers=headers).json()

    def patch(self, **spec: Any) -> httpx.Response:
        return self.server.ask(
            "PATCH",
            f"{self.venues}/{VENUE}?{STRICT}",
            content=json.dumps({"spec": spec}),
            headers={"Content-Type": "application/merge-patch+json"},
        )

    def write_status(self, found: Status) -> httpx.Response:
        """Write as the operator does, strictly."""
        body = {
            "apiVersion": "openvenue.dev/v1alpha1",
            "kind": "Venue",
            "metadata": {"name": VENUE},
            "status": json_form(found),
        }
        return self.server.ask(
            "PATCH",
            f"{self.venues}/{VENUE}/status?{STRICT}&fieldManager=test&force=true",
            content=json.dumps(body),
            headers={"Content-Type": "application/apply-patch+yaml"},
        )


@pytest.fixture
def place(api_server: ApiServer, namespace: str) -> Place:
    return Place(api_server, namespace)


def test_every_field_says_what_it_is() -> None:
    without = [path for path, field in fields(schema()) if not field.get("description")]
    assert without == ["apiVersion", "kind", "metadata"], "the API server knows those itself"


@pytest.mark.cluster
def test_the_defaults_are_those_that_the_operator_has(place: Place) -> None:
    assert place.post().status_code == 201
    spec = place.get()["spec"]
    assert spec == json_form(msgspec.convert(MINIMAL, VenueSpec))
    parts = {"tuning": {"cooldownSeconds": 5}, "connections": {"cap": 50}}
    assert place.patch(**parts).status_code == 200
    assert place.get()["spec"] == json_form(msgspec.convert(MINIMAL | parts, VenueSpec))


REFUSED: list[dict[str, Any]] = [
    *(
        {"api": MINIMAL["api"] | {name: {"min": 9, "max": 8}}}
        for name in ("replicas", "workersPerPod", "dbPoolSize", "dbPoolOverflow", "grpcChannels")
    ),
    {"engine": MINIMAL["engine"] | {"serverThreads": {"min": 65, "max": 64}}},
    {"tuning": {"upWindowSeconds": 301}},
    {"connections": {"cap": 7}},
]
RENAMED = {"api": {"deployment": "another"}}


def rules(part: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every rule below a schema: the path that a violation names, and the message."""
    for rule in part.get("x-kubernetes-validations", ()):
        yield path, rule["message"]
    for name, field in part.get("properties", {}).items():
        yield from rules(field, f"{path}.{name}".lstrip("."))


@pytest.mark.cluster
def test_each_rule_refuses_with_its_message(place: Place) -> None:
    answers = [place.post(**parts) for parts in REFUSED]
    assert place.post().status_code == 201
    answers.append(place.patch(**RENAMED))
    assert {answer.status_code for answer in answers} == {422}
    told = [answer.json()["details"]["causes"] for answer in answers]
    assert all(len(causes) == 1 for causes in told), "a rule refuses for another's reason"
    said = {
        (causes[0]["field"], message)
        for causes in told
        for _path, message in rules(schema())
        if message in causes[0]["message"]
    }
    assert said == set(rules(schema()))


@pytest.mark.cluster
@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ({"spare": 1}, 'unknown field "spec.spare"'),
        ({"mode": "Fast"}, 'supported values: "Auto", "Plan", "Paused"'),
        ({"api": {}}, "spec.api.deployment: Required value"),
        ({"tuning": {"targets": {"cpuPercent": 0}}}, "should be greater than or equal to 1"),
    ],
)
def test_what_the_schema_does_not_know_is_refused(
    place: Place, parts: dict[str, Any], sentence: str
) -> None:
    answer = place.post(**parts)
    assert answer.status_code in (400, 422)
    assert sentence in answer.json()["message"]


@pytest.mark.cluster
def test_kubectl_explains_it(api_server: ApiServer) -> None:
    # What is explained is published a moment after the resource is served.
    published = "/openapi/v3/apis/openvenue.dev/v1alpha1"
    deadline = time.monotonic() + 30
    while api_server.ask("GET", published).status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    text = api_server.kubectl("explain", "venues.spec.api.dbPoolSize")
    assert "Database connections that a worker keeps; one of them listens." in text


STATUSES = {
    "at rest": status(pod()),
    "held": status(pod(), other_venue="elder"),
    "without anything": status(deployment=None),
    "first": status(pod(load=None), database=None, memory=Memory()),
    "silent": status(silent(), deployment=live(3)),
    "with figures": status(pod(db_connections=4), memory=Memory(pool_short_at=3, changed_at=1.25)),
}


@pytest.mark.cluster
@pytest.mark.parametrize("found", STATUSES.values(), ids=STATUSES)
def test_a_status_is_taken_as_it_is_and_comes_back_so(place: Place, found: Status) -> None:
    place.post()
    answer = place.write_status(found)
    assert answer.status_code == 200, answer.text
    assert msgspec.convert(place.get()["status"], Status) == found


@pytest.mark.cluster
def test_the_columns_show_whether_it_is_well(place: Place) -> None:
    place.post()
    place.write_status(status(pod(db_connections=4)))
    table = place.get(Accept="application/json;as=Table;v=v1;g=meta.k8s.io")
    names = [column["name"] for column in table["columnDefinitions"]]
    shown = dict(zip(names, table["rows"][0]["cells"], strict=True))
    assert shown.pop("Age").endswith("s")
    assert shown == {
        "Name": VENUE,
        "Ready": "True",
        "Mode": "Auto",
        "Pods": "1/1",
        "Workers": 1,
        "Pool": "5+0",
        "Connections": "4/94",
        "Orders/s": 100,
        "p99": 1,
        "Tuned": "True",
        "Next": "nothing: all pods run the target",
    }


@pytest.mark.cluster
@pytest.mark.timeout(120)
def test_what_a_running_operator_wrote_is_what_the_command_prints(
    api_server: ApiServer, place: Place, tmp_path: Path
) -> None:
    api_server.apply(deployment(place.namespace))
    place.post(mode="Plan", connections={"cap": 50})
    file = tmp_path / "situation.json"
    # Each look makes a situation, and most of them write no status: a slow one leaves both.
    with running_operator(api_server, tmp_path, place.namespace, tick_s="60") as operator:
        for replicas in (2, 3, 21):
            bounds = {"min": replicas, "max": 50}
            changed = place.patch(api={"replicas": bounds}).json()
            generation = changed["metadata"]["generation"]
            while (written := _status_of(place)).observed_generation != generation:
                assert operator.process.poll() is None
            file.write_text(operator.get(f"/venues/{place.namespace}/{VENUE}").text)
            output, _sums = run("--situation", file)
            assert output == render(written.plan)
        assert "but the budget is 47" in output


def _status_of(place: Place) -> Status:
    return msgspec.convert(place.get().get("status") or json_form(status(generation=0)), Status)
