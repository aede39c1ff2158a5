"""Administration over HTTP as a user starts it, and the audit trail on the command line."""

import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from tests.cli.command_line import OPENVENUE, Up, environment, openvenue
from tests.support import http
from tests.support.waiting import wait_for

ORDER = {
    "symbol": "AAPL",
    "side": "buy",
    "type": "limit",
    "time_in_force": "ioc",
    "qty": "10",
    "limit_price": "1",
}


def token_of(data_dir: Path) -> dict[str, str]:
    return {"Authorization": f"Bearer {(data_dir / 'admin/local').read_text().strip()}"}


def test_an_orders_story_is_told(up: Up) -> None:
    entered = http.post(f"{up.url}/v2/orders", json=ORDER, headers=up.headers()).json()
    told = openvenue("orders", "story", entered["id"], "--json", data_dir=up.data_dir)
    assert told.exit_code == 0, told.errors
    (entry,) = told.data["entries"]
    assert [event["event"] for event in entry["events"]] == ["accepted", "canceled"]
    table = openvenue("orders", "story", entered["id"], data_dir=up.data_dir).output
    assert "reason=immediate_or_cancel" in table
    assert f"account {entry['account_id']}" in table
    unknown = openvenue("orders", "story", "nope", data_dir=up.data_dir)
    assert (unknown.exit_code, "no order nope" in unknown.errors) == (1, True)


def test_commands_are_listed_by_who_gave_them(up: Up) -> None:
    number = openvenue("accounts", "create", "zoe", "--cash", "5", "--json", data_dir=up.data_dir)
    account = str(number.data["account_id"])
    listed = openvenue("audit", "--account", account, "--json", data_dir=up.data_dir)
    assert listed.exit_code == 0, listed.errors
    told = [(one["administrator"], one["command"]) for one in listed.data]
    assert told == [("local", "adjust_balance"), ("local", "open_account")]
    newest = openvenue("audit", "--limit", "1", "--json", data_dir=up.data_dir).data
    assert newest == listed.data[:1]
    assert openvenue("audit", "--by", "nobody", "--json", data_dir=up.data_dir).data == []
    assert "amount=5" in openvenue("audit", data_dir=up.data_dir).output


def test_an_account_is_blocked_and_let_again(up: Up) -> None:
    headers = up.headers("bob")
    account = http.get(f"{up.url}/v2/account", headers=headers).json()["account_number"]
    blocked = openvenue("accounts", "block", account, "--json", data_dir=up.data_dir)
    assert blocked.data == {"account_id": int(account), "trading_blocked": True}

    def status_of_order() -> int:
        return http.post(f"{up.url}/v2/orders", json=ORDER, headers=headers).status_code

    wait_for(lambda: status_of_order() == 403)
    openvenue("accounts", "unblock", account, data_dir=up.data_dir)
    wait_for(lambda: status_of_order() == 200)
    unknown = openvenue("accounts", "block", "3999999", data_dir=up.data_dir)
    assert (unknown.exit_code, "no account" in unknown.errors) == (1, True)


def test_trading_is_suspended_and_goes_on(up: Up) -> None:
    headers = up.headers("bob")
    gtc = {**ORDER, "time_in_force": "gtc"}
    assert http.post(f"{up.url}/v2/orders", json=gtc, headers=headers).status_code == 200
    suspended = openvenue("trading", "suspend", "--cancel-orders", "--json", data_dir=up.data_dir)
    assert suspended.data == {"suspended": True, "canceled": 1}
    assert openvenue("status", "--json", data_dir=up.data_dir).data["suspended"] is True
    assert http.post(f"{up.url}/v2/orders", json=ORDER, headers=headers).status_code == 403
    resumed = openvenue("trading", "resume", "--json", data_dir=up.data_dir)
    assert resumed.data == {"suspended": False, "canceled": None}
    assert http.post(f"{up.url}/v2/orders", json=ORDER, headers=headers).status_code == 200


