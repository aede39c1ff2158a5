"""Every command has help, and says without a venue how to get one."""

from pathlib import Path

import pytest
from openvenue.cli.main import app
from openvenue.commands import CommandError
from typer.testing import CliRunner

from tests.cli.command_line import openvenue


@pytest.fixture(autouse=True)
def nothing_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Make sure that no venue runs in the data directory, and the environment names none."""
    for variable in (
        "OPENVENUE_ENGINE_TARGET",
        "OPENVENUE_ENGINE_ADMIN_TARGET",
        "OPENVENUE_ENGINE_ADMIN_TOKEN_FILE",
        "OPENVENUE_DATABASE_URL",
    ):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("OPENVENUE_DATA_DIR", str(tmp_path))


@pytest.mark.parametrize(
    "command",
    [
        "accounts list",
        "accounts create frank",
        "accounts cancel-orders 1",
        "accounts reset 1 --cash 5",
        "accounts clone 1 frank",
        "admin serve",
        "audit",
        "orders story 1",
        "instruments list",
        "keys env",
        "keys list",
        "keys claim OVX",
        "keys change OVX --rate-limit 5",
        "keys rotate OVX --overlap 1h",
        "market fund keys.json --price AAPL=1",
        "migrate",
        "projector rebuild",
        "replay --synthetic",
        "snapshot",
        "status",
    ],
)
def test_without_a_venue_a_command_says_how_to_get_one(command: str) -> None:
    result = CliRunner().invoke(app, command.split())
    assert isinstance(result.exception, CommandError)
    assert "openvenue up" in str(result.exception)


@pytest.mark.parametrize(
    "command",
    [
        "",
        "up",
        "status",
        "replay",
        "snapshot",
        "migrate",
        "accounts create",
        "accounts cancel-orders",
        "accounts reset",
        "accounts clone",
        "admin serve",
        "audit",
        "orders story",
        "keys create",
        "keys claim",
        "keys change",
        "keys rotate",
        "instruments define",
        "journal verify",
        "journal archive",
        "journal restore",
        "projector rebuild",
        "plan",
        "bench book",
    ],
)
def test_every_command_has_help(command: str) -> None:
    result = CliRunner().invoke(app, [*command.split(), "--help"])
    assert result.exit_code == 0
    assert "Usage" in result.output


@pytest.mark.parametrize(
    ("command", "advice"),
    [
        ("accounts deposit 1 much", "decimal"),
        ("accounts create x --cash -5", "below zero"),
        ("accounts create x --credit-limit -5", "below zero"),
        (f"keys create 1 --label {'x' * 5000}", "at most 128 characters"),
        ("keys create 1 --expires-in soon", "90s, 15m, 1h or 7d"),
        ("keys create 1 --allow-from 10.0.0.1/8", "has host bits set"),
        ("keys create 1 --rate-limit 0", "default or unlimited"),
        ("keys create 1 --read-only --data-only", "either"),
        ("keys change OVX", "name what to change"),
        ("instruments define X --class bond", "us_equity, crypto"),
        ("replay", "--synthetic"),
        ("replay pyproject.toml --format itch", "lobster"),
        ("replay pyproject.toml", "--symbol"),
        ("plan", "-f"),
        ("plan -f nowhere.yaml", "cannot be read"),
        ("plan -f pyproject.toml", "not YAML"),
        ("plan --situation pyproject.toml", "no situation"),
    ],
)
def test_bad_input_is_answered_with_what_would_be_good(command: str, advice: str) -> None:
    result = CliRunner().invoke(app, command.split())
    assert isinstance(result.exception, CommandError)
    assert advice in str(result.exception)


@pytest.mark.parametrize(
    ("content", "advice"),
    [(None, "takes an administrator's token"), ("", "does not hold a token"), ("gone", "read")],
)
def test_without_a_token_administration_says_where_to_get_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str | None, advice: str
) -> None:
    monkeypatch.setenv("OPENVENUE_ENGINE_TARGET", "127.0.0.1:1")
    if content is not None:
        file = tmp_path / "token"
        if content != "gone":
            file.write_text(content)
        monkeypatch.setenv("OPENVENUE_ENGINE_ADMIN_TOKEN_FILE", str(file))
    for command in ("accounts list", "instruments list", "status", "snapshot", "audit"):
        result = CliRunner().invoke(app, command.split())
        assert isinstance(result.exception, CommandError), command
        assert advice in str(result.exception)
        assert "OPENVENUE_ENGINE_ADMIN_TOKEN_FILE" in str(result.exception)


def test_an_account_needs_a_name() -> None:
    result = CliRunner().invoke(app, ["accounts", "create", " "])
    assert "must not be empty" in str(result.exception)


def test_the_help_of_the_engines_benchmarks_is_the_engines() -> None:
    """The engine takes the process over, so that a runner within this one cannot ask for it."""
    assert "--sessions" in openvenue("bench", "rpc", "--help").output
    assert "Usage" in openvenue("bench", "exchange", "--help").output


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OPENVENUE_LOG_LEVEL", "loudest-secret"),
        ("OPENVENUE_DATABASE_URL", "mysql://user:loudest-secret@host/name"),
    ],
)
def test_a_setting_that_cannot_be_is_named_and_not_shown(variable: str, value: str) -> None:
    named = {"OPENVENUE_ENGINE_TARGET": "127.0.0.1:1", variable: value}
    result = openvenue("keys", "list", variables=named)
    assert result.exit_code == 2
    assert f"{variable}: " in result.errors
    assert "secret" not in result.errors
    assert len(result.errors.splitlines()) == 1
