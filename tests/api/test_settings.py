"""Settings that cannot work end the process at once, with the name of what is wrong."""

import pytest
from openvenue.settings import Settings
from pydantic import ValidationError


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("database_url", "postgresql://openvenue@db/openvenue"),
        ("database_url", "db:5432"),
        ("engine_target", "engine"),
        ("engine_target", "http://engine:7070"),
        ("engine_target", "engine:port"),
        ("engine_target", ""),
        ("engine_keepalive_interval_s", 4.9),
    ],
)
def test_what_cannot_work_is_refused(name: str, value: object) -> None:
    with pytest.raises(ValidationError, match=name):
        Settings(**{name: value})


@pytest.mark.parametrize(
    "target",
    ["engine-0.engine.venue.svc:7070", "[::1]:7070", "unix:/run/engine", "dns:///engine:7070"],
)
def test_grpcs_ways_to_name_an_engine_are_taken(target: str) -> None:
    assert Settings(engine_target=target).engine_target == target
