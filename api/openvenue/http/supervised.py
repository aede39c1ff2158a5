"""A worker's end of the pipe to its supervisor: what to run comes in, what runs goes out."""

import asyncio
import ctypes
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection

import msgspec

from openvenue.tuning import Tuning

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Tuning).decode


class SupervisorLink:
    """Follows the supervisor; `gone` is set when it has ended.

    `ever_ready` is shared by all its workers: whether any of them has been ready.
    """

    def __init__(self, pipe: Connection, tuning: Tuning, ever_ready: ctypes.c_bool) -> None:
        self._pipe = pipe
        self._wanted = tuning
        self.ever_ready = ever_ready
        self._changed = asyncio.Event()
        self._changed.set()
        self.gone = asyncio.Event()
        asyncio.get_running_loop().add_reader(pipe.fileno(), self._receive)

    async def follow(self, apply: Callable[[Tuning], Awaitable[None]]) -> None:
        """Apply each tuning as it comes, and say so when it is in force."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            tuning = self._wanted
            try:
                await apply(tuning)
            except Exception:
                self._changed.set()  # Again, when this is started again.
                raise
            self._send(_encode(tuning))

    def beat(self) -> None:
        """Tell the supervisor that the event loop runs."""
        self._send(b"")

    def _receive(self) -> None:
        try:
            while self._pipe.poll():
                self._wanted = _decode(self._pipe.recv_bytes())
                self._changed.set()
        except (EOFError, OSError):
            self._end()

    def _send(self, message: bytes) -> None:
        if self.gone.is_set():
            return
        try:
            self._pipe.send_bytes(message)
        except OSError:
            self._end()

    def _end(self) -> None:
        if not self.gone.is_set():
            asyncio.get_running_loop().remove_reader(self._pipe.fileno())
            self._pipe.close()
            self.gone.set()
