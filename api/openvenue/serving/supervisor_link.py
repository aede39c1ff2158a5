"""A worker's end of the pipe to its supervisor: tunings come in, the worker's state goes out."""

import asyncio
import ctypes
import select
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection

import msgspec

from openvenue.serving.readiness import WorkerReport
from openvenue.serving.tuning import Tuning

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Tuning).decode


class SupervisorLink:
    """Follows the supervisor; `gone` is set when it has ended.

    All its workers share `ever_ready`: true once any of them has been ready.
    """

    def __init__(self, pipe: Connection, tuning: Tuning, ever_ready: ctypes.c_bool) -> None:
        self._pipe = pipe
        self._wanted = tuning
        self._said = WorkerReport()
        self.ever_ready = ever_ready
        self._changed = asyncio.Event()
        self._changed.set()
        self.gone = asyncio.Event()
        self._writable = select.poll()
        self._writable.register(pipe.fileno(), select.POLLOUT)
        asyncio.get_running_loop().add_reader(pipe.fileno(), self._receive)

    async def follow(self, apply: Callable[[Tuning], Awaitable[None]]) -> None:
        """Apply each tuning as it comes, and report when it is in force."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            tuning = self._wanted
            try:
                await apply(tuning)
            except Exception:
                self._changed.set()  # Report it again when this task is restarted.
                raise
            self._said = msgspec.structs.replace(self._said, running=tuning)
            self.beat()

    def say(self, *, accepting: bool, problems: dict[str, str], since: dict[str, str]) -> None:
        """Report the worker's state to the supervisor, if it changed."""
        report = WorkerReport(self._said.running, accepting, problems, since)
        if report != self._said:
            self._said = report
            self.beat()

    def beat(self) -> None:
        """Tell the supervisor that the event loop runs, and the worker's state."""
        if self.gone.is_set():
            return
        # A supervisor that does not read must not block this process; the next beat says the same.
        if not self._writable.poll(0):
            return
        try:
            self._pipe.send_bytes(_encode(self._said))
        except OSError:
            self._end()

    def _receive(self) -> None:
        try:
            while self._pipe.poll():
                self._wanted = _decode(self._pipe.recv_bytes())
                self._changed.set()
        except (EOFError, OSError):
            self._end()

    def _end(self) -> None:
        if not self.gone.is_set():
            asyncio.get_running_loop().remove_reader(self._pipe.fileno())
            self._pipe.close()
            self.gone.set()
