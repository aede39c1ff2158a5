"""Where a worker runs: what its supervisor hands to it at the start."""

import ctypes
import socket
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Place:
    """What a worker shares with the others, and what is its own."""

    listener: socket.socket
    ever_ready: ctypes.c_bool
    """True once a worker was ready: from then on clients may connect."""
    metrics_dir: Path
    slot: int
    connections_max: int
    patience_s: float
    """How long it may wait until it can serve before it takes connections."""
