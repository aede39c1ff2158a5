"""Logs: structured, without secrets."""

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from openvenue.telemetry import Throttled, configure_logging, get_logger, set_log_level

from tests.api.orders import limit_order
from tests.support import http
from tests.support.venue import Venue


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    output = io.StringIO()
    monkeypatch.setattr("sys.stderr", output)
    configure_logging("INFO", "json")
    yield lambda: [json.loads(line) for line in output.getvalue().splitlines()]
    root.handlers, root.level = handlers, level


def test_an_event_is_one_json_line(logged: Callable[[], list[dict[str, Any]]]) -> None:
    get_logger("test.lines").info("something happened", count=3)
    (line,) = logged()
    assert (line["event"], line["count"], line["level"]) == ("something happened", 3, "info")
    assert line["logger"] == "test.lines"
    assert "timestamp" in line


def test_other_libraries_log_in_the_same_form(logged: Callable[[], list[dict[str, Any]]]) -> None:
    logging.getLogger("uvicorn.error").warning("from %s", "uvicorn")
    assert logged()[0]["event"] == "from uvicorn"


def test_secrets_are_redacted_however_they_are_put(
    logged: Callable[[], list[dict[str, Any]]],
) -> None:
    get_logger("test.secrets").warning(
        "cannot reach postgresql+asyncpg://joe:hunter2@db/openvenue",
        secret="hunter2",
        headers={"APCA-API-SECRET-KEY": "hunter2", "Authorization": "hunter2", "accept": "*/*"},
        text="apca-api-secret-key: hunter2, next",
        raw=[(b"authorization", "Bearer e30.hunter2.x")],
    )
    try:
        raise ValueError("bad URL postgresql://joe:hunter2@db")
    except ValueError:
        get_logger("test.secrets").exception("failed")
    assert "hunter2" not in json.dumps(logged())
    assert "joe" in json.dumps(logged())


def test_sentences_about_tokens_are_not_redacted(
    logged: Callable[[], list[dict[str, Any]]],
) -> None:
    get_logger("test.secrets").info("a bearer token was refused")
    assert logged()[0]["event"] == "a bearer token was refused"


def test_the_level_changes_at_run_time(logged: Callable[[], list[dict[str, Any]]]) -> None:
    log = get_logger("test.level")
    set_log_level("ERROR")
    log.warning("unheard")
    set_log_level("DEBUG")
    log.debug("heard")
    assert [line["event"] for line in logged()] == ["heard"]


def test_a_flood_of_one_cause_is_a_line_at_once_and_then_their_number(
    logged: Callable[[], list[dict[str, Any]]],
) -> None:
    now = 100.0
    throttled = Throttled(get_logger("test.flood"), interval_s=5, clock=lambda: now)

    def lines() -> list[tuple[object, ...]]:
        return [(line["event"], line["cause"], line["suppressed"]) for line in logged()]

    for number in range(1000):
        throttled.warning("refused", "busy", number=number)
        throttled.warning("refused", "unavailable")
        throttled.flush()
    assert lines() == [("refused", "busy", 0), ("refused", "unavailable", 0)]
    assert logged()[0]["number"] == 0
    now += 5
    throttled.flush()
    throttled.warning("refused", "busy")
    assert lines()[2:] == [("refused", "busy", 999), ("refused", "unavailable", 999)]
    now += 5
    throttled.warning("refused", "busy")
    throttled.flush()
    assert lines()[4:] == [("refused", "busy", 1)]
    now += 5
    throttled.flush()
    throttled.flush()
    assert len(lines()) == 5


def test_a_running_worker_logs_neither_health_checks_nor_secrets(
    new_venue: Callable[..., Venue],
) -> None:
    venue = new_venue().start(projector=False, log_level="DEBUG")
    key = venue.open_account(1)
    with venue.client(key) as client:
        assert client.get("/healthz").status_code == 200
        assert venue.readiness().status_code == 200
        assert venue.metrics()
        assert client.post("/v2/orders", json=limit_order()).status_code == 200
    wrong = {"APCA-API-KEY-ID": key.key_id, "APCA-API-SECRET-KEY": "wrong-hunter2"}
    assert http.get(f"{venue.url}/v2/account", headers=wrong).status_code == 401
    venue.stop()
    log = venue.api.log.read_text()
    assert "worker started" in log
    assert "healthz" not in log
    assert key.secret not in log
    assert "hunter2" not in log
    for line in log.splitlines():
        json.loads(line)
