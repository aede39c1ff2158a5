"""Number of examples of a property test: few on each run, many in the soak."""

import os

_TIMES = int(os.environ.get("OPENVENUE_EXAMPLES", "1"))


def examples(count: int) -> int:
    """Return `count`, or OPENVENUE_EXAMPLES times as many."""
    return count * _TIMES
