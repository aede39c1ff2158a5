"""Finds a command's venue: the environment's, else the one that runs in the data directory."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import SecretStr

from openvenue.admin.client import Admin, connect_admin
from openvenue.admin.errors import AdminError
from openvenue.cli.local.data_dir import DataDir, RunningVenue
from openvenue.commands import CommandError
from openvenue.settings import Settings

DATA_DIR_DEFAULT = Path("var")

DataDirOption = Annotated[
    Path,
    typer.Option(
        "--data-dir",
        envvar="OPENVENUE_DATA_DIR",
        help="Data directory of a venue made by `openvenue up`.",
    ),
]


def venue_settings(data_dir: Path) -> Settings:
    """Return the settings of the venue: the environment's variables win over the running venue's.

    Raises CommandError if neither names a venue.
    """
    running = DataDir(data_dir).running()
    engine = {"OPENVENUE_ENGINE_TARGET", "OPENVENUE_ENGINE_ADMIN_TARGET"}
    named = engine | {"OPENVENUE_DATABASE_URL"}
    if running is None:
        if not named & os.environ.keys():
            raise CommandError(
                f"no venue is up in {data_dir}: start one with `openvenue up`, name its directory "
                "with --data-dir, or set OPENVENUE_ENGINE_TARGET, OPENVENUE_ENGINE_ADMIN_TARGET, "
                "OPENVENUE_ENGINE_ADMIN_TOKEN_FILE and OPENVENUE_DATABASE_URL"
            )
        return Settings()
    found: dict[str, Any] = {}
    # Both or none: a command must not trade at one engine and administrate another.
    if not engine & os.environ.keys():
        found["engine_target"] = running.engine_target
        if running.engine_admin_target:
            found["engine_admin_target"] = running.engine_admin_target
        if "OPENVENUE_ENGINE_ADMIN_TOKEN_FILE" not in os.environ:
            found["engine_admin_token_file"] = running.engine_admin_token_file
    if "OPENVENUE_DATABASE_URL" not in os.environ:
        found["database_url"] = SecretStr(running.database_url)
    return Settings(**found)


@contextmanager
def errors_of_commands() -> Iterator[None]:
    """Have what administration refuses end the command; a field is an option."""
    try:
        yield
    except AdminError as error:
        raise CommandError(error.worded("--{}")) from error


@asynccontextmanager
async def administration(venue: Path | Settings) -> AsyncIterator[Admin]:
    """Connect to the administration of the venue that the command means. Raises CommandError."""
    settings = venue if isinstance(venue, Settings) else venue_settings(venue)
    with errors_of_commands():
        async with connect_admin(settings) as admin:
            yield admin


def running_venue(data_dir: Path) -> RunningVenue:
    """Return the venue that runs in the data directory. Raises CommandError if there is none."""
    running = DataDir(data_dir).running()
    if running is None:
        raise CommandError(
            f"no venue is up in {data_dir}: start one with `openvenue up`, or name its directory "
            "with --data-dir"
        )
    return running
