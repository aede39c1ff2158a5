"""`openvenue trading`: suspends the venue's trading, and lets it go on."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from openvenue.admin.documents import VenueTrading, shown
from openvenue.admin.suspension import set_venue_suspended
from openvenue.cli.connection import DATA_DIR_DEFAULT, DataDirOption, administration
from openvenue.commands import JsonOption, print_record

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Suspend trading for all accounts, or let it go on.",
)


@app.command()
def suspend(
    cancel_orders: Annotated[
        bool, typer.Option("--cancel-orders", help="Cancel all that is open, too.")
    ] = False,
    data_dir: DataDirOption = DATA_DIR_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Refuse all new orders and replacements, also after a restart; cancels are taken."""
    _set_suspended(data_dir, True, cancel_orders, as_json)


@app.command()
def resume(data_dir: DataDirOption = DATA_DIR_DEFAULT, as_json: JsonOption = False) -> None:
    """Take orders again, except of accounts that are blocked."""
    _set_suspended(data_dir, False, False, as_json)


def _set_suspended(data_dir: Path, suspended: bool, cancel_orders: bool, as_json: bool) -> None:
    async def run() -> VenueTrading:
        async with administration(data_dir) as admin:
            return await set_venue_suspended(admin, suspended, cancel_open_orders=cancel_orders)

    print_record(shown(asyncio.run(run())), as_json=as_json)
