"""`openvenue keys`: API keys of accounts."""

import asyncio
import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from openvenue.admin.keys import check_account, check_label
from openvenue.cli.connection import (
    DATA_DIR_DEFAULT,
    DataDirOption,
    administration,
    errors_of_commands,
    running_venue,
    venue_settings,
)
from openvenue.cli.local.data_dir import DataDir
from openvenue.commands import CommandError, JsonOption, console, print_record, print_rows
from openvenue.db.alchemy import DATABASE_ERRORS, open_engine
from openvenue.db.connection import DatabaseRefused
from openvenue.reasons import reason_of
from openvenue.security.keys import READ_ONLY, claim_key, create_key, list_keys, revoke_key
from openvenue.vocabulary import SCOPES

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Make, list and revoke API keys."
)

_CONNECT_TIMEOUT_S = 10.0


@app.command()
def create(
    account_id: Annotated[int, typer.Argument(min=1, help="Account that the key speaks for.")],
    label: Annotated[str, typer.Option(help="To tell keys apart; at most 128 characters.")] = "",
    read_only: Annotated[
        bool, typer.Option("--read-only", help="The key may read, but not trade.")
    ] = False,
    data_dir: DataDirOption = DATA_DIR_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Make a key that reads and trades. Its secret is shown now and never again."""
    with errors_of_commands():
        check_label(label)

    async def run() -> dict[str, Any]:
        async with administration(data_dir) as admin:
            await check_account(admin, venue_settings(data_dir), account_id)
        async with _database(data_dir) as connection:
            key = await create_key(
                connection,
                _shard_id(data_dir),
                account_id,
                label,
                READ_ONLY if read_only else SCOPES,
            )
        return {
            "key_id": key.key_id,
            "secret": key.secret,
            "account_id": key.account_id,
            "label": key.label,
            "scopes": key.scopes,
        }

    print_record(asyncio.run(run()), as_json=as_json)


@app.command("list")
def list_all(
    account_id: Annotated[
        int | None, typer.Option("--account", min=1, help="Only this account's.")
    ] = None,
    data_dir: DataDirOption = DATA_DIR_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """List this venue's keys, also revoked ones, and keys that no shard has claimed yet."""

    async def run() -> list[dict[str, Any]]:
        async with _database(data_dir) as connection:
            return [
                {
                    "key_id": key.key_id,
                    "account_id": key.account_id,
                    "label": key.label,
                    "scopes": key.scopes,
                    "shard_id": key.shard_id,
                    "created_at": key.created_at.isoformat(timespec="seconds"),
                    "revoked_at": key.revoked_at and key.revoked_at.isoformat(timespec="seconds"),
                }
                for key in await list_keys(connection, _shard_id(data_dir), account_id)
            ]

    print_rows(
        asyncio.run(run()),
        as_json=as_json,
        empty="No keys yet; make one with `openvenue keys create ACCOUNT`.",
    )


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="The key's id, as `openvenue keys list` shows it.")],
    data_dir: DataDirOption = DATA_DIR_DEFAULT,
) -> None:
    """Revoke a key for good; requests with it are refused at once."""

    async def run() -> bool:
        async with _database(data_dir) as connection:
            return await revoke_key(connection, _shard_id(data_dir), key_id)

    if not asyncio.run(run()):
        raise CommandError(f"there is no key {key_id} in force; see `openvenue keys list`")
    console.print(f"{key_id} is revoked.")


@app.command()
def claim(
    key_id: Annotated[str, typer.Argument(help="The key's id, as `openvenue keys list` shows it.")],
    data_dir: DataDirOption = DATA_DIR_DEFAULT,
) -> None:
    """Take a key without a shard for this venue: an older version made it in a shared database."""

    async def run() -> bool:
        async with _database(data_dir) as connection:
            return await claim_key(connection, _shard_id(data_dir), key_id)

    if not asyncio.run(run()):
        raise CommandError(f"there is no key {key_id} without a shard; see `openvenue keys list`")
    console.print(f"{key_id} is a key of shard {_shard_id(data_dir)}.")


@app.command()
def env(
    account: Annotated[
        str | None, typer.Option(help="Name of a demo account; default: the first.")
    ] = None,
    data_dir: DataDirOption = DATA_DIR_DEFAULT,
) -> None:
    """Print a demo account's key and the venue's URL for a shell: eval "$(openvenue keys env)"."""
    venue = running_venue(data_dir)
    keys = DataDir(data_dir).demo_keys()
    chosen = [key for key in keys if account is None or key.account == account]
    if not chosen:
        names = ", ".join(key.account for key in keys) or "none: start with `openvenue up --demo`"
        raise CommandError(f"there is no demo account {account or ''}; there are: {names}")
    variables = {
        "OPENVENUE_URL": venue.api_url,
        "APCA_API_BASE_URL": venue.api_url,
        "OPENVENUE_STREAM_URL": venue.stream_url,
        "APCA_API_KEY_ID": chosen[0].key_id,
        "APCA_API_SECRET_KEY": chosen[0].secret,
    }
    for name, value in variables.items():
        typer.echo(f"export {name}={shlex.quote(value)}")


def _shard_id(data_dir: Path) -> int:
    return venue_settings(data_dir).shard_id


@asynccontextmanager
async def _database(data_dir: Path) -> AsyncIterator[AsyncConnection]:
    """Open one transaction. Raises CommandError if the database is down."""
    engine = open_engine(
        venue_settings(data_dir).database_url.get_secret_value(),
        "openvenue-cli",
        timeout_s=_CONNECT_TIMEOUT_S,
    )
    try:
        async with engine.begin() as connection:
            yield connection
    except DatabaseRefused as error:
        raise CommandError(str(error)) from error
    except DATABASE_ERRORS as error:
        raise CommandError(
            f"the database does not answer ({reason_of(error)}): start a venue with `openvenue "
            "up`, or name its database with OPENVENUE_DATABASE_URL"
        ) from error
    finally:
        await engine.dispose()
