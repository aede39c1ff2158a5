"""A worker's place: the objects that its supervisor gives it at the start."""

import ctypes
import socket
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Place:
    """Objects that a worker shares with the others, and its own."""

    listener: socket.socket
    ever_ready: ctypes.c_bool
    """True once a worker was ready: from then on clients may connect."""
    metrics_dir: Path
    slot: int
    connections_max: int
    patience_s: float
    """How long it may wait to be ready before it accepts connections anyway."""
