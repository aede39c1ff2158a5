"""Reconciles one Venue again and again: observe ▸ plan ▸ report ▸ apply.

The plan is written into the status before it is carried out. So if an operator ends between any two
writes, the next one knows what was begun, and when.
"""

import asyncio
import time
from collections.abc import Callable
from enum import StrEnum

import aiohttp
import httpx2
import msgspec
from lightkube import AsyncClient
from openvenue.telemetry import get_logger

from openvenue_operator import metrics
from openvenue_operator.apply import Clients, apply_step
from openvenue_operator.engine import EngineClient
from openvenue_operator.lease import HOLD_S, SOMEBODY_FASTER, VenueLease
from openvenue_operator.model import (
    Memory,
    Observation,
    Plan,
    Situation,
)
from openvenue_operator.observe import InvalidSpec, VenueObject, find_venue, observe
from openvenue_operator.plan import plan
from openvenue_operator.report import EventRecord, announce, changes, turns, write_status
from openvenue_operator.scrape import Scraper
from openvenue_operator.settings import OperatorSettings
from openvenue_operator.spec import Mode
from openvenue_operator.status import (
    Status,
    json_form,
    paused_status,
    remembered,
    status_needs_write,
    status_of,
)

FAILURE_DELAY_MAX_S = 30.0

_log = get_logger(__name__)


class Result(StrEnum):
    """Outcome of a reconciliation."""

    SETTLED = "settled"
    PROGRESSING = "progressing"
    HELD = "held"
    """The step cannot be carried out: mode Plan, or another owner of a field."""
    PAUSED = "paused"
    STANDING_BY = "standing_by"
    """Another operator tunes it."""
    FAILED = "failed"
    GONE = "gone"


