"""A TCP proxy between two parts of a venue, for tests of networks that fail."""

import asyncio
import threading
from typing import Any


class Proxy:
    """Passes bytes on to a TCP port or a Unix socket; runs in its own thread.

    `stall` makes it swallow all data, like a network that drops every packet: connections stay
    open, new ones are accepted, and nothing comes back. `strand` does so to existing connections
    and lets new ones work. `cut` resets all connections.
    """

    def __init__(self, *, port: int | None = None, unix_path: str | None = None) -> None:
        self._target = (port, unix_path)
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._stalled = False
        self._stranded: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def __enter__(self) -> "Proxy":
        self._thread.start()
        self._server = self._run(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def stall(self) -> None:
        """Pass nothing on from now on."""
        self._stalled = True

    def strand(self) -> None:
        """Pass nothing more on for the connections that are open now."""
        self._stranded |= self._writers

    def resume(self) -> None:
        """Serve new connections again; those that were open during the stall are lost."""
        self.cut()
        self._stalled = False

    def cut(self) -> None:
        """Reset every connection."""
        self._run(self._cut())

    def _run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    async def _close(self) -> None:
        self._server.close()
        await self._cut()
        # Some may be connecting; nothing else would end them.
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _cut(self) -> None:
        writers, self._writers = self._writers, set()
        for writer in writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        port, unix_path = self._target
        if unix_path is not None:
            far_reader, far_writer = await asyncio.open_unix_connection(unix_path)
        else:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        self._writers |= {writer, far_writer}
        await asyncio.gather(self._pass_on(reader, far_writer), self._pass_on(far_reader, writer))

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                if not self._stalled and writer not in self._stranded:
                    writer.write(data)
                    await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()
