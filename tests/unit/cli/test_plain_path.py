"""A data directory gets a short, plain path if programs cannot take its own."""

import os
import tempfile
from pathlib import Path

import pytest
from openvenue.cli.local.plain_path import plain_path
from openvenue.commands import CommandError


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return a runtime directory of the user's own, with a short path."""
    short = Path(tempfile.gettempdir()) / f"ov-{os.getpid()}"
    short.unlink(missing_ok=True)
    short.symlink_to(tmp_path)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short))
    return short


def test_a_plain_path_is_its_own_name() -> None:
    assert plain_path(Path("/srv/venue-1/var")) == Path("/srv/venue-1/var")


@pytest.mark.parametrize("path", ["/srv/my venue", "/srv/a%20b", "/srv/$HOME", "/s" + "x" * 100])
def test_any_other_gets_a_link_that_stays_the_same(runtime: Path, path: str) -> None:
    link = plain_path(Path(path))
    assert link.readlink() == Path(path)
    assert link.parent == runtime / f"openvenue-{os.getuid()}"
    assert link.parent.stat().st_mode & 0o777 == 0o700
    assert len(str(link)) <= 60
    assert plain_path(Path(path)) == link


def test_two_directories_get_two_links(runtime: Path) -> None:
    assert plain_path(Path("/srv/a b")) != plain_path(Path("/srv/a  b"))


def test_a_place_that_others_can_write_to_is_refused(runtime: Path) -> None:
    (runtime / f"openvenue-{os.getuid()}").mkdir()
    (runtime / f"openvenue-{os.getuid()}").chmod(0o777)
    with pytest.raises(CommandError, match="changed by others"):
        plain_path(Path("/srv/my venue"))
