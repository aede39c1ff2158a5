"""The projector's process: `python -m openvenue.projector`, ended by SIGTERM or SIGINT."""

import asyncio
import signal

import uvloop
from prometheus_client import start_http_server

from openvenue.projector.run import follow
from openvenue.projector.settings import ProjectorSettings
from openvenue.settings import get_settings
from openvenue.telemetry import configure_logging


async def serve() -> None:
    """Runs until a signal; what is in a transaction then is either committed or projected again."""
    settings, own = get_settings(), ProjectorSettings()
    configure_logging(settings.log_level, settings.log_format)
    if own.metrics_port:
        start_http_server(own.metrics_port, own.metrics_host)
    stop = asyncio.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    await follow(settings, own, stop)


def main() -> None:
    uvloop.run(serve())


if __name__ == "__main__":
    main()
