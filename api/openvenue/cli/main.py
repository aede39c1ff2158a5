"""The `openvenue` command: what there is, and how it fails."""

from typing import Any

import typer

from openvenue.cli import accounts, engine_commands, instruments, keys, projector
from openvenue.cli.errors import CommandError
from openvenue.cli.output import errors
from openvenue.cli.replay import replay
from openvenue.cli.status import snapshot, status
from openvenue.cli.up import up


class _App(typer.Typer):
    """Ends with a sentence and exit code 1 where a command cannot do its work."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().__call__(*args, **kwargs)
        except CommandError as error:
            errors.print(f"error: {error}", markup=False, highlight=False, soft_wrap=True)
            raise SystemExit(1) from None


app = _App(
    no_args_is_help=True,
    help="OpenVenue: a trading venue. `openvenue up` brings one up on this machine.",
    pretty_exceptions_enable=False,
)
app.command()(up)
app.command()(status)
app.command()(replay)
app.command()(snapshot)
app.add_typer(accounts.app, name="accounts")
app.add_typer(keys.app, name="keys")
app.add_typer(instruments.app, name="instruments")
app.add_typer(engine_commands.journal, name="journal")
app.add_typer(projector.app, name="projector")
app.add_typer(engine_commands.bench, name="bench")

if __name__ == "__main__":
    app()
