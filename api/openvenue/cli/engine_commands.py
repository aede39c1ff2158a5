"""Commands that `openvenue-engine` executes: journals and benchmarks."""

import typer

from openvenue.cli.connection import DATA_DIR_DEFAULT, DataDirOption
from openvenue.cli.engine_binary import EngineBinaryOption, find_engine_binary, run_engine
from openvenue.cli.local.data_dir import DataDir

_PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True}

journal = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Read, archive and restore a journal, whether its engine runs or not.",
)
bench = typer.Typer(add_completion=False, no_args_is_help=True, help="Measure the engine.")


@journal.command("verify", context_settings=_PASS_ON)
def verify(
    context: typer.Context,
    data_dir: DataDirOption = DATA_DIR_DEFAULT,
    engine_binary: EngineBinaryOption = None,
) -> None:
    """Check every frame and replay every entry; exit code 1 on damage.

    Usage: openvenue journal verify [DIRECTORY] [--shard ID] [--json]
    """
    _journal("verify", context.args, data_dir, engine_binary)


@journal.command("dump", context_settings=_PASS_ON)
def dump(
    context: typer.Context,
    data_dir: DataDirOption = DATA_DIR_DEFAULT,
    engine_binary: EngineBinaryOption = None,
) -> None:
    """Print entries, one JSON object per line.

    Usage: openvenue journal dump [DIRECTORY] [--shard ID] [--from SEQUENCE] [--limit N]
    """
    _journal("dump", context.args, data_dir, engine_binary)


@journal.command("stats", context_settings=_PASS_ON)
def stats(
    context: typer.Context,
    data_dir: DataDirOption = DATA_DIR_DEFAULT,
    engine_binary: EngineBinaryOption = None,
) -> None:
    """Count commands, events, frames and bytes.

    Usage: openvenue journal stats [DIRECTORY] [--shard ID] [--json]
    """
    _journal("stats", context.args, data_dir, engine_binary)


@journal.command("archive", context_settings=_PASS_ON)
def archive(
    context: typer.Context,
    data_dir: DataDirOption = DATA_DIR_DEFAULT,
    engine_binary: EngineBinaryOption = None,
) -> None:
    """Put all segments but the last two into an archive as well; the engine may run.

    Usage: openvenue journal archive [DIRECTORY] --archive-dir ARCHIVE [--shard ID] [--json]
    """
    _journal("archive", context.args, data_dir, engine_binary)


@journal.command("restore", context_settings=_PASS_ON)
def restore(
    context: typer.Context,
    data_dir: DataDirOption = DATA_DIR_DEFAULT,
    engine_binary: EngineBinaryOption = None,
) -> None:
    """Make a journal of all that archive and journal hold, up to a moment, and verify it.

    Usage: openvenue journal restore [DIRECTORY] --to NEW [--archive-dir ARCHIVE]
    [--until SEQUENCE|TIME] [--shard ID] [--json]

    TIME is in UTC, as in 2026-12-01T16:30:00Z. NEW is made, or is empty. The engine may run.
    """
    _journal("restore", context.args, data_dir, engine_binary)


@bench.command("book", context_settings=_PASS_ON)
def book(
    context: typer.Context,
    engine_binary: EngineBinaryOption = None,
) -> None:
    """Drive one instrument's book with a file of messages.

    Usage: openvenue bench book --messages FILE [--reports OUT] [--book fast|naive] [--json]
    """
    run_engine(find_engine_binary(engine_binary), ["bench-book", *context.args])


# The engine has the options of these two, so show its help.
@bench.command("exchange", context_settings=_PASS_ON, add_help_option=False)
def exchange(
    context: typer.Context,
    engine_binary: EngineBinaryOption = None,
) -> None:
    """Time the state machine: risk, accounts and books, without journal."""
    run_engine(find_engine_binary(engine_binary), ["bench-exchange", *context.args])


@bench.command("rpc", context_settings=_PASS_ON, add_help_option=False)
def rpc(
    context: typer.Context,
    engine_binary: EngineBinaryOption = None,
) -> None:
    """Load an engine through gRPC, and an empty echo server for comparison."""
    run_engine(find_engine_binary(engine_binary), ["bench-rpc", *context.args])


def _journal(
    command: str,
    arguments: list[str],
    data_dir: DataDirOption,
    engine_binary: EngineBinaryOption,
) -> None:
    """Run a journal command, on the venue's own journal unless a directory is named first."""
    directory = (
        []
        if arguments[:1] and not arguments[0].startswith("-")
        else [str(DataDir(data_dir).engine)]
    )
    run_engine(find_engine_binary(engine_binary), ["journal", command, *directory, *arguments])
