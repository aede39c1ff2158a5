"""`openvenue audit` and `openvenue orders`: who did what, from the journal."""

import asyncio
from typing import Annotated, Any

import typer

from openvenue.admin.documents import shown
from openvenue.admin.journal import PAGE_MAX, AuditEntry, OrderStory, StoryEntry, audit, order_story
from openvenue.cli.connection import DATA_DIR_DEFAULT, DataDirOption, administration, venue_settings
from openvenue.commands import JsonOption, console, print_record, print_rows

audit_app = typer.Typer(add_completion=False)
orders_app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Tell what happened to an order."
)


@orders_app.callback()
def _group() -> None:
    """Keep `story` a command of its own, although it is the only one."""


@audit_app.command("audit")
def list_commands(
    limit: Annotated[int, typer.Option(min=1, max=PAGE_MAX, help="At most so many.")] = 50,
    before: Annotated[
        int | None, typer.Option(min=1, help="Only journal entries before this number.")
    ] = None,
    administrator: Annotated[
        str | None, typer.Option("--by", help="Only with the token of this name.")
    ] = None,
    account_id: Annotated[
        int | None, typer.Option("--account", min=1, help="Only on this account.")
    ] = None,
    data_dir: DataDirOption = DATA_DIR_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """List what administrators did, the newest first."""

    async def run() -> list[AuditEntry]:
        settings = venue_settings(data_dir)
        found: list[AuditEntry] = []
        end = before
        async with administration(settings) as admin:
            while len(found) < limit:
                page = await audit(
                    admin,
                    settings,
                    before=end,
                    limit=limit - len(found),
                    administrator=administrator,
                    account_id=account_id,
                )
                found += page.commands
                if page.next_before is None:
                    break
                end = page.next_before
        return found

    rows = [shown(entry) for entry in asyncio.run(run())]
    if not as_json:
        rows = [{**row, "details": _line(row["details"])} for row in rows]
    print_rows(rows, as_json=as_json, empty="No administrative commands.")


@orders_app.command()
def story(
    order_id: Annotated[str, typer.Argument(help="Id of the order, or its number.")],
    data_dir: DataDirOption = DATA_DIR_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Tell an order's story: each command about it, who gave it, and what it did."""

    async def run() -> OrderStory:
        settings = venue_settings(data_dir)
        async with administration(settings) as admin:
            whole = await order_story(admin, settings, order_id)
            while whole.next_after is not None and not whole.ended:
                page = await order_story(admin, settings, order_id, after=whole.next_after)
                whole.entries += page.entries
                whole.ended = page.ended
                whole.scanned_to, whole.next_after = page.scanned_to, page.next_after
        return whole

    told = asyncio.run(run())
    if as_json:
        print_record(shown(told), as_json=True)
        return
    record = shown(told)
    del record["entries"]
    print_record(record, as_json=False)
    for entry in told.entries:
        console.print(_lines(entry), markup=False, highlight=False, soft_wrap=True)


def _lines(entry: StoryEntry) -> str:
    """Return a command and its events, a line each."""
    by = entry.administrator or (
        "the engine" if entry.account_id is None else f"account {entry.account_id}"
    )
    lines = [f"\n{entry.sequence}  {entry.at}  {by}: {entry.command} {_line(entry.details)}"]
    for event in entry.events:
        fields = shown(event)
        lines.append(f"    {fields.pop('event')} {_line(fields)}")
    return "\n".join(line.rstrip() for line in lines)


def _line(fields: dict[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in fields.items() if value is not None)
