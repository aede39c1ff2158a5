"""The state of one worker process: its connections, caches and the tasks that keep them fresh."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

from openvenue import metrics
from openvenue.db.alchemy import DATABASE_ERRORS
from openvenue.db.channels import PROJECTION_CHANNEL
from openvenue.db.database import Database
from openvenue.db.listener import Listener, Subscription
from openvenue.db.schema import RequiredSchema, current_revision
from openvenue.db.tables import market_offsets, projection_offsets
from openvenue.documents.times import format_ns, now_ns
from openvenue.documents.views import Views
from openvenue.engine.client import EngineClient
from openvenue.engine.instruments import Instruments
from openvenue.engine.probe import EngineProbe
from openvenue.engine.trading_day import FollowedTradingDay
from openvenue.http.day_before import DaysBefore
from openvenue.http.rate_limits import RateLimits
from openvenue.queries.projection import ProjectionGate
from openvenue.reasons import reason_of
from openvenue.security.authenticator import Authenticator
from openvenue.security.open_accounts import OpenAccounts
from openvenue.serving.supervisor_link import SupervisorLink
from openvenue.serving.tuning import Tuning
from openvenue.settings import Settings
from openvenue.telemetry import flush_refusals, get_logger, set_log_level

_LAG_SAMPLE_INTERVAL_S = 0.1
_SAMPLES_PER_EXPORT = 5
_SAMPLES_OF_MAX = 300  # half a minute's
_DATABASE_CHECK_INTERVAL_S = 2.0
_RESTART_INTERVAL_S = 1.0
_READY_POLL_S = 0.02

_log = get_logger(__name__)


class Worker:
    """Make with `running_worker`; the routes hold on to it."""

    def __init__(
        self, settings: Settings, supervisor: SupervisorLink, rate_limits: RateLimits
    ) -> None:
        self.settings = settings
        self.rate_limits = rate_limits
        self.supervisor = supervisor
        self.listener = Listener(settings.database_url.get_secret_value())
        self.database = Database(settings, beside=1)
        self.engine = EngineClient(settings)
        self.probe = EngineProbe(self.engine, settings.shard_id, settings.engine_probe_timeout_s)
        self.instruments = Instruments(
            self.engine,
            settings.shard_id,
            settings.instruments_refresh_s,
            settings.instruments_ask_interval_s,
        )
        accounts = OpenAccounts(self.engine.submit, entries_max=settings.auth_cache_entries_max)
        self.authenticator = Authenticator(settings, self.listener, accounts)
        self.trading_day = FollowedTradingDay(self.engine)
        self.gate = ProjectionGate(settings.shard_id, settings.projection_wait_ms)
        self.listener.subscribe(Subscription(PROJECTION_CHANNEL, self.gate.wake, self.gate.wake))
        self.priced_gate = ProjectionGate(
            settings.shard_id, settings.projection_wait_ms, (projection_offsets, market_offsets)
        )
        self.days_before = DaysBefore(self.database, self.instruments, settings.shard_id)
        self.views = Views(settings.shard_id, self.trading_day)
        self.exporters: list[Callable[[], None]] = [
            self.engine.export_metrics,
            self.probe.export_metrics,
            self.instruments.export_metrics,
            self.database.export_metrics,
            self.authenticator.export_metrics,
            flush_refusals,
        ]
        self.unary_calls = 0
        self.accepting = False
        self.draining = False
        self.stopping = False
        self._schema = RequiredSchema(settings)
        self._schema_labels: tuple[str, ...] | None = None
        self._schema_problem: str | None = "the database has not been reached yet"
        self._schema_known = False
        self._cpu_counted_s = 0.0
        self.failing_since: dict[str, str] = {}
        """When each part's problem began, as of the last call of `problems`."""

    def problems(self) -> dict[str, str]:
        """Return the problems that keep this worker from serving, by part; empty if none."""
        found = {}
        if self.stopping:
            found["worker"] = "it is stopping"
        if not self.engine.connected:
            found["engine"] = f"no session with {self.settings.engine_target}"
        elif self.probe.silent:
            found["engine"] = f"no answer from {self.settings.engine_target}"
        elif not self.instruments.loaded:
            found["instruments"] = "not read from the engine yet"
        elif not self.trading_day.known:
            found["trading_day"] = "not read from the engine yet"
        if self._schema_problem is not None:
            found["database"] = self._schema_problem
        if (reason := self.authenticator.problem()) is not None:
            found["keys"] = reason
        if not found:
            self.supervisor.ever_ready.value = True
        if found or self.failing_since:
            now = format_ns(now_ns())
            self.failing_since = {part: self.failing_since.get(part, now) for part in found}
        return found

    def report(self) -> None:
        """Report this worker's state to the supervisor, if it changed."""
        problems = self.problems()
        self.supervisor.say(
            accepting=self.accepting, problems=problems, since=dict(self.failing_since)
        )

    async def apply(self, tuning: Tuning) -> None:
        """Take over the tuning's settings without touching requests in flight.

        Returns once they hold: surplus connections are closed as they come back.
        """
        if tuning.grpc_channels != self.engine.channels:
            self.engine.resize(tuning.grpc_channels)
        await self.database.resize(tuning.db_pool_size, tuning.db_pool_overflow)
        await self.database.settled()
        set_log_level(tuning.log_level)
        metrics.TUNING_GENERATION.set(tuning.generation)

    def background_tasks(self) -> list[Callable[[], Awaitable[None]]]:
        """Return the tasks that have to run beside the requests."""
        return [
            self.listener.run,
            self.authenticator.run,
            self.probe.run,
            self.instruments.run,
            self.trading_day.run,
            partial(self.supervisor.follow, self.apply),
            self._check_database,
            self._observe,
        ]

    async def _check_database(self) -> None:
        """Keep the verdict on the schema current: pods wait for the migration that they need."""
        while True:
            try:
                async with self.database.connect() as connection:
                    current = await current_revision(connection)
                    await self.database.export_limits(connection)
                self._schema_problem = self._schema.problem_with(current)
                self._schema_known = True
                self._export_schema(current or "none", "no" if self._schema_problem else "yes")
            except DATABASE_ERRORS as error:
                reason = reason_of(error)
                _log.warning("database not reached", reason=reason)
                if not self._schema_known:
                    self._schema_problem = f"not reached yet: {reason}"
                # Orders need no database once their keys are cached, so a worker that was ready
                # stays ready; reads of history answer 503 by themselves.
            await asyncio.sleep(_DATABASE_CHECK_INTERVAL_S)

    def _export_schema(self, *labels: str) -> None:
        if self._schema_labels is not None and self._schema_labels != labels:
            # Shared metrics cannot be removed.
            metrics.SCHEMA.labels(*self._schema_labels).set(0)
        self._schema_labels = labels
        metrics.SCHEMA.labels(*labels).set(1)

    async def _observe(self) -> None:
        """Measure the event loop and export the gauges."""
        metrics.WORKERS.set(1)
        lags: deque[float] = deque(maxlen=_SAMPLES_OF_MAX)
        while True:
            self.supervisor.beat()
            metrics.WORKERS_READY.set(0 if self.problems() else 1)
            cpu_used_s = time.process_time()
            metrics.CPU_SECONDS.inc(cpu_used_s - self._cpu_counted_s)
            self._cpu_counted_s = cpu_used_s
            for _ in range(_SAMPLES_PER_EXPORT):
                due_at = time.monotonic() + _LAG_SAMPLE_INTERVAL_S
                await asyncio.sleep(_LAG_SAMPLE_INTERVAL_S)
                self.report()
                lags.append(max(0.0, time.monotonic() - due_at))
                metrics.EVENT_LOOP_LAG_SECONDS.observe(lags[-1])
            metrics.EVENT_LOOP_LAG_MAX_SECONDS.set(max(lags))
            for export in self.exporters:
                export()


