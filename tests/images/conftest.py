"""Fixtures of the images' tests: the images of this checkout, built and mounted."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.images.image import Image, Pod, mounted
from tests.support.venue import ROOT

BASE = os.environ.get("BASE_IMAGE", "docker.io/library/debian:bookworm-slim")
# Each checkout has its own tag.
TAG = f"images-test-{hashlib.sha256(bytes(ROOT)).hexdigest()[:8]}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.cluster)


@pytest.fixture(scope="session")
def built() -> None:
    """Build the images. They stay, because the next build needs their layers."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount and run images here")
    build = [str(ROOT / "scripts/build-images"), "--tag", TAG]
    subprocess.run(build, check=True, stdout=sys.stderr)


@pytest.fixture(scope="session")
def base(built: None) -> Iterator[Image]:
    with mounted(BASE) as image:
        yield image


@pytest.fixture(scope="session")
def engine(built: None) -> Iterator[Image]:
    with mounted(f"localhost/openvenue-engine:{TAG}") as image:
        yield image


@pytest.fixture(scope="session")
def api(built: None) -> Iterator[Image]:
    with mounted(f"localhost/openvenue:{TAG}") as image:
        yield image


@pytest.fixture(scope="session")
def postgres(built: None) -> Iterator[Image]:
    with mounted("localhost/postgres:17") as image:
        yield image


@pytest.fixture
def pod(tmp_path: Path) -> Iterator[Pod]:
    with Pod(tmp_path) as made:
        yield made
