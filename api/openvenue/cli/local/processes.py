"""Child processes that end with their parent and are restarted when they die."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from openvenue.commands import CommandError

# From util-linux: the kernel ends the child when its parent is gone for any reason. (A preexec_fn
# could do it too, but is not safe beside gRPC's threads.)
_TIED_TO_PARENT = ("setpriv", "--pdeathsig", "TERM", "--")

_BACKOFF_FIRST_S = 0.5
_BACKOFF_MAX_S = 10.0
# A process that lived this long is restarted at once.
_STABLE_S = 60.0
_LOG_TAIL_LINES = 12


@dataclass(slots=True)
class Child:
    """One process of the venue.

    `final_exit_codes` are those that a restart would only repeat: they end the venue and show the
    end of the log.
    """

    name: str
    command: list[str]
    environment: dict[str, str]
    log: Path
    stop_timeout_s: float
    final_exit_codes: frozenset[int] = frozenset()
    restarts: int = 0
    _process: asyncio.subprocess.Process | None = field(default=None, repr=False)

    @property
    def exit_code(self) -> int | None:
        """Exit code; None while it runs, or before it started."""
        return self._process.returncode if self._process else None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Start it, appending its output to the log."""
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *_TIED_TO_PARENT,
                *self.command,
                env=self.environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C must reach only the parent, which stops its children in order.
                start_new_session=True,
            )

    async def wait(self) -> int:
        assert self._process is not None
        return await self._process.wait()

    async def stop(self) -> None:
        """Ask it to end; kill it if it does not in time."""
        if not self.running:
            return
        assert self._process is not None
        self._process.terminate()
        try:
            async with asyncio.timeout(self.stop_timeout_s):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    def log_tail(self) -> str:
        """Return the end of its log, for an error message."""
        try:
            lines = self.log.read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return ""
        return "\n".join(f"  {line}" for line in lines[-_LOG_TAIL_LINES:])

    def died(self) -> CommandError:
        return CommandError(
            f"{self.name} ended with exit code {self.exit_code}; the end of {self.log}:\n"
            f"{self.log_tail()}"
        )


async def keep_running(child: Child, report: Callable[[str], None]) -> None:
    """Restart a child whenever it dies, at growing intervals.

    Raises CommandError when it ends with a code that a restart would repeat.
    """
    backoff_s = _BACKOFF_FIRST_S
    while True:
        started = time.monotonic()
        exit_code = await child.wait()
        if exit_code in child.final_exit_codes:
            raise child.died()
        if time.monotonic() - started > _STABLE_S:
            backoff_s = _BACKOFF_FIRST_S
        report(
            f"{child.name} ended with exit code {exit_code}, starting it again in "
            f"{backoff_s:.1f} s (log: {child.log})"
        )
        await asyncio.sleep(backoff_s)
        backoff_s = min(backoff_s * 2, _BACKOFF_MAX_S)
        await child.start()
        child.restarts += 1
