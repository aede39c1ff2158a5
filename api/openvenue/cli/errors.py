"""Failures of commands: a sentence that says what to do next, never a traceback."""


class CommandError(Exception):
    """Ends the command with this message on stderr and exit code 1."""
