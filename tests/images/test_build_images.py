"""`scripts/build-images` answers wrong use with advice."""

import subprocess

import pytest

from tests.support.venue import ROOT

SCRIPT = ROOT / "scripts/build-images"


def answer(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SCRIPT, *arguments],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **variables},
    )


def test_it_has_help() -> None:
    assert answer("--help").stdout.startswith("Usage: scripts/build-images")


@pytest.mark.parametrize("mistake", [["openvenue-engin"], ["--psh", "registry"], ["--tag"]])
def test_a_mistake_is_named_and_nothing_built(mistake: list[str]) -> None:
    said = answer(*mistake)
    assert said.returncode != 0
    assert mistake[0] in said.stderr
    assert said.stdout == ""


def test_a_build_that_fails_shows_the_end_of_its_log() -> None:
    said = answer("postgres", "--", "--build-arg", "BASE_IMAGE=localhost/there-is-no-such-image:1")
    assert said.returncode == 1
    assert "there-is-no-such-image" in said.stderr
    assert "all that was said is in .cache/images/postgres.log" in said.stderr
