"""Ports of a venue on one machine: found free, and held for its processes."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
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


@contextmanager
def held_ports(
    api: int,
    engine: int | None,
    metrics: int | None = None,
    *,
    with_admin: bool = False,
    patience_s: float = 0,
) -> Iterator[Ports]:
    """Hold the wanted ports, 0 meaning any free one.

    The venue's processes can listen on a held port: both sockets ask for SO_REUSEADDR, and this
    one does not listen. Meanwhile the kernel gives the port to nobody else, neither as a free one
    nor for a connection to another server.
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
    with ExitStack() as stack:
        held = [
            stack.enter_context(_bind(port, option, deadline))
            for option, ports in wanted.items()
            for port in ports
        ]
        numbers = (int(each.getsockname()[1]) for each in held)
        yield Ports(
            api=next(numbers),
            operations=next(numbers),
            stream=next(numbers),
            admin=next(numbers) if with_admin else None,
            engine=None if engine is None else next(numbers),
            engine_metrics=next(numbers),
            projector_metrics=next(numbers),
            stream_metrics=next(numbers),
            market_metrics=next(numbers),
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
