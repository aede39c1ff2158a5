"""Finds `openvenue-engine`, and runs its commands."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from openvenue.commands import CommandError

ENVIRONMENT_VARIABLE = "OPENVENUE_ENGINE_BINARY"

EngineBinaryOption = Annotated[
    Path | None,
    typer.Option(
        "--engine-binary",
        envvar=ENVIRONMENT_VARIABLE,
        help="openvenue-engine; default: the one on the PATH, or the one built in this checkout.",
    ),
]


def find_engine_binary(given: Path | None) -> Path:
    """Return the path of the engine's binary. Raises CommandError if there is none."""
    if given is not None:
        if not os.access(given, os.X_OK):
            raise CommandError(f"{given} is not a program: give --engine-binary another path")
        return given
    installed = shutil.which("openvenue-engine")
    if installed is not None:
        return Path(installed)
    root = Path(__file__).resolve().parents[3]
    built = root / "build" / "release" / "engine" / "openvenue-engine"
    if os.access(built, os.X_OK):
        return built
    raise CommandError(
        "openvenue-engine is not here: build it with `make engine`, or name it with "
        f"--engine-binary or {ENVIRONMENT_VARIABLE}"
    )


def run_engine(binary: Path, arguments: Sequence[str]) -> NoReturn:
    """Replace this process by the engine's, so that output, signals and exit code are its own."""
    os.execv(binary, [str(binary), *arguments])  # noqa: S606
