"""`openvenue trading`: suspends the venue's trading, and lets it go on."""

import asyncio
from typing import Annotated

import typer

from openvenue.admin.documents import VenueTrading, shown
from openvenue.admin.suspension import cancel_all_orders, set_venue_suspended
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

    async def run() -> VenueTrading:
        async with administration(data_dir) as admin:
            await set_venue_suspended(admin, True)
            canceled = await cancel_all_orders(admin) if cancel_orders else None
        return VenueTrading(suspended=True, canceled=canceled)

    print_record(shown(asyncio.run(run())), as_json=as_json)


@app.command()
def resume(data_dir: DataDirOption = DATA_DIR_DEFAULT, as_json: JsonOption = False) -> None:
    """Take orders again, except of accounts that are blocked."""

    async def run() -> None:
        async with administration(data_dir) as admin:
            await set_venue_suspended(admin, False)

    asyncio.run(run())
    print_record(shown(VenueTrading(suspended=False)), as_json=as_json)
