"""Output of all commands: tables for a reader, JSON for a program, a sentence for a failure.

Packages that add a command (entry points of the group `openvenue.commands`) use this too.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

console = Console()
errors = Console(stderr=True)

JsonOption = Annotated[bool, typer.Option("--json", help="Answer with JSON instead of a table.")]


class CommandError(Exception):
    """Ends the command with this message on stderr and exit code 1. Say what to do next."""


def print_json(data: Any) -> None:
    typer.echo(json.dumps(data, indent=2, default=str))


def print_rows(rows: Sequence[dict[str, Any]], *, as_json: bool, empty: str) -> None:
    """Print rows with equal keys; `empty` is the sentence for no rows."""
    if as_json:
        print_json(rows)
    elif not rows:
        console.print(empty)
    else:
        console.print(_table(rows[0].keys(), (row.values() for row in rows)))


def print_record(record: dict[str, Any], *, as_json: bool) -> None:
    """Print one record, a line per field."""
    if as_json:
        print_json(record)
        return
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for key, value in record.items():
        table.add_row(_heading(key), _cell(value))
    console.print(table)


def _table(keys: Iterable[str], rows: Iterable[Iterable[Any]]) -> Table:
    table = Table()
    for key in keys:
        table.add_column(_heading(key))
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    return table


def _heading(key: str) -> str:
    return key.replace("_", " ")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        value = ", ".join(str(part) for part in value)
    # Names and labels come from users: show markup in them as text.
    return escape(str(value))
