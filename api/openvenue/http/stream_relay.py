"""WebSockets that come to the API, passed on to the streams byte for byte.

On a cluster the ingress leads to the streams by path. On one machine this lets a client that knows
one URL, such as alpaca-trade-api, find them too.
"""

import asyncio
from typing import cast

from openvenue.http import problems
from openvenue.http.closing import closing_answer

_CONNECT_TIMEOUT_S = 5.0
_AWAY = closing_answer(problems.unavailable("the streams do not answer"))
_FULL = closing_answer(problems.unavailable("the worker has as many WebSockets as it may"))


class Relays:
    """The open relays of one worker."""

    def __init__(self, target: str, most: int) -> None:
        """Take the `host:port` of the streams, empty if they are not known, and how many relays may
        be open."""
        host, _, port = target.rpartition(":")
        self._host, self._port = host.strip("[]"), int(port or 0)
        self._most = most
        self._open: set[_Client] = set()

    @property
    def lead_anywhere(self) -> bool:
        """True if the streams are known."""
        return bool(self._host)

    def pass_on(self, transport: asyncio.Transport, received: bytes) -> None:
        """Take a client's connection over, and pass on what it sent: its handshake."""
        if len(self._open) >= self._most:
            transport.write(_FULL)
            transport.close()
            return
        client = _Client(transport)
        self._open.add(client)
        client.ended.add_done_callback(lambda _: self._open.discard(client))
        transport.set_protocol(client)
        transport.pause_reading()
        client.connecting = asyncio.create_task(self._connect(client, received))

    def close(self) -> None:
        """Close all: their clients come back, to another worker."""
        for client in list(self._open):
            client.close()

    async def _connect(self, client: "_Client", received: bytes) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                _, streams = await loop.create_connection(_End, self._host, self._port)
        except OSError:  # TimeoutError is one.
            client.transport.write(_AWAY)
            client.close()
            return
        streams.join(client)
        streams.transport.write(received)
        client.transport.resume_reading()


class _End(asyncio.Protocol):
    """One end of a relay: what comes here goes out at the other."""

    transport: asyncio.Transport
    _other: "_End | None" = None

    def join(self, other: "_End") -> None:
        """Pass on between this end and another, or close if that one is closed."""
        self._other, other._other = other, self
        if other.transport.is_closing():
            self.close()

    def close(self) -> None:
        """Close this end once it has sent what it has."""
        self.transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._other is not None:
            self._other.close()

    def data_received(self, data: bytes) -> None:
        if self._other is not None:
            self._other.transport.write(data)

    def pause_writing(self) -> None:
        if self._other is not None:
            self._other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self._other is not None:
            self._other.transport.resume_reading()


class _Client(_End):
    """The end towards the client, which was the API's connection before."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.connecting: asyncio.Task[None] | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.ended.set_result(None)
