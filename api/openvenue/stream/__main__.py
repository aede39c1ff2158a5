"""The stream process: `python -m openvenue.stream`, ended by SIGTERM or SIGINT."""

from openvenue.first_process import end_at_sigterm

end_at_sigterm()  # Before imports that take a second.

import asyncio
import functools
import signal
import socket
from contextlib import AsyncExitStack

import uvloop

from openvenue import metrics
from openvenue.db.channels import API_KEYS_CHANNEL
from openvenue.db.listener import Listener, Subscription
from openvenue.engine.client import open_channel
from openvenue.engine.unary import UnarySession
from openvenue.security.authenticator import Authenticator
from openvenue.security.open_accounts import OpenAccounts
from openvenue.serving.garbage import collect_rarely
from openvenue.serving.log_level import follow_log_level
from openvenue.serving.operations import probes_of_one, serving_probes
from openvenue.serving.sockets import listen
from openvenue.settings import Settings, bad_settings_end_the_process, get_settings
from openvenue.stream.feed import Feed
from openvenue.stream.follow import Follower
from openvenue.stream.metrics import REGISTRY
from openvenue.stream.server import StreamServer
from openvenue.stream.settings import StreamSettings
from openvenue.stream.start import StreamFault, load_feed
from openvenue.telemetry import configure_logging, get_logger
from openvenue.vocabulary import UnknownEnumerator

_SEND_BUFFER_BYTES = 128 << 10
FAULT = 3  # exit status: a restart would not help

_log = get_logger(__name__)


async def serve() -> None:
    """Serve until a signal."""
    with bad_settings_end_the_process():
        settings, own = get_settings(), StreamSettings()
    configure_logging(settings.log_level, settings.log_format)
    collect_rarely()
    stop = asyncio.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    try:
        await run(settings, own, stop)
    except (StreamFault, UnknownEnumerator, ValueError) as error:
        _log.error("stream ended: trying again would not help", reason=str(error))
        raise SystemExit(FAULT) from error


async def run(settings: Settings, own: StreamSettings, stop: asyncio.Event) -> None:
    """Serve until `stop` is set. Raises what `Follower.run` raises."""
    listener = Listener(settings.database_url.get_secret_value())
    engine = UnarySession(
        open_channel(settings),
        shard_id=settings.shard_id,
        in_flight_max=settings.unary_calls_max,
        reply_timeout_s=settings.engine_reply_timeout_s,
    )
    accounts = OpenAccounts(engine.submit, entries_max=settings.auth_cache_entries_max)
    authenticator = Authenticator(settings, listener, accounts)
    server = StreamServer(authenticator, own, settings.trusted_proxies)
    # After the authenticator's own, so that it has forgotten the key when the server asks.
    listener.subscribe(Subscription(API_KEYS_CHANNEL, server.key_changed, server.keys_changed))
    async with AsyncExitStack() as stack:
        stack.push_async_callback(engine.close, 0)
        sock = stack.enter_context(listen(own.host, own.port))
        # All connections inherit it: it bounds what the kernel buffers for a client that does not
        # read.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)

        def use(feed: Feed) -> None:
            server.use(feed)
            if own.port_file is not None:
                own.port_file.write_text(f"{sock.getsockname()[1]}\n")

        follower = Follower(
            settings, functools.partial(load_feed, settings, own), use, own.backoff_max_s
        )
        if own.http_port:
            for metric in metrics.OF_CREDENTIALS:
                REGISTRY.register(metric)
            probes = stack.enter_context(listen(own.http_host, own.http_port))
            await stack.enter_async_context(
                serving_probes(probes, probes_of_one("stream", lambda: follower.problem, REGISTRY))
            )
        await stack.enter_async_context(server.serving(sock))
        tasks = [
            asyncio.ensure_future(running)
            for running in (
                follower.run(),
                listener.run(),
                authenticator.run(),
                server.run(),
                follow_log_level(settings),
                stop.wait(),
            )
        ]
        try:
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def main() -> None:
    uvloop.run(serve())


if __name__ == "__main__":
    main()
