"""Runs the API: worker processes on one listening socket, their number changeable at run time.

The parent binds the socket, supervises the workers (`openvenue.serving.supervisor`) and answers
probes on a listener of its own. A worker that retires stops accepting, tells its clients to leave
with their next answer, and stops when they have gone: no request fails, because the socket stays
open in the others. When all stop, readiness fails first.
"""

if __name__ == "__main__":
    from openvenue.first_process import end_at_sigterm

    end_at_sigterm()  # Before imports that take a second.

import gc
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

from openvenue.serving.metrics_slots import count_in, metrics_directory
from openvenue.serving.sockets import listen
from openvenue.serving.tuning import Tuning
from openvenue.serving.worker_place import Place
from openvenue.settings import Settings, bad_settings_end_the_process, get_settings
from openvenue.telemetry import configure_logging

_SEND_BUFFER_BYTES = 128 << 10


def serve(settings: Settings | None = None) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises OSError where an address cannot be bound, openvenue.serving.supervisor.WorkersFailed
    where no worker can start.
    """
    settings = settings or get_settings()
    configure_logging(settings.log_level, settings.log_format)
    with (
        listen(settings.api_host, settings.api_port) as listener,
        listen(settings.operations_host, settings.operations_port) as operations,
        metrics_directory(settings.metrics_dir) as directory,
    ):
        listener.set_inheritable(True)
        # All connections inherit it: it bounds what the kernel buffers for a client that does not
        # read.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        if settings.operations_port_file is not None:
            settings.operations_port_file.write_text(f"{operations.getsockname()[1]}\n")
        if settings.api_port_file is not None:
            settings.api_port_file.write_text(f"{listener.getsockname()[1]}\n")
        count_in(directory, "supervisor")
        # Only now: it makes metrics. And only here: a worker imports this module, but not these.
        from openvenue.serving.operations import probes_in_a_thread
        from openvenue.serving.supervisor import Supervisor

        supervisor = Supervisor(_work, settings, listener, directory)
        with probes_in_a_thread(operations, supervisor.probes):
            supervisor.run()


@contextmanager
def collecting_no_garbage() -> Iterator[None]:
    """Look for no garbage meanwhile, as during imports, which make hardly any and take longer."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _work(
    place: Place, supervisor: Connection, tuning: Tuning, retire_signal: signal.Signals
) -> bool:
    # Imported in the worker: metrics are made in its slot, and the parent starts fast.
    with collecting_no_garbage():
        from openvenue.http.server import run_worker

    return run_worker(place, supervisor, tuning, retire_signal)


if __name__ == "__main__":
    with bad_settings_end_the_process():
        get_settings()
    serve()
