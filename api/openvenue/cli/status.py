"""`openvenue status` and `openvenue snapshot`: state of the running venue."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any

import aiohttp
import asyncpg
import typer

from openvenue.cli.connection import DATA_DIR_DEFAULT, DataDirOption, administration, venue_settings
from openvenue.cli.local.data_dir import DataDir, RunningVenue
from openvenue.commands import JsonOption, print_record
from openvenue.db.connection import DATABASE_AWAY, connect
from openvenue.settings import Settings

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
        async with administration(data_dir) as admin:
            engine = await admin.status(with_state_hash=state_hash)
        projected = await _projected(settings)
        return {
            "shard_id": engine.shard_id,
            "engine_version": engine.version,
            "engine_started": _time(engine.started_ns),
            "applied_sequence": engine.applied_sequence,
            "durable_sequence": engine.durable_sequence,
            "snapshot_sequence": engine.snapshot_sequence,
            "state_hash": f"{engine.state_hash:016x}" if state_hash else None,
            "read_only": engine.read_only,
            "open_orders": engine.open_orders,
            "sessions": engine.sessions,
            "trading_day_end": _time(engine.trading_day_end_ns),
            "projected_sequence": projected,
            "projection_lag": None
            if projected is None
            else max(0, engine.durable_sequence - projected),
            "api_url": running.api_url if running else None,
            "operations_url": running.operations_url if running else None,
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


async def _projected(settings: Settings) -> int | None:
    """Return how far the projection is; None if the database does not answer."""
    url = settings.database_url.get_secret_value()
    try:
        connection = await connect(url, "openvenue-cli", timeout_s=5, command_timeout_s=5)
    except (*DATABASE_AWAY, asyncpg.PostgresError):
        return None
    try:
        sequence: int | None = await connection.fetchval(
            "SELECT sequence FROM projection_offsets WHERE shard_id = $1", settings.shard_id
        )
    except asyncpg.PostgresError:
        return None
    finally:
        await connection.close()
    return sequence


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


def _time(time_ns: int) -> str | None:
    if not time_ns:
        return None
    return datetime.fromtimestamp(time_ns / 1e9, UTC).isoformat(timespec="seconds")
