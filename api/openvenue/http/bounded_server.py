"""uvicorn's server of one application, with bounds on what clients make it hold and wait for."""

import asyncio
import math
from typing import Literal

import uvicorn
from starlette.types import ASGIApp

from openvenue.http.closing import HEADERS_OF_ALL
from openvenue.http.protocol import BoundedProtocol, ConnectionLimits, Shared, bounded
from openvenue.http.stream_relay import Relays
from openvenue.settings import Settings

TICKS_A_SECOND = 10  # of uvicorn


class BoundedServer(uvicorn.Server):
    """Serves within the settings' limits. Subclasses call `end_overdue` about once a second."""

    def __init__(
        self, application: ASGIApp, settings: Settings, *, lifespan: Literal["on", "off"]
    ) -> None:
        limits = ConnectionLimits(
            connections_max=settings.connections_max,
            head_bytes_max=settings.request_head_bytes_max,
            read_timeout_s=settings.request_read_timeout_s,
            idle_timeout_s=settings.keep_alive_timeout_s,
            write_timeout_s=settings.response_write_timeout_s,
            lifetime_s=settings.connection_lifetime_s,
            body_bytes_max=settings.request_body_bytes_max,
            per_address_max=settings.connections_per_address_max,
            unread_bytes_max=settings.unread_bytes_max,
        )
        self._shared = Shared(limits, Relays(settings.websocket_target, settings.connections_max))
        super().__init__(
            uvicorn.Config(
                application,
                loop="uvloop",
                http=bounded(limits, self._shared),
                ws="none",
                lifespan=lifespan,
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                headers=[(name.decode(), value.decode()) for name, value in HEADERS_OF_ALL],
                timeout_keep_alive=round(settings.keep_alive_timeout_s),
                # The engine's answer, or its absence, comes before this.
                timeout_graceful_shutdown=math.ceil(settings.request_timeout_s),
            )
        )

    @property
    def unread_bytes(self) -> int:
        """Answers that wait for clients that do not read."""
        return self._shared.unread.bytes

    def end_overdue(self) -> None:
        """End connections whose clients take too long."""
        now = asyncio.get_running_loop().time()
        for connection in list(self.server_state.connections):
            if isinstance(connection, BoundedProtocol):
                connection.end_if_overdue(now)