@contextlib.asynccontextmanager
async def running_worker(
    settings: Settings,
    supervisor: SupervisorLink,
    rate_limits: RateLimits,
    *,
    patience_s: float,
    leaves: Callable[[], bool],
) -> AsyncIterator[Worker]:
    """Start a worker's connections and tasks, and stop them in the reverse order.

    Waits up to `patience_s` until it is ready, unless it `leaves`.
    """
    worker = Worker(settings, supervisor, rate_limits)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(worker.database.close)
        await stack.enter_async_context(worker.engine)
        tasks = [asyncio.create_task(_keep_running(run)) for run in worker.background_tasks()]
        deadline = time.monotonic() + patience_s
        try:
            while (  # noqa: ASYNC110
                worker.problems() and time.monotonic() < deadline and not leaves()
            ):
                await asyncio.sleep(_READY_POLL_S)
            worker.accepting = True
            worker.report()
            yield worker
        finally:
            for export in worker.exporters:
                export()
            metrics.WORKERS.set(0)
            metrics.WORKERS_READY.set(0)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _keep_running(run: Callable[[], Awaitable[None]]) -> None:
    """Start a task again if it fails, because no such failure should end the worker."""
    while True:
        try:
            await run()
        except Exception:
            _log.exception("background task failed, starting it again")
        await asyncio.sleep(_RESTART_INTERVAL_S)
