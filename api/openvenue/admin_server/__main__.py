"""The administration's process: `python -m openvenue.admin_server`, ended by SIGTERM or SIGINT."""

from openvenue.first_process import end_at_sigterm

end_at_sigterm()  # Before imports that take a second.

import asyncio
import signal
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager

import uvloop

from openvenue.admin.database import AdminDatabase
from openvenue.admin.keys import Keys
from openvenue.admin_server.app import application
from openvenue.admin_server.drop_copy import DropCopies
from openvenue.admin_server.metrics import REGISTRY
from openvenue.admin_server.services import DATABASE_NAME, Services
from openvenue.admin_server.settings import AdminSettings
from openvenue.admin_server.tokens import Tokens
from openvenue.engine.client import open_channel
from openvenue.http.bounded_server import TICKS_A_SECOND, BoundedServer
from openvenue.serving.log_level import follow_log_level
from openvenue.serving.operations import probes_of_one, serving_probes
from openvenue.serving.sockets import listen
from openvenue.settings import Settings, bad_settings_end_the_process, get_settings
from openvenue.telemetry import configure_logging


class _Server(BoundedServer):
    """Ends when it is told to, not by signals of its own."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def on_tick(self, counter: int) -> bool:
        """End connections whose clients take too long."""
        if counter % TICKS_A_SECOND == 0:
            self.end_overdue()
        return await super().on_tick(counter)


async def serve(settings: Settings | None = None) -> None:
    """Serve until a signal; without settings, with those of the environment."""
    with bad_settings_end_the_process():
        settings, own = settings or get_settings(), AdminSettings()
    if own.readers is not None and settings.engine_admin_token_file is None:
        print(
            "error: OPENVENUE_ADMIN_READERS needs OPENVENUE_ENGINE_ADMIN_TOKEN_FILE",
            file=sys.stderr,
        )
        raise SystemExit(2)
    configure_logging(settings.log_level, settings.log_format)
    stop = asyncio.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    await run(settings, own, stop)


async def run(settings: Settings, own: AdminSettings, stop: asyncio.Event) -> None:
    """Serve until `stop` is set."""
    async with AsyncExitStack() as stack:
        sock = stack.enter_context(listen(own.host, own.port))
        channel = await stack.enter_async_context(
            open_channel(settings, settings.engine_admin_target)
        )
        database = await stack.enter_async_context(
            AdminDatabase(settings, DATABASE_NAME, connections=own.db_connections)
        )
        drop_copies = DropCopies(settings, own)
        tokens = Tokens(channel, settings, own)
        services = Services(settings, own, tokens, database, Keys(database), drop_copies)
        bounds = settings.model_copy(
            update={"connections_max": own.connections_max, "websocket_target": ""}
        )
        server = _Server(application(services), bounds, lifespan="off")
        if own.http_port:
            probes = stack.enter_context(listen(own.http_host, own.http_port))
            await stack.enter_async_context(
                serving_probes(probes, probes_of_one("administration", lambda: None, REGISTRY))
            )
        serving = asyncio.ensure_future(server.serve(sockets=[sock]))
        if own.port_file is not None:
            own.port_file.write_text(f"{sock.getsockname()[1]}\n")
        tasks = [
            asyncio.ensure_future(running)
            for running in (drop_copies.run(), follow_log_level(settings), stop.wait())
        ]
        try:
            ended, _ = await asyncio.wait((*tasks, serving), return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()
        finally:
            drop_copies.stop()
            server.should_exit = True
            await asyncio.gather(serving, return_exceptions=True)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def main(settings: Settings | None = None) -> None:
    uvloop.run(serve(settings))


if __name__ == "__main__":
    main()
