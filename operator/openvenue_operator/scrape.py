"""Reads the metrics of all pods at once, within bounds of time and size, and remembers them.

Earlier readings are kept only in memory: a restarted operator knows no load until it has read each
pod twice.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import aiohttp

from openvenue_operator import metrics
from openvenue_operator.exposition import InvalidMetrics, Reading, read, report_of
from openvenue_operator.model import Database, PodReport

TIMEOUT_S = 2.0
ALL_TIMEOUT_S = 6.0
"""For all pods of a venue: a reconciliation must end while its Lease is held (`lease.HOLD_S`)."""
TEXT_BYTES_MAX = 512 << 10
"""Twenty times the size of the metrics of an API with a hundred routes."""
CONCURRENT_MAX = 128
LOAD_WINDOW_S = 9.0
"""The shortest time over which load is measured, once the pod has been read for that long."""
KEPT_S = 30.0


class Target(NamedTuple):
    """A pod to read."""

    uid: str
    restarts: int
    """Restarts of its containers: each begins with new counters."""
    urls: tuple[str, ...]
    """URLs to try in turn; none: it has no address yet."""


class Answer(NamedTuple):
    """A pod's report, or why there is none."""

    report: PodReport | None
    problem: str | None
    database: Database | None = None


class Scraper:
    """Reads the pods of one venue."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        clock: Callable[[], float],
        *,
        timeout_s: float = TIMEOUT_S,
        all_timeout_s: float = ALL_TIMEOUT_S,
    ) -> None:
        self._session = session
        self._clock = clock
        self._timeout_s = timeout_s
        self._all_timeout_s = all_timeout_s
        self._earlier: dict[tuple[str, int], list[Reading]] = {}

    async def read_all(self, targets: Iterable[Target]) -> Mapping[str, Answer]:
        """Return each pod's answer, by its uid, within `all_timeout_s`."""
        targets = list(targets)
        known = {(target.uid, target.restarts) for target in targets}
        self._earlier = {key: kept for key, kept in self._earlier.items() if key in known}
        turns = asyncio.Semaphore(CONCURRENT_MAX)
        deadline = asyncio.get_running_loop().time() + self._all_timeout_s

        async def take_turn(target: Target) -> Answer:
            try:
                async with asyncio.timeout_at(deadline), turns:
                    return await self._read_one(target)
            except TimeoutError:
                metrics.SCRAPE_PROBLEMS.inc()
                return Answer(None, f"was not asked: others took all of {self._all_timeout_s:g} s")

        answers = await asyncio.gather(*(take_turn(target) for target in targets))
        return {target.uid: answer for target, answer in zip(targets, answers, strict=True)}

    async def _read_one(self, target: Target) -> Answer:
        if not target.urls:
            return Answer(None, "has no address yet")
        try:
            async with asyncio.timeout(self._timeout_s):
                text = await self._fetch_first(target.urls)
            reading = read(text, self._clock())
            earlier = self._remember((target.uid, target.restarts), reading)
            return Answer(report_of(reading, earlier), None, reading.database)
        except TimeoutError:
            problem = f"does not answer within {self._timeout_s:g} s"
        except aiohttp.ClientError as error:
            problem = f"cannot be asked ({str(error) or type(error).__name__})"
        except InvalidMetrics as error:
            problem = f"answers nonsense: {error}"
        metrics.SCRAPE_PROBLEMS.inc()
        return Answer(None, problem[:200])

    async def _fetch_first(self, urls: tuple[str, ...]) -> str:
        """Return the answer of the first URL at which something listens."""
        *before, last = urls
        for url in before:
            try:
                return await self._fetch(url)
            except aiohttp.ClientConnectorError:
                continue
        return await self._fetch(last)

    async def _fetch(self, url: str) -> str:
        async with self._session.get(
            url,
            allow_redirects=False,
            # Unpacked it could have any size.
            headers={"Accept-Encoding": "identity"},
        ) as response:
            if response.status != 200:
                raise InvalidMetrics(f"HTTP status {response.status}")
            content = bytearray()
            async for chunk in response.content.iter_any():
                content += chunk
                if len(content) > TEXT_BYTES_MAX:
                    raise InvalidMetrics(f"more than {TEXT_BYTES_MAX} bytes")
        try:
            return content.decode()
        except UnicodeDecodeError as error:
            raise InvalidMetrics("not UTF-8") from error

    def _remember(self, key: tuple[str, int], reading: Reading) -> Reading | None:
        """Store a reading, and return the one to compare it with, even if that is useless.

        So counters that went back make one answer invalid, and the next are compared with those.
        """
        kept = [
            earlier
            for earlier in self._earlier.get(key, [])
            if reading.read_at - KEPT_S <= earlier.read_at < reading.read_at
        ]
        old_enough = [
            earlier for earlier in kept if reading.read_at - earlier.read_at >= LOAD_WINDOW_S
        ]
        base = old_enough[-1] if old_enough else (kept[0] if kept else None)
        if base is not None and _went_back(reading, kept[-1]):
            self._earlier[key] = [reading]
        else:
            self._earlier[key] = [*kept, reading]
        return base


def new_session() -> aiohttp.ClientSession:
    """Return a session for `Scraper`; the caller closes it."""
    return aiohttp.ClientSession(auto_decompress=False, trust_env=False)


def _went_back(now: Reading, before: Reading) -> bool:
    return any(
        getattr(now, name) < getattr(before, name)
        for name in ("requests", "cpu_s", "orders", "refused")
    )
