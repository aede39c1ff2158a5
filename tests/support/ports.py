"""Free ports for servers of the tests that cannot be told to take any."""

import socket

# Bound and never listened on: the kernel gives these ports to nobody else, while a server that asks
# for SO_REUSEADDR, as all do, can listen on them.
_held: list[socket.socket] = []


def free_port() -> int:
    """Return a port that is free until this process ends."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    _held.append(held)
    return int(held.getsockname()[1])
