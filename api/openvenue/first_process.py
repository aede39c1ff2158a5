"""Makes SIGTERM end the first process of a container at any moment.

The kernel discards signals to a container's first process that it has no handler for. A process
that is still starting, or that never sets a handler, would run on until it is killed.
"""

import os
import signal
from types import FrameType

_FIRST_PROCESS = 1
STATUS = 128 + signal.SIGTERM
"""Exit status of a process that ended in this way, as a shell would report it."""


def end_at_sigterm() -> None:
    """End this process at SIGTERM, as the kernel ends any other, until it sets its own handler."""
    if os.getpid() == _FIRST_PROCESS and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _end)


def _end(_signal: int, _frame: FrameType | None) -> None:
    # Not by an exception, which the code being imported could swallow.
    os._exit(STATUS)
