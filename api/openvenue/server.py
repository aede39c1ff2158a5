"""Runs the API: worker processes on one listening socket, their number changeable at run time.

The parent binds the socket and supervises the workers (`openvenue.supervisor`). A worker that is
given up stops accepting, tells its clients to leave with their next answer, and stops when they
have gone: no request fails, because the socket stays open in the others. When all stop, readiness
fails first.
"""

import os
import shutil
import socket
import tempfile
from pathlib import Path

from openvenue.settings import Settings, bad_settings_end_the_process, get_settings
from openvenue.telemetry import configure_logging

_BACKLOG = 2048
_METRICS_DIR_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


def serve(settings: Settings | None = None) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises OSError where the address cannot be bound, openvenue.supervisor.WorkersFailed where no
    worker can start.
    """
    settings = settings or get_settings()
    configure_logging(settings.log_level, settings.log_format)
    with socket.create_server((settings.api_host, settings.api_port), backlog=_BACKLOG) as listener:
        listener.set_inheritable(True)
        if settings.api_port_file is not None:
            settings.api_port_file.write_text(f"{listener.getsockname()[1]}\n")
        made = _prepare_metrics_dir(settings.metrics_dir)
        try:
            # prometheus_client looks for the directory when it is first imported.
            from openvenue.supervisor import Supervisor

            Supervisor(settings, listener).run()
        finally:
            if made is not None:
                shutil.rmtree(made, ignore_errors=True)


def _prepare_metrics_dir(given: Path | None) -> Path | None:
    """Give the workers an empty directory to share metrics in; return it if it was made here.

    Its variable is set for this process's own workers alone: whatever else had it in its
    environment, a command that is run in the same container for example, would show up as a worker.
    """
    if given is None:
        made = Path(tempfile.mkdtemp(prefix="openvenue-metrics-"))
        os.environ[_METRICS_DIR_VARIABLE] = str(made)
        return made
    given.mkdir(parents=True, exist_ok=True)
    for leftover in given.glob("*.db"):
        leftover.unlink()
    os.environ[_METRICS_DIR_VARIABLE] = str(given)
    return None


if __name__ == "__main__":
    with bad_settings_end_the_process():
        get_settings()
    serve()
