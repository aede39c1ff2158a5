"""`openvenue keys`: API keys of accounts."""

import asyncio
import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import typer

from openvenue.admin import documents
from openvenue.admin.database import AdminDatabase
from openvenue.admin.keys import Keys, WantedLimits, check_label, overlap_of
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
from openvenue.security.keys import DATA_ONLY, READ_AND_TRADE, READ_ONLY, KeyInfo, KeyLimits, NewKey

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Make, list, change, rotate and revoke API keys.",
)

KeyId = Annotated[str, typer.Argument(help="The key's id, as `openvenue keys list` shows it.")]
ExpiresIn = Annotated[
    str | None, typer.Option(help="When the key ends by itself: 90s, 15m, 1h, 30d, or never.")
]
AllowFrom = Annotated[
    list[str] | None,
    typer.Option(
        help="Network or address of clients that may use the key; can be given more than once. "
        "`anywhere` for all."
    ),
]
RateLimit = Annotated[
    str | None,
    typer.Option(help="Requests a minute, instead of the venue's `default`; or `unlimited`."),
]


@app.command()
def create(
    account_id: Annotated[int, typer.Argument(min=1, help="Account that the key speaks for.")],
    label: Annotated[str, typer.Option(help="To tell keys apart; at most 128 characters.")] = "",
    read_only: Annotated[
        bool, typer.Option("--read-only", help="The key may read, but not trade.")
    ] = False,
    data_only: Annotated[
        bool, typer.Option("--data-only", help="The key may read market data, and nothing else.")
    ] = False,
    expires_in: ExpiresIn = None,
    allow_from: AllowFrom = None,
    rate_limit: RateLimit = None,
    data_dir: DataDirOption = DATA_DIR_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Make a key that reads and trades. Its secret is shown now and never again."""
    wanted = WantedLimits(expires_in, allow_from, rate_limit)
    with errors_of_commands():
        check_label(label)
        wanted.check()
    if read_only and data_only:
        raise CommandError("a key is either --read-only or --data-only")
    scopes = READ_ONLY if read_only else DATA_ONLY if data_only else READ_AND_TRADE

    async def run() -> NewKey:
        async with administration(data_dir) as admin, _keys(data_dir) as keys:
            return await keys.create(admin, account_id, label, scopes, wanted)

    print_record(_shown_once(asyncio.run(run())), as_json=as_json)


@app.command()
def rotate(
    key_id: KeyId,
    overlap: Annotated[
        str, typer.Option(help="How long the old key still works: 90s, 15m, 1h, 7d; 0s: not at all")
    ],
    expires_in: ExpiresIn = None,
    data_dir: DataDirOption = DATA_DIR_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Make a key like this one, which ends by itself after the overlap.

    The new key has the same account, label, scopes, networks and rate limit.
    """
    with errors_of_commands():
        ends_in = overlap_of(overlap)

    async def run() -> NewKey:
        async with _keys(data_dir) as keys:
            return await keys.rotate(key_id, ends_in, expires_in)

    print_record(_shown_once(asyncio.run(run())), as_json=as_json)


@app.command()
def change(
    key_id: KeyId,
    expires_in: ExpiresIn = None,
    allow_from: AllowFrom = None,
    rate_limit: RateLimit = None,
    data_dir: DataDirOption = DATA_DIR_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Change when a key ends, from where it may be used, or its rate limit. The rest stays."""
    wanted = WantedLimits(expires_in, allow_from, rate_limit)
    if not wanted:
        raise CommandError("name what to change: --expires-in, --allow-from or --rate-limit")
    with errors_of_commands():
        wanted.check()

    async def run() -> KeyLimits:
        async with _keys(data_dir) as keys:
            return await keys.change(key_id, wanted)

    changed = documents.changed_key(key_id, asyncio.run(run()))
    print_record(documents.shown(changed), as_json=as_json)


@app.command("list")
def list_all(
    account_id: Annotated[
        int | None, typer.Option("--account", min=1, help="Only this account's.")
    ] = None,
    data_dir: DataDirOption = DATA_DIR_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """List this venue's keys, also revoked ones, and keys that no shard has claimed yet."""

    async def run() -> list[KeyInfo]:
        async with _keys(data_dir) as keys:
            return await keys.listed(account_id)

    print_rows(
        [documents.shown(documents.key(key)) for key in asyncio.run(run())],
        as_json=as_json,
        empty="No keys yet; make one with `openvenue keys create ACCOUNT`.",
    )


@app.command()
def revoke(
    key_id: KeyId,
    data_dir: DataDirOption = DATA_DIR_DEFAULT,
) -> None:
    """Revoke a key for good; requests with it are refused at once."""

    async def run() -> None:
        async with _keys(data_dir) as keys:
            await keys.revoke(key_id)

    asyncio.run(run())
    console.print(f"{key_id} is revoked.")


@app.command()
def claim(
    key_id: KeyId,
    data_dir: DataDirOption = DATA_DIR_DEFAULT,
) -> None:
    """Take a key without a shard for this venue: an older version made it in a shared database."""

    async def run() -> None:
        async with _keys(data_dir) as keys:
            await keys.claim(key_id)

    asyncio.run(run())
    console.print(f"{key_id} is a key of shard {venue_settings(data_dir).shard_id}.")


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
        "APCA_API_DATA_URL": venue.api_url,
        "APCA_API_STREAM_URL": venue.stream_url,
        "OPENVENUE_STREAM_URL": venue.stream_url,
        "APCA_API_KEY_ID": chosen[0].key_id,
        "APCA_API_SECRET_KEY": chosen[0].secret,
    }
    for name, value in variables.items():
        typer.echo(f"export {name}={shlex.quote(value)}")


def _shown_once(key: NewKey) -> dict[str, object]:
    return documents.shown(documents.created_key(key))


@asynccontextmanager
async def _keys(data_dir: Path) -> AsyncIterator[Keys]:
    """Open the keys of the venue that the command means. Raises CommandError."""
    with errors_of_commands():
        async with AdminDatabase(venue_settings(data_dir), "openvenue-cli") as database:
            yield Keys(database)
