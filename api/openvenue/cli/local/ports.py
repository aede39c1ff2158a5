"""Which ports a venue on one machine listens on, and whether they are free."""

import socket
from dataclasses import dataclass

from openvenue.cli.errors import CommandError

_HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Ports:
    api: int
    operations: int
    engine: int
    engine_metrics: int
    projector_metrics: int


def choose_ports(api: int, engine: int) -> Ports:
    """The wanted ports, 0 meaning any free one; those of probes and metrics follow.

    Raises CommandError where another program listens on one of them.
    """
    of_api = (api, api + 1) if api else (0, 0)
    of_engine = (engine, engine + 1, engine + 2) if engine else (0, 0, 0)
    wanted = (*of_api, *of_engine)
    options = ("--port", "--port", "--engine-port", "--engine-port", "--engine-port")
    # All sockets stay open until each has its port, so that no two get the same.
    sockets: list[socket.socket] = []
    try:
        for port, option in zip(wanted, options, strict=True):
            sockets.append(_bind(port, option))
        return Ports(*(int(bound.getsockname()[1]) for bound in sockets))
    finally:
        for bound in sockets:
            bound.close()


def _bind(port: int, option: str) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((_HOST, port))
    except OSError as error:
        bound.close()
        raise CommandError(
            f"port {port} is taken by another program ({error.strerror}): choose another with "
            f"{option}"
        ) from error
    return bound
