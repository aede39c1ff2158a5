"""`openvenue status` and `openvenue snapshot`: state of the running venue."""

import asyncio
from typing import Annotated, Any

import aiohttp
import typer

from openvenue.admin.database import AdminDatabase
from openvenue.admin.documents import shown
from openvenue.admin.status import venue_status
from openvenue.cli.connection import DATA_DIR_DEFAULT, DataDirOption, administration, venue_settings
from openvenue.cli.local.data_dir import DataDir, RunningVenue
from openvenue.commands import JsonOption, print_record

status_app = typer.Typer(add_completion=False)
snapshot_app = typer.Typer(add_completion=False)


@status_app.command()
def status(
    data_dir: DataDirOption = DATA_DIR_DEFAULT,
    as_json: JsonOption = False,
    state_hash: Annotated[
        bool, typer.Option("--state-hash", help="Hash the engine's state too; orders wait for it.")
    ] = False,
) -> None:
    """Show the state of engine, projection and API."""

    async def run() -> dict[str, Any]:
        settings = venue_settings(data_dir)
        running = DataDir(data_dir).running()
        async with (
            administration(settings) as admin,
            AdminDatabase(settings, "openvenue-cli") as database,
        ):
            status = await venue_status(admin, database, with_state_hash=state_hash)
        return {
            **shown(status),
            "api_url": running.api_url if running else None,
            "operations_url": running.operations_url if running else None,
            "admin_url": running.admin_url if running else None,
            "api_ready": await _ready(running) if running else None,
        }

    print_record(asyncio.run(run()), as_json=as_json)


@snapshot_app.command()
def snapshot(data_dir: DataDirOption = DATA_DIR_DEFAULT, as_json: JsonOption = False) -> None:
    """Make the engine write a snapshot, so that its next start replays less."""

    async def run() -> int:
        async with administration(data_dir) as admin:
            return await admin.snapshot()

    print_record({"snapshot_sequence": asyncio.run(run())}, as_json=as_json)


async def _ready(running: RunningVenue) -> bool:
    url = running.operations_url or running.api_url  # The version before had no operations_url.
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as http,
            http.get(f"{url}/readyz") as response,
        ):
            return response.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False
