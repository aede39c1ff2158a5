"""How many examples a property is tried on: few on each run, many in the soak."""

import os

_TIMES = int(os.environ.get("OPENVENUE_EXAMPLES", "1"))


def examples(count: int) -> int:
    """Return `count`, or OPENVENUE_EXAMPLES times as many."""
    return count * _TIMES
