"""Ports of a venue on one machine, and whether they are free."""

import socket
import time
from dataclasses import dataclass

from openvenue.commands import CommandError

_HOST = "127.0.0.1"
_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Ports:
    api: int
    operations: int
    stream: int
    admin: int | None  # None: no administration over HTTP
    engine: int | None  # None: the engine listens on a socket in the file system
    engine_metrics: int
    projector_metrics: int
    stream_metrics: int
    market_metrics: int


def choose_ports(
    api: int,
    engine: int | None,
    metrics: int | None = None,
    *,
    with_admin: bool = False,
    patience_s: float = 0,
) -> Ports:
    """Return the wanted ports, 0 meaning any free one.

    After `api` come its probes, the streams and, where it is wanted, the administration; after
    `metrics`, which is the engine's and by default the port after the engine's own, come those of
    projector, stream and market.
    Raises CommandError if another program listens on one of them for `patience_s`.
    """
    if metrics is None:
        metrics = engine + 1 if engine else 0
    wanted = {"--port": _run(api, 4 if with_admin else 3)}
    wanted["--engine-port"] = [] if engine is None else [engine]
    wanted["--metrics-port"] = _run(metrics, 4)
    deadline = time.monotonic() + patience_s
    # All sockets stay open until each has its port, so that no two get the same one.
    sockets: list[socket.socket] = []
    try:
        for option, ports in wanted.items():
            sockets.extend(_bind(port, option, deadline) for port in ports)
        bound = [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()
    bound_ports = iter(bound)
    return Ports(
        api=next(bound_ports),
        operations=next(bound_ports),
        stream=next(bound_ports),
        admin=next(bound_ports) if with_admin else None,
        engine=None if engine is None else next(bound_ports),
        engine_metrics=next(bound_ports),
        projector_metrics=next(bound_ports),
        stream_metrics=next(bound_ports),
        market_metrics=next(bound_ports),
    )


def _run(first: int, count: int) -> list[int]:
    """Return ports that follow each other; 0: free ones."""
    return list(range(first, first + count)) if first else [0] * count


def _bind(port: int, option: str, deadline: float) -> socket.socket:
    while True:
        bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((_HOST, port))
        except OSError as error:
            bound.close()
            if time.monotonic() < deadline:
                time.sleep(_POLL_S)
                continue
            raise CommandError(
                f"port {port} is taken by another program ({error.strerror}): choose another with "
                f"{option}"
            ) from error
        return bound
