"""`openvenue up`: a whole venue on this machine, until Ctrl-C."""

import asyncio
import shlex
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from openvenue.cli.connection import DATA_DIR_DEFAULT, DataDirOption
from openvenue.cli.engine_binary import EngineBinaryOption, find_engine_binary
from openvenue.cli.local import market_day
from openvenue.cli.local.data_dir import DataDir
from openvenue.cli.local.demo import PRICES
from openvenue.cli.local.market_day import MarketDay
from openvenue.cli.local.plain_path import plain_path
from openvenue.cli.local.ports import held_ports
from openvenue.cli.local.venue import LocalVenue, Plan, venue_up
from openvenue.commands import CommandError, console

app = typer.Typer(add_completion=False)

_METRICS_PORT = 7071
# Seconds that the API of a killed venue may take to drain.
_PORTS_RELEASED_S = 30.0


@app.command()
def up(
    context: typer.Context,
    data_dir: DataDirOption = DATA_DIR_DEFAULT,
    database_url: Annotated[
        str | None,
        typer.Option(
            envvar="OPENVENUE_DATABASE_URL",
            help="postgresql://… of a database of your own; default: an embedded "
            "PostgreSQL in the data directory.",
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="API worker processes.")] = 2,
    port: Annotated[
        int,
        typer.Option(
            min=0,
            max=65_532,
            help="Of the REST API; the next serves its probes and metrics, the one after that the "
            "streams, and the one after that --admin. 0: any free ones.",
        ),
    ] = 8000,
    engine_port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65_531,
            help="TCP port of the engine's gRPC server, open to every user of this machine; 0: any "
            "free one. Default: a socket in the data directory that only you can open.",
        ),
    ] = None,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65_532,
            help="Of the engine's metrics; the next three are those of projector, stream and "
            "market. 0: any free ones. Default: the four behind --engine-port, or 7071.",
        ),
    ] = None,
    demo: Annotated[
        bool, typer.Option(help="Define instruments and open accounts with keys to trade with.")
    ] = True,
    market: Annotated[
        bool,
        typer.Option(
            "--market",
            help="Let resident traders keep the demo instruments' books quoted and trading.",
        ),
    ] = False,
    market_day: market_day.FileOption = None,
    market_day_symbol: market_day.SymbolOption = None,
    market_day_speed: market_day.SpeedOption = 1.0,
    admin: Annotated[
        bool,
        typer.Option(
            "--admin", help="Serve the administration over HTTP, to who has the venue's token."
        ),
    ] = False,
    quotes: Annotated[
        bool | None,
        typer.Option(
            help="Keep a history of quotes, which fills most of the disk. Default: "
            "OPENVENUE_QUOTES_HISTORY, or yes.",
        ),
    ] = None,
    engine_binary: EngineBinaryOption = None,
) -> None:
    """Start a venue: database, engine, projector, API, stream. Ctrl-C stops it; its data stays."""
    if not market and _on_command_line(context, "market_day"):
        raise CommandError("--market-day is replayed by the market: give --market too")
    day = None
    if market:
        day = MarketDay.chosen(market_day, market_day_symbol, market_day_speed, PRICES)
    directory = DataDir(data_dir.absolute())
    directory.create()
    if engine_port is None and metrics_port is None:
        metrics_port = _METRICS_PORT
    engine = find_engine_binary(engine_binary).absolute()
    with directory.lock() as was_killed:
        patience_s = _PORTS_RELEASED_S if was_killed else 0
        with held_ports(
            port, engine_port, metrics_port, with_admin=admin, patience_s=patience_s
        ) as ports:
            plan = Plan(
                data_dir=directory,
                plain_dir=DataDir(plain_path(directory.path)),
                database_url=database_url,
                workers=workers,
                ports=ports,
                engine_binary=engine,
                with_demo=demo,
                with_market=market,
                quotes_history=quotes,
                market_day=day,
            )
            asyncio.run(_run(plan))


def _on_command_line(context: typer.Context, parameter: str) -> bool:
    """True if the parameter is not from the environment, where it may be for another command."""
    source = context.get_parameter_source(parameter)
    return source is not None and source.name == "COMMANDLINE"


async def _run(plan: Plan) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    venue = asyncio.ensure_future(_supervise(plan))
    stop = asyncio.ensure_future(stopped.wait())
    await asyncio.wait((venue, stop), return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    venue.cancel()
    try:
        await venue
    except asyncio.CancelledError:
        console.print(f"The venue is down; its data stays in {plan.data_dir.path}.")


async def _supervise(plan: Plan) -> None:
    async with venue_up(plan, _report) as venue:
        _welcome(plan, venue)
        await venue.supervise(_report)


def _report(message: str) -> None:
    console.print(f"[dim]·[/dim] {message}")


def _welcome(plan: Plan, venue: LocalVenue) -> None:
    url = venue.running.api_url
    # By path, because another terminal may not have this environment's programs on its PATH.
    command = shlex.quote(str(Path(sys.executable).with_name("openvenue")))
    data_dir = shlex.quote(str(plan.data_dir.path))
    console.print("\n[bold]The venue is up.[/bold]")
    lines = [
        f"  REST API   {url}  (documentation: {url}/docs)",
        f"  streams    {venue.running.stream_url}/stream and, of market data, /v2/iex",
        f"  logs       {plan.data_dir.path / 'logs'}",
    ]
    if venue.running.admin_url is not None:
        lines.append(
            f"  admin      {venue.running.admin_url}  (token: {plan.data_dir.admin_token_file})"
        )
    if venue.demo_keys:
        accounts = ", ".join(key.account for key in venue.demo_keys)
        lines += [
            f"  keys       {plan.data_dir.keys_file}  ({accounts})",
            "",
            "A first order, from another terminal:",
            f'  eval "$({command} keys env --data-dir {data_dir})"',
            f"  curl -s {url}/v2/orders \\",
            '    -H "APCA-API-KEY-ID: $APCA_API_KEY_ID" \\',
            '    -H "APCA-API-SECRET-KEY: $APCA_API_SECRET_KEY" \\',
            "    -d '" + _FIRST_ORDER + "'",
            "",
            "A day of orders:",
            f"  {command} replay --synthetic --data-dir {data_dir}",
        ]
    lines += ["", "Ctrl-C stops the venue; its data stays."]
    console.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)


_FIRST_ORDER = (
    '{"symbol": "AAPL", "side": "buy", "type": "limit", "time_in_force": "day", '
    '"qty": "10", "limit_price": "585.00"}'
)
