"""Runs `openvenue` commands, each in a process of its own that has imported everything already.

Imports are most of what a command costs. This process reads a command in a line of JSON
(`arguments`, `variables`, and the files `output` and `errors`), forks, and writes the exit code in
a line. It ends with its standard input.
"""

import importlib
import json
import os
import pkgutil
import sys
from typing import Any

from openvenue import cli, commands
from openvenue.cli.main import app


def become(command: dict[str, Any]) -> None:
    """Run a command in this process, which ends with it."""
    for descriptor, name in ((1, "output"), (2, "errors")):
        os.dup2(os.open(command[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.clear()
    os.environ.update(command["variables"])
    # The consoles have the width that this process began with.
    for console in (commands.console, commands.errors):
        console.width = int(os.environ["COLUMNS"])
    sys.argv = ["openvenue", *command["arguments"]]
    app()


def serve() -> None:
    """Serve until there is nothing more to read."""
    for module in pkgutil.walk_packages(cli.__path__, "openvenue.cli."):
        importlib.import_module(module.name)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            become(json.loads(line))
            return
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    serve()
