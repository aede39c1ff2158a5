"""`openvenue migrate`: migrates the database to the schema that this version needs.

It may run while the database starts, as a Job that is installed together with it: it waits until
the database answers. Errors that waiting cannot cure end it at once.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Annotated

import asyncpg
import typer
from alembic.util.exc import CommandError as MigrationError

from openvenue.cli.connection import DATA_DIR_DEFAULT, DataDirOption, venue_settings
from openvenue.commands import CommandError, JsonOption, errors, print_record
from openvenue.db import migrate as schema
from openvenue.db.alchemy import DATABASE_ERRORS
from openvenue.db.connection import BROKEN_CONNECTION, DatabaseRefused, connect
from openvenue.reasons import reason_of
from openvenue.settings import Settings

_ATTEMPT_TIMEOUT_S = 10.0
_ATTEMPT_INTERVAL_S = 0.5
_REPORT_INTERVAL_S = 5.0

# It is starting or stopping, has no free connection, or left in the middle of a greeting.
_NOT_YET = (
    OSError,
    asyncpg.CannotConnectNowError,
    asyncpg.PostgresConnectionError,
    asyncpg.TooManyConnectionsError,
    *BROKEN_CONNECTION,
)

app = typer.Typer(add_completion=False)


@app.command()
def migrate(
    data_dir: DataDirOption = DATA_DIR_DEFAULT,
    wait_s: Annotated[
        float,
        typer.Option("--wait-s", min=0, help="How long to wait for a database to answer, seconds."),
    ] = 300.0,
    as_json: JsonOption = False,
) -> None:
    """Migrate the database to the schema that this version needs.

    A schema that a newer version made also works, and is left as it is.
    """
    settings = venue_settings(data_dir)
    asyncio.run(_wait_for_database(settings, wait_s, _say))
    try:
        done = schema.bring_up_to_date(settings)
    except (MigrationError, RuntimeError, *DATABASE_ERRORS) as error:
        raise CommandError(f"the database cannot be migrated: {reason_of(error)}") from error
    print_record(
        {
            "schema_before": done.before,
            "schema": done.after,
            "outcome": _outcome(done),
        },
        as_json=as_json,
    )


def _outcome(done: schema.Migrated) -> str:
    if done.newer:
        return "left as it is: a newer version made it, and it serves this one"
    return "nothing to do" if done.before == done.after else "migrated"


async def _wait_for_database(
    settings: Settings, wait_s: float, report: Callable[[str], None]
) -> None:
    """Return once the database answers. Raises CommandError if it never will, or not in time."""
    url = settings.database_url.get_secret_value()
    started_at = time.monotonic()
    report_at = started_at
    while True:
        try:
            connection = await connect(url, "openvenue-migration", timeout_s=_ATTEMPT_TIMEOUT_S)
        except DatabaseRefused as error:
            raise CommandError(str(error)) from error
        except _NOT_YET as error:
            reason = reason_of(error)
        except asyncpg.PostgresError as error:
            raise CommandError(f"the database refuses the connection: {error}") from error
        else:
            await connection.close()
            return
        now = time.monotonic()
        if now - started_at >= wait_s:
            raise CommandError(f"the database did not answer within {wait_s:g} s: {reason}")
        if now >= report_at:
            report(f"waiting for the database, {now - started_at:.0f} of {wait_s:g} s: {reason}")
            report_at = now + _REPORT_INTERVAL_S
        await asyncio.sleep(min(_ATTEMPT_INTERVAL_S, started_at + wait_s - now))


def _say(sentence: str) -> None:
    errors.print(sentence, markup=False, highlight=False, soft_wrap=True)
