"""`openvenue replay`: real or generated order flow through the public REST API."""

import asyncio
import json
import secrets
import signal
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from rich.live import Live

from openvenue.cli.connection import DATA_DIR_DEFAULT, DataDirOption, running_venue
from openvenue.cli.local.data_dir import DataDir
from openvenue.commands import CommandError, JsonOption, console, errors, print_json
from openvenue.replay import lobster
from openvenue.replay.display import line, view
from openvenue.replay.execute import Executor, Scale, clear_symbol
from openvenue.replay.lines import MalformedFile
from openvenue.replay.plan import Planner
from openvenue.replay.session import WINDOW_DEFAULT, Part, day_parts, flow_parts
from openvenue.replay.session import replay as carry_out
from openvenue.replay.summary import as_data, as_tables
from openvenue.replay.synthetic import SyntheticDay
from openvenue.replay.tally import Tally
from openvenue.replay.venue import Credentials, Refused, Venue, VenueUnavailable

_FRAME_INTERVAL_S = 0.25
_LINE_INTERVAL_S = 2.0

# A shell reports this status for a command that SIGINT ended.
_EXIT_INTERRUPTED = 128 + signal.SIGINT

# LOBSTER's integers are 1e-4 dollars and whole shares; generated flow uses cents and shares.
_LOBSTER_SCALE = Scale(price_nanos=100_000, qty_nanos=1_000_000_000)
_SYNTHETIC_SCALE = Scale(price_nanos=10_000_000, qty_nanos=1_000_000_000)
_SYNTHETIC_MID_TICKS = 22_500
_SYNTHETIC_SYMBOL = "AMZN"


app = typer.Typer(add_completion=False)


@dataclass(frozen=True, slots=True)
class _Job:
    symbol: str
    scale: Scale
    parts: Iterator[Part]
    total: int  # parts
    notes: tuple[str, ...] = ()


@app.command()
def replay(
    file: Annotated[
        Path | None, typer.Argument(exists=True, dir_okay=False, help="A LOBSTER message file.")
    ] = None,
    format_: Annotated[
        str, typer.Option("--format", help="What the file is; lobster is what there is.")
    ] = "lobster",
    orderbook: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="Its orderbook file; default: the one beside it that LOBSTER's naming gives.",
        ),
    ] = None,
    synthetic: Annotated[
        bool, typer.Option("--synthetic", help="Generate the flow instead of reading a file.")
    ] = False,
    orders: Annotated[
        int, typer.Option(min=1, max=10_000_000, help="Length of a generated flow.")
    ] = 20_000,
    seed: Annotated[int, typer.Option(help="Of a generated flow.")] = 1,
    symbol: Annotated[
        str | None, typer.Option(help="Where to trade; default: the file's ticker, or AMZN.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Replay only so many messages of the file.")
    ] = None,
    corrections: Annotated[
        bool,
        typer.Option(
            help="Seed and cancel what the file shows without announcing it; without, the "
            "messages are replayed as they are."
        ),
    ] = True,
    window: Annotated[
        int, typer.Option(min=1, max=1024, help="Requests under way at once.")
    ] = WINDOW_DEFAULT,
    url: Annotated[
        str | None, typer.Option(help="The venue's URL; default: the one up in the data directory.")
    ] = None,
    keys: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="Keys to trade with; default: the data directory's."
        ),
    ] = None,
    data_dir: DataDirOption = DATA_DIR_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Replay a real day (LOBSTER) or a generated one, and compare the venue with it."""
    tally = Tally()
    if synthetic == (file is not None):
        raise CommandError("name a LOBSTER message file, or ask for --synthetic")
    if file is not None:
        if format_ != "lobster":
            raise CommandError(f"--format {format_} is not known; lobster is")
        job = _lobster_job(file, orderbook, symbol, limit, corrections, tally)
    else:
        job = _synthetic_job(symbol or _SYNTHETIC_SYMBOL, orders, seed, tally)
    address = url or running_venue(data_dir).api_url
    credentials = _credentials(keys, data_dir)
    venue = Venue(address, credentials, connections_max=window, on_wait=_say)
    try:
        finished = uvloop.run(_run(job, venue, tally, window, show=not as_json))
    except VenueUnavailable as error:
        raise CommandError(str(error)) from error
    except Refused as error:
        raise CommandError(f"the venue at {address} refused: {error.status} {error}") from error
    _report(job, tally, venue, finished=finished, as_json=as_json)
    if not finished:
        raise typer.Exit(_EXIT_INTERRUPTED)


def _say(sentence: str) -> None:
    """Tell a reader, apart from the output of `--json` or a table."""
    errors.print(sentence, markup=False, highlight=False, soft_wrap=True)


def _report(job: _Job, tally: Tally, venue: Venue, *, finished: bool, as_json: bool) -> None:
    data = as_data(tally, venue.latencies_s, venue.retries)
    if as_json:
        print_json({"symbol": job.symbol, "interrupted": not finished, "notes": job.notes, **data})
        return
    title = f"Replay of {job.symbol}" if finished else f"Replay of {job.symbol}, interrupted"
    console.print(as_tables(title, tally, venue.latencies_s, venue.retries))
    for note in job.notes:
        console.print(f"note: {note}", markup=False, highlight=False, soft_wrap=True)


async def _run(job: _Job, venue: Venue, tally: Tally, window: int, *, show: bool) -> bool:
    """Return True if the replay ended by itself; False if SIGINT (Ctrl-C) ended it."""
    replaying = asyncio.ensure_future(_replay(job, venue, tally, window, show=show))
    # Set here, because a shell starts background commands with SIGINT ignored.
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, replaying.cancel)
    try:
        await replaying
    except asyncio.CancelledError:
        return False
    finally:
        tally.finish()
    return True


async def _replay(job: _Job, venue: Venue, tally: Tally, window: int, *, show: bool) -> None:
    async with venue:
        await _prepare(venue, job.symbol)
        executor = Executor(venue, job.symbol, job.scale, f"replay-{secrets.token_hex(4)}")
        tally.start()
        counted = carry_out(job.parts, executor, window)
        if not show:
            async for _ in counted:
                pass
        elif console.is_terminal:
            await _watch(job, venue, tally, counted)
        else:
            await _tell(job, venue, tally, counted)


async def _watch(job: _Job, venue: Venue, tally: Tally, counted: AsyncIterator[None]) -> None:
    """Show the replay's progress while it runs."""
    shown_s = 0.0
    done = 0
    with Live(console=console, auto_refresh=False, transient=True) as live:
        async for _ in counted:
            done += 1
            if time.monotonic() - shown_s > _FRAME_INTERVAL_S:
                shown_s = time.monotonic()
                frame = view(job.symbol, tally, venue.latencies_s, job.scale, done, job.total)
                live.update(frame, refresh=True)


