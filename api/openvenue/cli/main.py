"""The `openvenue` command: its subcommands and its failures."""

import os
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import typer
from pydantic import ValidationError
from typer.core import TyperGroup

from openvenue.commands import CommandError, errors
from openvenue.settings import describe_bad_settings

# No command forks while it uses gRPC, whose fork handlers only complain when PostgreSQL is stopped.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

# Command → module and attribute. A module is imported when its command is used: together they take
# seconds to import, alone a fraction.
_OWN = {
    "up": "openvenue.cli.up:app",
    "status": "openvenue.cli.status:status_app",
    "replay": "openvenue.cli.replay:app",
    "accounts": "openvenue.cli.accounts:app",
    "keys": "openvenue.cli.keys:app",
    "instruments": "openvenue.cli.instruments:app",
    "trading": "openvenue.cli.trading:app",
    "orders": "openvenue.cli.audit:orders_app",
    "audit": "openvenue.cli.audit:audit_app",
    "admin": "openvenue.cli.admin:app",
    "market": "openvenue.cli.market:app",
    "journal": "openvenue.cli.engine_commands:journal",
    "migrate": "openvenue.cli.migrate:app",
    "snapshot": "openvenue.cli.status:snapshot_app",
    "projector": "openvenue.cli.projector:app",
    "stream": "openvenue.cli.stream:app",
    "bench": "openvenue.cli.engine_commands:bench",
}


# Other installed packages add commands by entry points of this group; own names come first.
_GROUP = "openvenue.commands"


class _Commands(TyperGroup):
    def list_commands(self, ctx: Any) -> list[str]:
        added = entry_points(group=_GROUP).names
        return [*_OWN, *sorted(added - _OWN.keys())]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        entry = _entry(cmd_name)
        if entry is None:
            return None
        command = typer.main.get_command(entry.load())
        command.name = cmd_name
        return command


def _entry(name: str) -> EntryPoint | None:
    if place := _OWN.get(name):
        return EntryPoint(name, place, _GROUP)
    return next(iter(entry_points(group=_GROUP, name=name)), None)


class _App(typer.Typer):
    """Ends with a sentence: exit code 1 if a command fails, 2 for a bad setting."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().__call__(*args, **kwargs)
        except CommandError as error:
            errors.print(f"error: {error}", markup=False, highlight=False, soft_wrap=True)
            raise SystemExit(1) from None
        except ValidationError as error:
            sentence = f"error: {describe_bad_settings(error)}"
            errors.print(sentence, markup=False, highlight=False, soft_wrap=True)
            raise SystemExit(2) from None


app = _App(cls=_Commands, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def openvenue() -> None:
    """OpenVenue: a trading venue. `openvenue up` starts one on this machine."""


if __name__ == "__main__":
    app()
