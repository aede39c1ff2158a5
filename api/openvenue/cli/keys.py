"""`openvenue keys`: API keys of accounts."""

import asyncio
import re
import shlex
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
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
from openvenue.security.client_address import Network
from openvenue.security.keys import (
    DATA_ONLY,
    READ_AND_TRADE,
    READ_ONLY,
    KeyLimits,
    NewKey,
    change_limits,
    claim_key,
    create_key,
    list_keys,
    revoke_key,
    rotate_key,
)

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Make, list, change, rotate and revoke API keys.",
)

_CONNECT_TIMEOUT_S = 10.0
_DURATION = re.compile(r"(\d{1,10})([smhd])", re.ASCII)
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_RATES = {"default": None, "unlimited": 0}
_RATE_MAX = 1_000_000_000

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
    with errors_of_commands():
        check_label(label)
    if read_only and data_only:
        raise CommandError("a key is either --read-only or --data-only")
    limits = _changed(KeyLimits(), expires_in, allow_from, rate_limit)
    scopes = READ_ONLY if read_only else DATA_ONLY if data_only else READ_AND_TRADE

    async def run() -> NewKey:
        async with administration(data_dir) as admin:
            await check_account(admin, venue_settings(data_dir), account_id)
        async with _database(data_dir) as connection:
            return await create_key(
                connection, _shard_id(data_dir), account_id, label, scopes, limits
            )

    _print_new(asyncio.run(run()), as_json=as_json)


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
    ends_in = _duration("--overlap", overlap)

    async def run() -> NewKey | None:
        async with _database(data_dir) as connection:
            shard_id = _shard_id(data_dir)
            keys = await list_keys(connection, shard_id)
            ending = [k for k in keys if k.key_id == key_id and k.limits.expires_at is not None]
            if ending and expires_in is None:
                raise CommandError(
                    f"{key_id} ends at {_time(ending[0].limits.expires_at)}: say with --expires-in "
                    "when the new key does, or `--expires-in never`"
                )
            expires_at = _expiry(expires_in)
            return await rotate_key(connection, shard_id, key_id, ends_in, expires_at)

    key = asyncio.run(run())
    if key is None:
        raise _not_in_force(key_id)
    _print_new(key, as_json=as_json)


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
    if expires_in is None and not allow_from and rate_limit is None:
        raise CommandError("name what to change: --expires-in, --allow-from or --rate-limit")
    _changed(KeyLimits(), expires_in, allow_from, rate_limit)  # A mistake is told first.

    async def run() -> KeyLimits | None:
        async with _database(data_dir) as connection:
            return await change_limits(
                connection,
                _shard_id(data_dir),
                key_id,
                lambda limits: _changed(limits, expires_in, allow_from, rate_limit),
            )

    limits = asyncio.run(run())
    if limits is None:
        raise _not_in_force(key_id)
    print_record({"key_id": key_id, **_shown(limits)}, as_json=as_json)


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
                    "created_at": _time(key.created_at),
                    "revoked_at": _time(key.revoked_at),
                    **_shown(key.limits),
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
    key_id: KeyId,
    data_dir: DataDirOption = DATA_DIR_DEFAULT,
) -> None:
    """Revoke a key for good; requests with it are refused at once."""

    async def run() -> bool:
        async with _database(data_dir) as connection:
            return await revoke_key(connection, _shard_id(data_dir), key_id)

    if not asyncio.run(run()):
        raise _not_in_force(key_id)
    console.print(f"{key_id} is revoked.")


@app.command()
def claim(
    key_id: KeyId,
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
        "APCA_API_DATA_URL": venue.api_url,
        "APCA_API_STREAM_URL": venue.stream_url,
        "OPENVENUE_STREAM_URL": venue.stream_url,
        "APCA_API_KEY_ID": chosen[0].key_id,
        "APCA_API_SECRET_KEY": chosen[0].secret,
    }
    for name, value in variables.items():
        typer.echo(f"export {name}={shlex.quote(value)}")


def _print_new(key: NewKey, *, as_json: bool) -> None:
    record = {
        "key_id": key.key_id,
        "secret": key.secret,
        "account_id": key.account_id,
        "label": key.label,
        "scopes": key.scopes,
        **_shown(key.limits),
    }
    print_record(record, as_json=as_json)


def _shown(limits: KeyLimits) -> dict[str, Any]:
    rate = limits.requests_per_minute
    return {
        "expires_at": _time(limits.expires_at),
        "allow_from": limits.networks and [str(network) for network in limits.networks],
        "rate_limit": "unlimited" if rate == 0 else rate,
    }


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat(timespec="seconds")


def _not_in_force(key_id: str) -> CommandError:
    return CommandError(f"there is no key {key_id} in force; see `openvenue keys list`")


def _changed(
    limits: KeyLimits,
    expires_in: str | None,
    allow_from: Sequence[str] | None,
    rate_limit: str | None,
) -> KeyLimits:
    """Return limits with what the options name. Raises CommandError."""
    changes: dict[str, Any] = {}
    if expires_in is not None:
        changes["expires_at"] = _expiry(expires_in)
    if allow_from:
        changes["networks"] = _networks(allow_from)
    if rate_limit is not None:
        changes["requests_per_minute"] = _rate(rate_limit)
    return replace(limits, **changes)


def _networks(listed: Sequence[str]) -> list[Network] | None:
    if "anywhere" in listed:
        return None
    try:
        return [ip_network(each) for each in listed]
    except ValueError as error:
        raise CommandError(
            f"--allow-from takes networks as 10.1.0.0/16, addresses, or anywhere: {error}"
        ) from error


def _rate(text: str) -> int | None:
    if text in _RATES:
        return _RATES[text]
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= _RATE_MAX:
        raise CommandError(
            f"--rate-limit takes requests a minute up to {_RATE_MAX}, default or unlimited"
        )
    return int(text)


def _expiry(expires_in: str | None) -> datetime | None:
    if expires_in in (None, "never"):
        return None
    return datetime.now(UTC) + _duration("--expires-in", expires_in)


def _duration(option: str, text: str) -> timedelta:
    match = _DURATION.fullmatch(text)
    days_max = 36_500
    if match is not None:
        found = timedelta(seconds=int(match[1]) * _UNITS_S[match[2]])
        if found <= timedelta(days=days_max):
            return found
    raise CommandError(f"{option} takes a time as 90s, 15m, 1h or 7d, up to {days_max} days")


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
