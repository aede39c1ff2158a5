"""Lets SIGTERM end the first process of a container, whatever it is at.

The kernel keeps from the first process of a container every signal that it has no handler for. A
process that is still starting, or that never has a handler, would go on until it is killed.
"""

import os
import signal
from types import FrameType

_FIRST_PROCESS = 1
STATUS = 128 + signal.SIGTERM
"""Exit status of a process that was ended so, as a shell would tell it."""


def end_at_sigterm() -> None:
    """End this process at SIGTERM as any other would be, until it sets a handler of its own."""
    if os.getpid() == _FIRST_PROCESS and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _end)


def _end(_signal: int, _frame: FrameType | None) -> None:
    # Not by an exception, which whatever is being imported could swallow.
    os._exit(STATUS)
