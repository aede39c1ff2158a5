"""`openvenue plan`: the operator's plan for a Venue, by the same code, offline."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer
from openvenue.commands import CommandError, errors

from openvenue_operator.model import Situation
from openvenue_operator.offline import cold_start, plan_of, render, sums_in_words
from openvenue_operator.spec import VenueSpec
from openvenue_operator.status import plan_status
from openvenue_operator.venue_file import BadVenue, read_spec

STDIN = Path("-")

app = typer.Typer(add_completion=False)


@app.command()
def plan(
    file: Annotated[
        Path | None,
        typer.Option("--file", "-f", help="Manifest with the Venue; - reads standard input."),
    ] = None,
    situation: Annotated[
        Path | None,
        typer.Option(
            help="What an operator saw, from its /venues/NAMESPACE/NAME; -f replaces its spec."
        ),
    ] = None,
    max_connections: Annotated[
        int,
        typer.Option(min=1, help="The database's max_connections, where there is no situation."),
    ] = 100,
    reserved_connections: Annotated[
        int, typer.Option(min=0, help="Of these, those that it keeps for superusers.")
    ] = 3,
) -> None:
    """Print what the operator would write into a Venue's status.plan.

    From a situation, it is the plan for the load at that time. Without one, nothing runs yet: it is
    the plan for the chart's Deployment before its first pod.
    """
    spec = None if file is None else _spec(file)
    if situation is not None:
        seen = _situation(situation)
        seen = seen if spec is None else seen.replace(spec=spec)
    elif spec is not None:
        seen = cold_start(spec, max_connections, reserved_connections)
    else:
        raise CommandError("nothing to plan: name a manifest with -f, or a --situation")
    planned = plan_of(seen)
    status = plan_status(planned, seen.now)
    typer.echo(render(status if situation else status.replace(made_at=None)), nl=False)
    for sentence in sums_in_words(seen, planned):
        errors.print(sentence, markup=False, highlight=False, soft_wrap=True)


def _spec(file: Path) -> VenueSpec:
    try:
        return read_spec(_read(file))
    except BadVenue as error:
        raise CommandError(f"{file}: {error}") from error


def _situation(file: Path) -> Situation:
    try:
        return msgspec.json.decode(_read(file), type=Situation)
    except msgspec.MsgspecError as error:
        raise CommandError(f"{file} is no situation that an operator served: {error}") from error


def _read(file: Path) -> str:
    try:
        return typer.get_text_stream("stdin").read() if file == STDIN else file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{file} cannot be read: {error}") from error