async def _tell(job: _Job, venue: Venue, tally: Tally, counted: AsyncIterator[None]) -> None:
    """Report the replay's progress in lines, for a log or a pipe."""
    told_s = time.monotonic()
    done = 0
    async for _ in counted:
        done += 1
        if time.monotonic() - told_s > _LINE_INTERVAL_S:
            told_s = time.monotonic()
            _say(line(job.symbol, tally, venue.latencies_s, done, job.total))


async def _prepare(venue: Venue, symbol: str) -> None:
    """Make sure that the instrument is tradable and its book empty."""
    try:
        asset = await venue.asset(symbol)
    except Refused as error:
        if error.status == 404:
            raise CommandError(
                f"the venue does not trade {symbol}: replay the file in an instrument that it "
                "trades, for example --symbol AAPL, or define it with `openvenue instruments "
                f"define {symbol}` and give every account shares with `openvenue accounts position "
                f"ACCOUNT {symbol} 1000000`"
            ) from error
        raise
    if asset.status != "active":
        raise CommandError(f"{symbol} is not active; trade another with --symbol")
    await clear_symbol(venue, symbol)
    book = await venue.book(symbol, 1)
    if book.bids or book.asks:
        raise CommandError(
            f"other accounts have orders in {symbol}, so its book would not be the file's: cancel "
            "them, or trade another instrument with --symbol"
        )


def _lobster_job(
    file: Path,
    orderbook: Path | None,
    symbol: str | None,
    limit: int | None,
    corrections: bool,
    tally: Tally,
) -> _Job:
    ticker = symbol or lobster.symbol_of(file)
    if ticker is None:
        raise CommandError(f"{file.name} does not start with a ticker: name one with --symbol")
    try:
        day = lobster.read_day(file, orderbook or lobster.find_orderbook(file), limit)
    except MalformedFile as error:
        raise CommandError(str(error)) from error
    if not day.messages:
        raise CommandError(f"{file} has no messages")
    planner = Planner(day, correct=corrections)
    parts_a_message = 2 if day.rows and corrections else 1
    return _Job(
        ticker,
        _LOBSTER_SCALE,
        day_parts(planner, tally),
        len(day.messages) * parts_a_message,
        day.notes,
    )


def _synthetic_job(symbol: str, orders: int, seed: int, tally: Tally) -> _Job:
    day = SyntheticDay(orders, seed, _SYNTHETIC_MID_TICKS)
    return _Job(symbol, _SYNTHETIC_SCALE, flow_parts(day, tally), orders)


def _credentials(keys: Path | None, data_dir: Path) -> list[Credentials]:
    if keys is None:
        found = [
            Credentials(key.key_id, key.secret, key.account)
            for key in DataDir(data_dir).demo_keys()
        ]
        if not found:
            raise CommandError(
                f"no keys in {DataDir(data_dir).keys_file}: start with `openvenue up --demo`, or "
                "name a file with --keys"
            )
        return found
    try:
        entries = json.loads(keys.read_text())["keys"]
        if not entries:
            raise ValueError("it holds no key")
        return [Credentials(entry["key_id"], entry["secret"]) for entry in entries]
    except (ValueError, KeyError, TypeError) as error:
        raise CommandError(
            f'{keys} must be JSON like {{"keys": [{{"key_id": "…", "secret": "…"}}]}} ({error})'
        ) from error
