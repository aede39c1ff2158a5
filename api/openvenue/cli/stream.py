"""`openvenue stream`: order updates and market data over WebSockets."""

import typer

from openvenue.stream import __main__ as process

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Send order updates and market data over WebSockets.",
)


@app.callback()
def _group() -> None:
    """Keep `run` a command of its own, although it is the only one."""


@app.command()
def run() -> None:
    """Serve without end; `openvenue up` does this already. Settings come from OPENVENUE_…"""
    process.main()
