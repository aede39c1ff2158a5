"""Unusable settings end the process at once, naming the setting."""

import os
import subprocess
import sys
from typing import Any

import pytest
from openvenue.database_url import parse_database_url
from openvenue.settings import OidcSettings, Settings
from pydantic import SecretStr, ValidationError


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("database_url", "mysql://openvenue@db/openvenue"),
        ("database_url", "db:5432"),
        ("engine_target", "engine"),
        ("engine_target", "http://engine:7070"),
        ("engine_target", "engine:port"),
        ("engine_target", ""),
        ("engine_keepalive_interval_s", 4.9),
    ],
)
def test_what_cannot_work_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=name):
        Settings(**{name: value})


ISSUER, AUDIENCE = "https://login.example/realms/trading", "https://venue.example"


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("audience", {"issuer": ISSUER}),
        ("audience", {"issuer": ISSUER, "audience": ""}),
        ("issuer", {"issuer": "login.example", "audience": AUDIENCE}),
        ("issuer", {"issuer": "http://login.example", "audience": AUDIENCE}),
        ("issuer", {"issuer": "http://127.0.0.1.example", "audience": AUDIENCE}),
        ("issuer", {"issuer": "https://user@login.example", "audience": AUDIENCE}),
        ("issuer", {"issuer": "file:///etc/passwd", "audience": AUDIENCE}),
        ("issuer", {"issuer": "https://[", "audience": AUDIENCE}),
        ("algorithms", {"algorithms": "RS256,HS256"}),
        ("algorithms", {"algorithms": "none"}),
        ("algorithms", {"algorithms": ""}),
        ("leeway_s", {"leeway_s": 3600}),
        ("ca_file", {"ca_file": "/no/such/file"}),
        ("ca_file\n.*PEM certificates", {"ca_file": __file__}),
    ],
)
def test_an_issuer_that_nobody_should_trust_is_refused(name: str, settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=name):
        OidcSettings(**settings)


@pytest.mark.parametrize(
    "issuer", [ISSUER, "http://127.0.0.1:8080", "http://localhost:8080/x", "http://[::1]:8080"]
)
def test_an_issuer_is_named_by_https_or_is_on_this_machine(issuer: str) -> None:
    settings = OidcSettings(issuer=issuer, audience=AUDIENCE, algorithms="ES256, PS256")  # type: ignore[arg-type]
    assert (settings.issuer, settings.algorithms) == (issuer, ("ES256", "PS256"))
    assert OidcSettings().issuer is None
    other = OidcSettings(allow_http=True, issuer="http://login.example", audience=AUDIENCE)
    assert other.issuer == "http://login.example"


def test_a_bad_issuer_ends_the_process_and_is_named_as_it_is_set() -> None:
    environment = {**os.environ, "OPENVENUE_OIDC_ISSUER": ISSUER}
    ended = subprocess.run(
        [sys.executable, "-m", "openvenue.server"],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 2
    assert ended.stderr == (
        "error: OPENVENUE_OIDC_AUDIENCE: is needed beside OPENVENUE_OIDC_ISSUER\n"
    )


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
def test_databases_are_named_as_everyone_names_them(scheme: str) -> None:
    url = Settings(database_url=SecretStr(f"{scheme}://openvenue@db/openvenue")).database_url
    dsn = parse_database_url(url.get_secret_value()).dsn
    assert dsn == "postgresql://openvenue@db/openvenue"


@pytest.mark.parametrize("module", ["openvenue.server", "openvenue.projector"])
def test_a_bad_value_is_not_shown_as_it_may_hold_a_password(module: str) -> None:
    environment = {**os.environ, "OPENVENUE_DATABASE_URL": "mysql://ov:hunter2@db/openvenue"}
    ended = subprocess.run(
        [sys.executable, "-m", module], env=environment, capture_output=True, text=True
    )
    assert ended.returncode == 2
    assert ended.stderr == "error: OPENVENUE_DATABASE_URL: must begin with postgresql://\n"


@pytest.mark.parametrize(
    ("module", "variable"),
    [
        ("openvenue_operator", "OPENVENUE_OPERATOR_TICK_S"),
        ("openvenue.projector", "OPENVENUE_PROJECTOR_HTTP_PORT"),
        ("openvenue.server", "OPENVENUE_API_PORT"),
    ],
)
def test_a_variable_that_cannot_work_is_named_as_it_is_set(module: str, variable: str) -> None:
    environment = {**os.environ, variable: "-99"}
    ended = subprocess.run(
        [sys.executable, "-m", module], env=environment, capture_output=True, text=True
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"error: {variable}: "), ended.stderr


@pytest.mark.parametrize(
    "target",
    ["engine-0.engine.venue.svc:7070", "[::1]:7070", "unix:/run/engine", "dns:///engine:7070"],
)
def test_grpcs_ways_to_name_an_engine_are_taken(target: str) -> None:
    assert Settings(engine_target=target).engine_target == target