def test_an_account_is_set_back_and_copied(up: Up) -> None:
    def accounts(*command: str) -> Any:
        done = openvenue("accounts", *command, "--json", data_dir=up.data_dir)
        assert done.exit_code == 0, done.errors
        return done.data

    carol = str(accounts("create", "carol", "--cash", "100")["account_id"])
    accounts("position", carol, "AAPL", "3", "--cost", "30")
    assert accounts("cancel-orders", carol, "--side", "buy")["canceled"] == 0
    copied = accounts("clone", carol, "carol again")
    assert (copied["name"], copied["cash"]) == ("carol again", "100")
    assert accounts("show", str(copied["account_id"]))["positions"][0]["qty"] == "3"
    assert accounts("reset", carol, "--cash", "50")["cash"] == "50"
    assert accounts("show", carol)["positions"] == []
    wrong = openvenue("accounts", "cancel-orders", carol, "--side", "long", data_dir=up.data_dir)
    assert (wrong.exit_code, "--side must be buy or sell" in wrong.errors) == (1, True)


def test_a_deposit_with_a_key_is_made_once(up: Up) -> None:
    opened = openvenue("accounts", "create", "once", "--json", data_dir=up.data_dir)
    account = str(opened.data["account_id"])
    deposit = ("accounts", "deposit", account, "5", "--idempotency-key", f"wire-{account}")
    first = openvenue(*deposit, "--json", data_dir=up.data_dir)
    assert (first.exit_code, first.data["cash"]) == (0, "5")
    again = openvenue(*deposit, "--json", data_dir=up.data_dir)
    assert again.data == first.data
    other = openvenue("accounts", "withdraw", *deposit[2:], data_dir=up.data_dir)
    assert (other.exit_code, "another command" in other.errors) == (1, True)
    wrong = openvenue(*deposit[:-1], "two words", data_dir=up.data_dir)
    assert (wrong.exit_code, "--idempotency-key takes" in wrong.errors) == (1, True)
    shown = openvenue("accounts", "show", account, "--json", data_dir=up.data_dir).data
    assert shown["cash"] == "5"


def test_it_is_served_for_a_running_venue(up: Up, tmp_path: Path) -> None:
    port_file = tmp_path / "port"
    command = [*OPENVENUE, "admin", "serve", "--port", "0", "--data-dir", str(up.data_dir)]
    variables = {**environment(), "OPENVENUE_ADMIN_PORT_FILE": str(port_file)}
    with subprocess.Popen(command, env=variables, stderr=subprocess.PIPE) as serving:
        try:
            wait_for(lambda: port_file.exists() and port_file.read_text().endswith("\n"), 60)
            url = f"http://127.0.0.1:{port_file.read_text().strip()}"
            listed = http.get(f"{url}/v1/admin/accounts", headers=token_of(up.data_dir))
            shown = openvenue("accounts", "list", "--json", data_dir=up.data_dir).data
            assert listed.json()["accounts"] == shown
            assert http.get(f"{url}/v1/admin/accounts", headers=up.headers()).status_code == 401
        finally:
            serving.send_signal(signal.SIGTERM)
        _, errors = serving.communicate(timeout=30)
    assert serving.returncode == 0, errors
    assert b"Traceback" not in errors


def test_without_the_option_a_venue_serves_none(up: Up) -> None:
    assert up.running["admin_url"] is None


def test_a_venue_serves_it_beside_the_api_on_this_machine_alone() -> None:
    """And keeps no quotes, if it is told so."""
    # Not in pytest's directory, see conftest.
    with tempfile.TemporaryDirectory(prefix="openvenue-admin-") as directory:
        venue = Up(Path(directory) / "data", "--admin", "--no-demo", "--no-quotes").wait_until_up()
        try:
            url = venue.running["admin_url"]
            assert url in venue.output
            assert url.startswith("http://127.0.0.1:")
            made = http.post(
                f"{url}/v1/admin/accounts", json={"name": "first"}, headers=token_of(venue.data_dir)
            )
            assert made.status_code == 201
            with http.Client(base_url=url, headers=token_of(venue.data_dir)) as admin:
                defined = admin.put("/v1/admin/instruments/BTC/USD", json={"class": "crypto"})
            assert defined.status_code == 200, defined.text
            quotes = f"{venue.url}/v1beta3/crypto/us/quotes?symbols=BTC/USD"
            wait_for(lambda: "no history of quotes" in http.get(quotes).text)
            status = openvenue("status", "--json", data_dir=venue.data_dir).data
            assert status["admin_url"] == url
            log = (venue.data_dir / "logs/administration.log").read_text()
            assert token_of(venue.data_dir)["Authorization"].split()[1] not in log
        finally:
            assert venue.stop() == 0
