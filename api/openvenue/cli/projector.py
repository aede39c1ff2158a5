"""`openvenue projector`: writes the journal into PostgreSQL."""

import asyncio

import asyncpg
import grpc
import typer

from openvenue.cli.connection import DATA_DIR_DEFAULT, DataDirOption, venue_settings
from openvenue.commands import CommandError, JsonOption, print_record
from openvenue.db.connection import BROKEN_CONNECTION
from openvenue.projector import __main__ as process
from openvenue.projector.rebuild import rebuild as rebuild_projection
from openvenue.projector.run import ProjectionFault
from openvenue.projector.settings import ProjectorSettings
from openvenue.telemetry import configure_logging

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Follow the journal into PostgreSQL."
)


@app.command()
def run() -> None:
    """Project without end; `openvenue up` does this already. Settings come from OPENVENUE_…"""
    process.main()


@app.command()
def rebuild(data_dir: DataDirOption = DATA_DIR_DEFAULT, as_json: JsonOption = False) -> None:
    """Empty all projected tables and fill them from the journal again; API keys stay.

    A running projector stands by meanwhile. Orders continue; reads of history answer 503 until
    then.
    """
    settings = venue_settings(data_dir)
    configure_logging(settings.log_level, "json" if as_json else "console")
    try:
        sequence = asyncio.run(rebuild_projection(settings, ProjectorSettings()))
    except ProjectionFault as error:
        raise CommandError(str(error)) from error
    except grpc.aio.AioRpcError as error:
        if error.code() == grpc.StatusCode.OUT_OF_RANGE:
            raise CommandError(f"nothing was changed: {error.details()}") from error
        raise CommandError(f"the engine does not answer ({error})") from error
    except (
        OSError,
        asyncpg.PostgresError,
        *BROKEN_CONNECTION,
    ) as error:
        raise CommandError(f"engine or database do not answer ({error})") from error
    print_record({"projected_sequence": sequence}, as_json=as_json)
