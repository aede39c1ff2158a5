"""One running venue for the tests of all commands."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.command_line import Up


@pytest.fixture(scope="session")
def up() -> Iterator[Up]:
    # Not in pytest's directory: pytest closes that to other users, and PostgreSQL runs as one of
    # them if the tests run as root.
    with tempfile.TemporaryDirectory(prefix="openvenue-up-") as directory:
        running = Up(Path(directory) / "data").wait_until_up()
        try:
            yield running
        finally:
            running.stop()