class VenueLoop:
    """Tunes one Venue while it exists."""

    def __init__(
        self,
        client: AsyncClient,
        session: aiohttp.ClientSession,
        settings: OperatorSettings,
        namespace: str,
        name: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.namespace = namespace
        self.name = name
        self.finished_at = time.monotonic()
        """Time of the last finished reconciliation, successful or not (monotonic)."""
        self.succeeded_at = time.monotonic()
        """Time of the last successful one (monotonic)."""
        self.situation: Situation | None = None
        """Input of the last plan."""
        self._client = client
        self._settings = settings
        self._clock = clock
        self._scraper = Scraper(session, clock)
        self._engine = EngineClient()
        self._lease = VenueLease(client, settings.identity)
        self._holder: str | None = None
        self._obstacle: str | None = None
        self._memory: Memory | None = None
        """Memory of the last plan; None: another operator may have changed things since."""
        self._uid: str | None = None
        self._failures = 0
        self._awake = asyncio.Event()

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"

    def wake(self) -> None:
        """Reconcile at once: the Venue has changed."""
        self._awake.set()

    async def run(self) -> None:
        """Reconcile until the Venue is gone."""
        try:
            while True:
                result = await self.reconcile()
                # A new Venue of the same name may have come while this one was found to be gone.
                if result is Result.GONE and not self._awake.is_set():
                    return
                await self._rest(self._delay_s(result))
        finally:
            metrics.forget(str(self))
            await self._engine.close()

    async def release(self) -> None:
        """Release the Venue to another operator at once."""
        if self._holder == self._settings.identity:
            await self._lease.release(self.namespace, self.name)

    async def reconcile(self) -> Result:
        """Do the Venue's next work. Never raises the errors of a call."""
        started_at = time.monotonic()
        try:
            async with asyncio.timeout(HOLD_S):
                result = await self._reconcile()
            self._failures = 0
        except TimeoutError:
            result = self._failed(f"not done within {HOLD_S:g} s")
        except (httpx2.HTTPError, OSError, InvalidSpec) as error:
            result = self._failed(f"{type(error).__name__}: {error}")
        except Exception:
            # A bug of ours, from which other Venues must not suffer.
            _log.exception("reconciliation failed by a fault", venue=str(self))
            result = self._failed("a fault, see above")
        self.finished_at = time.monotonic()
        if result is not Result.FAILED:
            self.succeeded_at = self.finished_at
        metrics.TICK_SECONDS.observe(self.finished_at - started_at)
        if result is not Result.GONE:
            metrics.TICKS.labels(result).inc()
            metrics.LAST_TICK.labels(str(self)).set(time.time())
        return result

    async def _reconcile(self) -> Result:
        venue = await find_venue(self._client, self.namespace, self.name)
        if venue is None:
            return Result.GONE
        if venue.uid != self._uid:
            self._uid, self._memory, self._obstacle = venue.uid, None, None
        if venue.spec.mode is Mode.PAUSED:
            self._memory = None
            await self._say_paused(venue)
            return Result.PAUSED
        if not await self._holds(venue):
            self._memory = None
            return Result.STANDING_BY
        observation, addresses = await observe(self._client, self._scraper, self._engine, venue)
        observation = observation.replace(obstacle=self._obstacle)
        previous = _status(venue)
        now = self._clock()
        memory = self._memory or remembered(previous)
        self.situation = Situation(spec=venue.spec, observation=observation, memory=memory, now=now)
        planned = plan(venue.spec, observation, memory, now)
        self._memory = planned.memory
        metrics.FEASIBLE.labels(str(self)).set(planned.feasible)
        metrics.show_budget(str(self), planned.budget)
        await self._report(venue, observation, planned, previous, now)
        if venue.spec.mode is not Mode.AUTO or planned.step.empty:
            self._obstacle = None
            return _result(planned)
        applied = planned.step.tuning or observation.applied
        done, self._obstacle = await apply_step(
            Clients(self._client, self._engine, holds=lambda: self._lease.is_held),
            venue,
            planned.step,
            addresses,
            applied.generation if applied else 0,
            now,
        )
        for change in changes(observation, done, planned.reason, venue.spec):
            await announce(self._client, venue, self._settings.identity, change)
        return Result.HELD if self._obstacle else Result.PROGRESSING

    async def _holds(self, venue: VenueObject) -> bool:
        """True if this operator tunes the Venue; otherwise report once which one does."""
        holder, before = await self._lease.holder(venue), self._holder
        self._holder = holder
        if holder == self._settings.identity:
            return True
        if holder not in (before, SOMEBODY_FASTER):
            note = f"{self._settings.identity} stands by: {holder} tunes this Venue"
            record = EventRecord("Normal", "StandingBy", "StandBy", note)
            await announce(self._client, venue, self._settings.identity, record)
        return False

    async def _say_paused(self, venue: VenueObject) -> None:
        """Write once that nothing is done; every operator writes the same."""
        previous = _status(venue)
        status = paused_status(previous, venue.generation, self._clock())
        if status != previous:
            await write_status(self._client, venue, status)

    async def _report(
        self,
        venue: VenueObject,
        observation: Observation,
        planned: Plan,
        previous: Status | None,
        now: float,
    ) -> None:
        status = status_of(venue.spec, observation, planned, previous, now)
        before = previous.memory if previous else None
        # The step's input must outlive this process before the step is made.
        acts = venue.spec.mode is Mode.AUTO and not planned.step.empty
        must = acts and status.memory != before
        if not must and not status_needs_write(previous, status, now):
            return
        await write_status(self._client, venue, status)
        for record in turns(venue.status, json_form(status)):
            await announce(self._client, venue, self._settings.identity, record)

    def _failed(self, problem: str) -> Result:
        self._failures += 1
        _log.warning("reconciliation failed", venue=str(self), problem=problem)
        return Result.FAILED

    def _delay_s(self, result: Result) -> float:
        if result is Result.PROGRESSING:
            return self._settings.progress_tick_s
        if result is Result.FAILED:
            doublings = min(self._failures - 1, 10)
            return min(self._settings.progress_tick_s * (1 << doublings), FAILURE_DELAY_MAX_S)
        return self._settings.tick_s

    async def _rest(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._awake.wait()
        except TimeoutError:
            return
        finally:
            self._awake.clear()


def _result(planned: Plan) -> Result:
    if planned.settled:
        return Result.SETTLED
    return Result.PROGRESSING if planned.step.empty and not planned.overdue else Result.HELD


def _status(venue: VenueObject) -> Status | None:
    """Return the Venue's status; None if there is none that this version can read."""
    if not venue.status:
        return None
    try:
        return msgspec.convert(venue.status, Status)
    except msgspec.ValidationError as error:
        _log.warning("status not understood", venue=venue.name, problem=str(error))
        return None
