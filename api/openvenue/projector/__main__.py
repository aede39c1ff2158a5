"""The projector's process: `python -m openvenue.projector`, ended by SIGTERM or SIGINT."""

from openvenue.first_process import end_at_sigterm

end_at_sigterm()  # Before imports that take a second.

import asyncio
import signal
from contextlib import AsyncExitStack

import uvloop

from openvenue.projector.health import serving_health
from openvenue.projector.run import ProjectionFault, all_projections, follow
from openvenue.projector.settings import ProjectorSettings
from openvenue.serving.log_level import follow_log_level
from openvenue.settings import bad_settings_end_the_process, get_settings
from openvenue.telemetry import configure_logging, get_logger

FAULT = 3  # exit status: journal and database contradict each other

_log = get_logger(__name__)


async def serve() -> None:
    """Run until a signal; an open transaction is then committed, or projected again later."""
    with bad_settings_end_the_process():
        settings, own = get_settings(), ProjectorSettings()
    configure_logging(settings.log_level, settings.log_format)
    stop = asyncio.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    followed = all_projections(own, quotes=settings.quotes_history)
    tuning = asyncio.create_task(follow_log_level(settings))
    try:
        async with AsyncExitStack() as stack:
            if own.http_port:
                await stack.enter_async_context(
                    serving_health(
                        own.http_host, own.http_port, [each.progress for each in followed]
                    )
                )
            await follow(followed, settings, own, stop)
    except ProjectionFault as error:
        _log.error("projection ended: trying again would not help", reason=str(error))
        raise SystemExit(FAULT) from error
    finally:
        tuning.cancel()


def main() -> None:
    uvloop.run(serve())


if __name__ == "__main__":
    main()
