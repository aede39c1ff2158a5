"""`openvenue admin`: administration over HTTP."""

import os
from typing import Annotated

import typer

from openvenue.admin_server import __main__ as process
from openvenue.cli.connection import DATA_DIR_DEFAULT, DataDirOption, venue_settings

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Serve the administration over HTTP."
)


@app.callback()
def _group() -> None:
    """Keep `serve` a command of its own, although it is the only one."""


@app.command()
def serve(
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65_535, help="Default: OPENVENUE_ADMIN_PORT, or 8003. 0: any free"),
    ] = None,
    data_dir: DataDirOption = DATA_DIR_DEFAULT,
) -> None:
    """Serve /v1/admin without end, to requests with one of the engine's tokens.

    It listens on this machine alone, unless OPENVENUE_ADMIN_HOST says otherwise.
    """
    settings = venue_settings(data_dir)
    if port is not None:
        os.environ["OPENVENUE_ADMIN_PORT"] = str(port)
    process.main(settings)
