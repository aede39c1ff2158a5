"""The commands that administrate and inspect a venue, against a running one."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.command_line import Result, Up, openvenue
from tests.support import http

Run = Callable[..., Result]


@pytest.fixture
def run(up: Up) -> Run:
    """Return a function that runs a command on the running venue; it must succeed."""

    def run_command(*arguments: str) -> Result:
        result = openvenue(*arguments, data_dir=up.data_dir)
        assert result.exit_code == 0, result.errors
        return result

    return run_command


def test_an_account_is_opened_with_money_which_moves_in_and_out(run: Run) -> None:
    opened = run("accounts", "create", "erin", "--cash", "1000.50", "--json").data
    number = str(opened["account_id"])
    assert (opened["name"], opened["cash"]) == ("erin", "1000.5")
    assert run("accounts", "deposit", number, "99.5", "--json").data["cash"] == "1100"
    assert run("accounts", "withdraw", number, "1100", "--json").data["cash"] == "0"
    listed = {account["account_id"]: account for account in run("accounts", "list", "--json").data}
    assert listed[opened["account_id"]]["buying_power"] == "0"


def test_more_than_there_is_cannot_be_withdrawn(up: Up, run: Run) -> None:
    number = run("accounts", "create", "poor", "--cash", "10", "--json").data["account_id"]
    result = openvenue("accounts", "withdraw", str(number), "11", data_dir=up.data_dir)
    assert result.exit_code == 1
    assert "insufficient cash" in result.errors


def test_a_position_is_given_and_shown(run: Run) -> None:
    number = str(run("accounts", "create", "holder", "--json").data["account_id"])
    given = run("accounts", "position", number, "ETH/USD", "1.5", "--cost", "4500", "--json").data
    assert (given["qty"], given["cost"]) == ("1.5", "4500")
    shown = run("accounts", "show", number, "--json").data
    assert [position["symbol"] for position in shown["positions"]] == ["ETH/USD"]


def test_a_key_works_until_it_is_revoked(up: Up, run: Run) -> None:
    key = run("keys", "create", "1", "--label", "test", "--json").data
    headers = {"APCA-API-KEY-ID": key["key_id"], "APCA-API-SECRET-KEY": key["secret"]}
    assert http.get(f"{up.url}/v2/account", headers=headers).status_code == 200
    run("keys", "revoke", key["key_id"])
    assert http.get(f"{up.url}/v2/account", headers=headers).status_code == 401
    listed = {entry["key_id"]: entry for entry in run("keys", "list", "--json").data}
    assert listed[key["key_id"]]["revoked_at"]
    assert "secret" not in listed[key["key_id"]]


def test_a_read_only_key_is_made_shown_and_refused_trading(up: Up, run: Run) -> None:
    trading = run("keys", "create", "1", "--json").data
    key = run("keys", "create", "1", "--read-only", "--json").data
    assert (trading["scopes"], key["scopes"]) == (["read", "trade"], ["read"])
    headers = {"APCA-API-KEY-ID": key["key_id"], "APCA-API-SECRET-KEY": key["secret"]}
    assert http.get(f"{up.url}/v2/account", headers=headers).status_code == 200
    assert http.delete(f"{up.url}/v2/orders", headers=headers).status_code == 403
    listed = {entry["key_id"]: entry["scopes"] for entry in run("keys", "list", "--json").data}
    assert listed[trading["key_id"]] == ["read", "trade"]
    assert listed[key["key_id"]] == ["read"]
    shown = run("keys", "create", "1", "--read-only").output
    assert re.search(r"^scopes +read *$", shown, re.MULTILINE)


def test_a_key_is_of_the_shard_that_the_engine_serves(up: Up, run: Run) -> None:
    key = run("keys", "create", "1", "--json").data
    listed = {entry["key_id"]: entry for entry in run("keys", "list", "--json").data}
    assert listed[key["key_id"]]["shard_id"] == 0
    elsewhere = {"OPENVENUE_SHARD_ID": "5"}
    refused = openvenue("keys", "create", "1", data_dir=up.data_dir, variables=elsewhere)
    assert refused.exit_code == 1
    assert "the engine serves shard 0" in refused.errors
    seen = openvenue("keys", "list", "--json", data_dir=up.data_dir, variables=elsewhere)
    assert seen.data == []
    claimed = openvenue("keys", "claim", key["key_id"], data_dir=up.data_dir, variables=elsewhere)
    assert claimed.exit_code == 1
    assert "there is no key" in claimed.errors


def test_a_key_is_limited_changed_and_rotated(run: Run) -> None:
    options = ("--expires-in", "1h", "--allow-from", "10.0.0.0/8", "--rate-limit", "500")
    key = run("keys", "create", "1", *options, "--json").data
    assert (key["allow_from"], key["rate_limit"]) == (["10.0.0.0/8"], 500)
    assert key["expires_at"] is not None
    changes = ("--allow-from", "192.0.2.7", "--allow-from", "::1", "--rate-limit", "unlimited")
    changed = run("keys", "change", key["key_id"], *changes, "--json").data
    assert changed == {
        "key_id": key["key_id"],
        "expires_at": key["expires_at"],
        "allow_from": ["192.0.2.7/32", "::1/128"],
        "rate_limit": "unlimited",
    }
    rotate = (
        "keys",
        "rotate",
        key["key_id"],
        "--overlap",
        "10m",
        "--expires-in",
        "never",
        "--json",
    )
    new = run(*rotate).data
    assert (new["account_id"], new["expires_at"]) == (1, None)
    assert (new["allow_from"], new["rate_limit"]) == (changed["allow_from"], "unlimited")
    listed = {entry["key_id"]: entry for entry in run("keys", "list", "--json").data}
    assert listed[key["key_id"]]["expires_at"] < key["expires_at"]
    assert listed[new["key_id"]]["expires_at"] is None


def test_keys_are_given_to_a_shell_by_account_name(up: Up, run: Run) -> None:
    exports = run("keys", "env", "--account", "bob").output
    assert f"export OPENVENUE_URL={up.url}" in exports
    assert f"export APCA_API_KEY_ID={up.headers('bob')['APCA-API-KEY-ID']}" in exports


def test_an_instrument_is_defined_and_changed_but_its_tick_is_not(up: Up, run: Run) -> None:
    defined = run("instruments", "define", "NFLX", "--name", "Netflix", "--tick", "0.05", "--json")
    assert (defined.data["tick"], defined.data["state"]) == ("0.05", "active")
    halted = run("instruments", "define", "NFLX", "--tick", "0.05", "--state", "inactive", "--json")
    assert halted.data["state"] == "inactive"
    assert halted.data["instrument_id"] == defined.data["instrument_id"]
    changed = openvenue("instruments", "define", "NFLX", "--tick", "0.01", data_dir=up.data_dir)
    assert changed.exit_code == 1
    assert "cannot change" in changed.errors


def test_a_change_of_an_instrument_leaves_what_it_does_not_name(run: Run) -> None:
    terms = ("--name", "Foo", "--max-qty", "5", "--max-price", "10", "--class", "crypto")
    defined = run("instruments", "define", "FOO", *terms, "--json").data
    halted = run("instruments", "define", "FOO", "--state", "inactive", "--json").data
    assert halted == {**defined, "state": "inactive"}
    renamed = run("instruments", "define", "FOO", "--name", "Bar", "--json").data
    assert renamed == {**halted, "name": "Bar"}


@pytest.mark.parametrize(
    ("terms", "advice"),
    [
        ("--tick 0.0001 --max-price 100000", "--max-price at most 6710.8864"),
        ("--tick 0.00000001", "--lot a multiple of 100"),
        ("--tick 0.0001 --lot 0.001", "--lot a multiple of 0.01"),
        ("--min-price 5 --max-price 4", "--max-price not below --min-price"),
        ("--max-qty 0", "from one lot (1)"),
    ],
)
def test_impossible_terms_are_answered_with_the_bound_and_a_valid_value(
    up: Up, terms: str, advice: str
) -> None:
    refused = openvenue("instruments", "define", "NEW", *terms.split(), data_dir=up.data_dir)
    assert refused.exit_code == 1
    assert advice in " ".join(refused.errors.split())


def test_a_fine_tick_needs_no_highest_price(run: Run) -> None:
    terms = ("--class", "crypto", "--tick", "0.00000001", "--lot", "100")
    defined = run("instruments", "define", "SHIB/USD", *terms, "--json").data
    assert defined["max_price"] == "0.67108864"


def test_the_list_of_instruments_fits_80_columns(up: Up) -> None:
    listed = openvenue(
        "instruments", "list", data_dir=up.data_dir, variables={"COLUMNS": "80"}
    ).output
    apple = next(line for line in listed.splitlines() if "AAPL" in line)
    assert "Apple Inc." in apple
    assert "0.01" in apple
    assert max(map(len, listed.splitlines())) <= 80


def test_markup_in_values_is_shown_as_text(run: Run) -> None:
    run("accounts", "create", "[bold]mark")
    assert "[bold]mark" in run("accounts", "list").output


def test_json_is_written_without_control_sequences(up: Up) -> None:
    terminal = {"FORCE_COLOR": "1", "TTY_COMPATIBLE": "1", "TERM": "xterm-256color"}
    for command in ("accounts list", "keys list", "instruments list", "status", "snapshot"):
        result = openvenue(*command.split(), "--json", data_dir=up.data_dir, variables=terminal)
        assert result.data is not None
        assert "\x1b" not in result.output + result.errors


def test_the_logs_of_a_rebuild_with_json_are_json(up: Up) -> None:
    result = openvenue(
        *("projector", "rebuild", "--json"),
        data_dir=up.data_dir,
        variables={"OPENVENUE_LOG_LEVEL": "DEBUG"},
    )
    logged = result.errors.splitlines()
    assert logged
    assert all(json.loads(line) for line in logged)


def test_status_tells_how_far_everything_is(run: Run) -> None:
    status = run("status", "--json").data
    assert status["durable_sequence"] > 0
    assert status["projected_sequence"] <= status["durable_sequence"]
    assert status["api_ready"] is True


def test_a_snapshot_is_taken(run: Run) -> None:
    sequence = run("snapshot", "--json").data["snapshot_sequence"]
    assert run("status", "--json").data["snapshot_sequence"] >= sequence > 0


def test_the_journal_of_a_running_venue_can_be_read(run: Run) -> None:
    first = json.loads(run("journal", "dump", "--limit", "1").output.splitlines()[0])
    assert first["sequence"] == 1
    assert run("journal", "stats", "--json").data


def test_the_book_benchmark_is_the_engines(run: Run, tmp_path: Path) -> None:
    messages = tmp_path / "messages.csv"
    messages.write_text(
        "seq,type,side,ioc,quantity,order_id,price\n1,new,buy,0,10,1,100\n2,new,sell,0,4,2,100\n"
    )
    reports = tmp_path / "reports.csv"
    run("bench", "book", "--messages", str(messages), "--reports", str(reports), "--json")
    assert [line.split(",")[0] for line in reports.read_text().splitlines()[1:]] == [
        "ack",
        "ack",
        "trade",
    ]


@pytest.mark.parametrize("book", ["fast", "naive"])
def test_the_book_benchmark_takes_prices_that_are_worlds_apart(
    run: Run, tmp_path: Path, book: str
) -> None:
    messages = tmp_path / "messages.csv"
    messages.write_text(
        "seq,type,side,ioc,quantity,order_id,price\n"
        "1,new,sell,0,10,1,100\n2,new,buy,1,14,2,2147483647\n3,new,buy,0,1,3,-5\n3,cancel,,,,3,\n"
    )
    reports = tmp_path / "reports.csv"
    run("bench", "book", "--messages", str(messages), "--reports", str(reports), "--book", book)
    assert reports.read_text().splitlines()[1:] == [
        "ack,1,sell,1,100,10,,",
        "ack,2,buy,2,2147483647,14,,",
        "trade,2,,,100,10,1,2",
        "canceled,2,buy,2,2147483647,,,",
        "ack,3,buy,3,-5,1,,",
        "canceled,3,buy,3,-5,,,",
    ]


def test_the_projection_is_rebuilt_while_the_venue_is_up(run: Run) -> None:
    durable = run("status", "--json").data["durable_sequence"]
    assert run("projector", "rebuild", "--json").data["projected_sequence"] >= durable
