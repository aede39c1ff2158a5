"""How the administration's process behaves when something is away, and what it shows of itself."""

import os
import subprocess
import sys
from collections.abc import Callable

from tests.admin.conftest import client
from tests.support import http, metrics
from tests.support.ports import free_port
from tests.support.venue import Venue


def test_without_its_database_it_says_so_and_serves_the_rest(
    new_venue: Callable[..., Venue],
) -> None:
    venue = new_venue().start()
    key = venue.open_account()
    venue.environment["OPENVENUE_DATABASE_URL"] = "postgresql://nobody:hunter2@127.0.0.1:1/none"
    venue.start_administration()
    with client(venue) as admin:
        assert admin.get("/v1/admin/keys").status_code == 503
        answer = admin.post("/v1/admin/keys", json={"account_id": key.account_id})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert "outcome is unknown" in answer.json()["detail"]
        block = f"/v1/admin/accounts/{key.account_id}/block"
        # The engine keeps blocks. One of an earlier version would be in the database.
        assert admin.put(block, json={"trading_blocked": True}).status_code == 200
        assert admin.get(block).json()["trading_blocked"] is True
        assert admin.put(block, json={"trading_blocked": False}).status_code == 503
        status = admin.get("/v1/admin/status")
        assert (status.status_code, status.json()["projected_sequence"]) == (200, None)
        deposit = f"/v1/admin/accounts/{key.account_id}/deposits"
        keyed = admin.post(deposit, json={"amount": "1"}, headers={"Idempotency-Key": "once"})
        assert (keyed.status_code, keyed.headers["retry-after"]) == (503, "1")
        assert "nothing happened" in keyed.json()["detail"]
        assert admin.post(deposit, json={"amount": "1"}).status_code == 200
        commands = admin.get("/v1/admin/audit").json()["commands"]
        deposits = [one for one in commands if one["command"] == "adjust_balance"]
        assert [one["details"]["amount"] for one in deposits] == ["1", "10000000"]
    assert "hunter2" not in venue.administration.log.read_text()


def test_probes_and_metrics_are_apart_from_the_routes(new_venue: Callable[..., Venue]) -> None:
    venue = new_venue().start()
    port = free_port()
    venue.start_administration(http_port=str(port))
    with client(venue) as admin:
        assert admin.get("/v1/admin/status").status_code == 200
        assert admin.get("/metrics").status_code == 404
        assert admin.get("/readyz").status_code == 404
    assert http.get(f"{venue.admin_url}/v1/admin/status").status_code == 401
    venue.engine.stop()
    operations = f"http://127.0.0.1:{port}"
    # Administrators may be needed just then.
    assert http.get(f"{operations}/readyz").status_code == 200
    shown = http.get(f"{operations}/metrics").text
    name = "openvenue_admin_requests_total"
    route = "GET /v1/admin/status"
    assert metrics.total(shown, name, route=route, status="200") == 1
    assert metrics.total(shown, name, route=route, status="401") == 1
    assert metrics.total(shown, "openvenue_admin_tokens_refused_total") == 1


def test_a_setting_that_cannot_be_is_named() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "openvenue.admin_server"],
        env={**os.environ, "OPENVENUE_ADMIN_PORT": "-99"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: OPENVENUE_ADMIN_PORT: ")
