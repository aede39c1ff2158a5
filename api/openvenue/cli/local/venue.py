"""A whole venue on one machine: database, migrations, engine, projector, API, stream and, where
they are wanted, the administration and a market, in that order.

It starts step by step, waiting for each step. It is then supervised, and stops in the reverse
order. Its data stays in the data directory, so the next start continues where this one ended.
"""

import asyncio
import fcntl
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
from alembic.util.exc import CommandError as MigrationError
from pydantic import SecretStr

from openvenue.cli.connection import administration
from openvenue.cli.local import demo
from openvenue.cli.local.data_dir import DataDir, DemoKey, RunningVenue, process_started
from openvenue.cli.local.kept_keys import kept_keys
from openvenue.cli.local.market_day import MarketDay
from openvenue.cli.local.ports import Ports
from openvenue.cli.local.postgres import EmbeddedPostgres
from openvenue.cli.local.processes import Child, keep_running
from openvenue.commands import CommandError
from openvenue.db import migrate
from openvenue.db.alchemy import DATABASE_ERRORS
from openvenue.market.day_trader import ACCOUNTS
from openvenue.market.funding import fund
from openvenue.reasons import reason_of
from openvenue.settings import Settings

_ENGINE_READY_TIMEOUT_S = 120.0
_HTTP_READY_TIMEOUT_S = 60.0
# The engine's own time limit for a stop, plus the end of its process.
_JOURNAL_RELEASE_TIMEOUT_S = 20.0
_POLL_S = 0.1
_POSTGRES_POLL_S = 0.5
# The rest of a server that died holds its shared memory for a moment, until it notices.
_POSTGRES_RESTART_ATTEMPTS = 5

# A refused journal needs a person; see engine/src/exit_codes.h.
_ENGINE_JOURNAL_REFUSED = 3

Result = TypeVar("Result")
Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """Options of a venue."""

    data_dir: DataDir
    plain_dir: DataDir  # the same, under a path that every program can take
    database_url: str | None
    workers: int
    ports: Ports
    engine_binary: Path
    with_demo: bool
    with_market: bool
    quotes_history: bool | None  # None: as the environment says
    market_day: MarketDay | None


@dataclass(slots=True)
class LocalVenue:
    """A running venue."""

    running: RunningVenue
    children: list[Child]
    postgres: EmbeddedPostgres | None
    demo_keys: list[DemoKey]

    async def supervise(self, report: Report) -> None:
        """Restart what dies. Ends only by raising: CommandError if a restart cannot help."""
        tasks = [asyncio.ensure_future(keep_running(child, report)) for child in self.children]
        if self.postgres is not None:
            tasks.append(asyncio.ensure_future(_keep_postgres_running(self.postgres, report)))
        try:
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def venue_up(plan: Plan, report: Report) -> AsyncIterator[LocalVenue]:
    """Start the venue, and stop it at the end, for whatever reason that comes.

    Raises CommandError if a step fails, with advice.
    """
    async with AsyncExitStack() as stack:
        database_url = plan.database_url
        postgres: EmbeddedPostgres | None = None
        if database_url is None:
            report("starting PostgreSQL")
            postgres = EmbeddedPostgres(plan.plain_dir.postgres)
            stack.push_async_callback(asyncio.to_thread, postgres.stop)
            database_url = await _finished(asyncio.to_thread(postgres.start))
        settings = _settings(plan, database_url)
        report("migrating the database")
        await _finished(asyncio.to_thread(_migrate, settings))

        report("starting the engine")
        await _journal_released(plan.data_dir.engine)
        engine = await _start(stack, _engine(plan))
        await _engine_ready(engine, settings)
        if plan.with_demo:
            report("setting up demo instruments and accounts")
            async with administration(settings) as admin:
                await demo.set_up(admin)
        residents: dict[int, str] = {}
        if plan.with_market:
            report("funding the market's traders")
            async with administration(settings) as admin:
                more = ACCOUNTS if plan.market_day is not None else ()
                residents = await fund(admin, demo.PRICES, more)

        report("starting the projector, the API and the stream")
        environment = _environment(plan, settings)
        projector = await _start(stack, _projector(plan, environment))
        keys = []
        if plan.with_demo:
            keys = await kept_keys(plan.data_dir.keys_file, demo.ACCOUNTS, settings)
        if plan.with_market:
            await kept_keys(plan.data_dir.market_keys_file, residents, settings)
        api = await _start(stack, _api(plan, environment))
        stream = await _start(stack, _stream(plan, environment))
        running = RunningVenue(
            pid=os.getpid(),
            started=process_started(os.getpid()) or "",
            api_url=f"http://127.0.0.1:{plan.ports.api}",
            operations_url=f"http://127.0.0.1:{plan.ports.operations}",
            engine_target=settings.engine_target,
            database_url=database_url,
            engine_binary=str(plan.engine_binary),
            engine_admin_target=settings.engine_admin_target,
            engine_admin_token_file=str(plan.data_dir.admin_token_file),
            stream_url=f"ws://127.0.0.1:{plan.ports.stream}",
            admin_url=_admin_url(plan),
        )
        stream_operations_url = f"http://127.0.0.1:{plan.ports.stream_metrics}"
        await _http_ready(api, running.operations_url, (engine, projector))
        await _http_ready(stream, stream_operations_url, (engine, projector))
        children = [engine, projector, api, stream]
        if running.admin_url is not None:
            report("starting the administration over HTTP")
            administrated = await _start(stack, _administration(plan, environment))
            children.append(administrated)
            await _http_ready(administrated, running.admin_url, (engine,), "/openapi.json")
        if plan.with_market:
            report("starting the market")
            children.append(await _start(stack, _market(plan, environment)))
        stack.enter_context(plan.data_dir.announce(running))
        yield LocalVenue(running, children, postgres, keys)
        report("stopping")


async def _keep_postgres_running(postgres: EmbeddedPostgres, report: Report) -> None:
    """Restart the database when it dies; it is no child of this process, so poll it.

    Raises CommandError if it cannot be restarted.
    """
    failures = 0
    while True:
        await asyncio.sleep(_POSTGRES_POLL_S)
        if postgres.running:
            continue
        if failures == 0:
            report(f"PostgreSQL ended, starting it again (log: {postgres.log})")
        try:
            await _finished(asyncio.to_thread(postgres.restart))
        except CommandError:
            failures += 1
            if failures == _POSTGRES_RESTART_ATTEMPTS:
                raise
        else:
            failures = 0
            report("PostgreSQL is up again")


async def _finished(work: Coroutine[Any, Any, Result]) -> Result:
    """Wait for a thread's work even when cancelled: a thread cannot be stopped half-way, and we
    have to know what it started, to stop that."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait((task,))
        raise


async def _start(stack: AsyncExitStack, child: Child) -> Child:
    stack.push_async_callback(child.stop)
    try:
        await child.start()
    except OSError as error:
        raise CommandError(f"cannot run {child.command[0]}: {error.strerror}") from error
    return child


def _settings(plan: Plan, database_url: str) -> Settings:
    return Settings(
        database_url=SecretStr(database_url),
        engine_target=_engine_target(plan),
        engine_admin_target=f"unix:{plan.plain_dir.admin_socket}",
        engine_admin_token_file=plan.data_dir.admin_token_file,
        api_port=plan.ports.api,
        workers=plan.workers,
    )


def _engine_target(plan: Plan) -> str:
    if plan.ports.engine is None:
        return f"unix:{plan.plain_dir.engine_socket}"
    return f"127.0.0.1:{plan.ports.engine}"


def _environment(plan: Plan, settings: Settings) -> dict[str, str]:
    quotes = plan.quotes_history
    return {
        **os.environ,
        **({} if quotes is None else {"OPENVENUE_QUOTES_HISTORY": str(quotes).lower()}),
        "OPENVENUE_DATABASE_URL": settings.database_url.get_secret_value(),
        "OPENVENUE_ENGINE_TARGET": settings.engine_target,
        "OPENVENUE_API_HOST": "127.0.0.1",
        "OPENVENUE_API_PORT": str(settings.api_port),
        "OPENVENUE_OPERATIONS_HOST": "127.0.0.1",
        "OPENVENUE_OPERATIONS_PORT": str(plan.ports.operations),
        "OPENVENUE_WORKERS": str(settings.workers),
        "OPENVENUE_LOG_FORMAT": os.environ.get("OPENVENUE_LOG_FORMAT", "console"),
        "OPENVENUE_PROJECTOR_HTTP_PORT": str(plan.ports.projector_metrics),
        "OPENVENUE_WEBSOCKET_TARGET": f"127.0.0.1:{plan.ports.stream}",
        "OPENVENUE_STREAM_HOST": "127.0.0.1",
        "OPENVENUE_STREAM_PORT": str(plan.ports.stream),
        "OPENVENUE_STREAM_HTTP_PORT": str(plan.ports.stream_metrics),
        **market_environment(f"http://127.0.0.1:{plan.ports.api}", plan.data_dir),
        "OPENVENUE_MARKET_HTTP_PORT": str(plan.ports.market_metrics),
        "PYTHONUNBUFFERED": "1",
    }


def _engine(plan: Plan) -> Child:
    return Child(
        name="engine",
        command=[
            str(plan.engine_binary),
            "serve",
            f"--data-dir={plan.data_dir.engine}",
            f"--shard-id={Settings().shard_id}",
            f"--listen={_engine_target(plan)}",
            f"--admin-listen=unix:{plan.plain_dir.admin_socket}",
            f"--admin-tokens={plan.data_dir.admin_tokens}",
            f"--metrics-listen=127.0.0.1:{plan.ports.engine_metrics}",
        ],
        environment=dict(os.environ),
        log=plan.data_dir.log("engine"),
        stop_timeout_s=30,
        final_exit_codes=frozenset({_ENGINE_JOURNAL_REFUSED}),
    )


def _projector(plan: Plan, environment: dict[str, str]) -> Child:
    return Child(
        name="projector",
        command=[sys.executable, "-m", "openvenue.projector"],
        environment=environment,
        log=plan.data_dir.log("projector"),
        stop_timeout_s=10,
    )


def _api(plan: Plan, environment: dict[str, str]) -> Child:
    return Child(
        name="api",
        command=[sys.executable, "-m", "openvenue.server"],
        environment=environment,
        log=plan.data_dir.log("api"),
        stop_timeout_s=30,
    )


def _stream(plan: Plan, environment: dict[str, str]) -> Child:
    return Child(
        name="stream",
        command=[sys.executable, "-m", "openvenue.stream"],
        environment=environment,
        log=plan.data_dir.log("stream"),
        stop_timeout_s=15,
    )


def _admin_url(plan: Plan) -> str | None:
    return None if plan.ports.admin is None else f"http://127.0.0.1:{plan.ports.admin}"


def _administration(plan: Plan, environment: dict[str, str]) -> Child:
    # Only for readers does it need a token of its own.
    own = {}
    if "OPENVENUE_ADMIN_READERS" in environment:
        own["OPENVENUE_ENGINE_ADMIN_TOKEN_FILE"] = str(plan.data_dir.admin_token_file)
    return Child(
        name="administration",
        command=[sys.executable, "-m", "openvenue.admin_server"],
        environment={
            **environment,
            "OPENVENUE_ENGINE_ADMIN_TARGET": f"unix:{plan.plain_dir.admin_socket}",
            "OPENVENUE_ADMIN_HOST": "127.0.0.1",
            "OPENVENUE_ADMIN_PORT": str(plan.ports.admin),
            **own,
        },
        log=plan.data_dir.log("administration"),
        stop_timeout_s=15,
    )


def market_environment(api_url: str, data_dir: DataDir) -> dict[str, str]:
    """Return the settings of a market of the demo instruments."""
    return {
        "OPENVENUE_MARKET_API_URL": api_url,
        "OPENVENUE_MARKET_KEYS_FILE": str(data_dir.market_keys_file.absolute()),
        "OPENVENUE_MARKET_PRICES": json.dumps({s: str(p) for s, p in demo.PRICES.items()}),
    }


def _market(plan: Plan, environment: dict[str, str]) -> Child:
    return Child(
        name="market",
        command=[sys.executable, "-m", "openvenue.market"],
        environment={**environment, **(plan.market_day.environment() if plan.market_day else {})},
        log=plan.data_dir.log("market"),
        stop_timeout_s=15,
    )


def _migrate(settings: Settings) -> None:
    try:
        migrate.bring_up_to_date(settings)
    except (MigrationError, RuntimeError, *DATABASE_ERRORS) as error:
        raise CommandError(
            f"the database cannot be migrated ({reason_of(error)}): check that --database-url "
            "names a PostgreSQL that is up and whose user may create tables"
        ) from error


async def _journal_released(directory: Path) -> None:
    """Wait for the engine of a killed venue, which ends by itself a moment later.

    If an engine holds the journal for longer, it is another venue's: the next engine refuses and
    names it.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        async with asyncio.timeout(_JOURNAL_RELEASE_TIMEOUT_S):
            while not _lock(descriptor):  # noqa: ASYNC110
                await asyncio.sleep(_POLL_S)
    except TimeoutError:
        pass
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


async def _engine_ready(engine: Child, settings: Settings) -> None:
    """Waits until the engine has recovered its journal and answers."""
    async with administration(settings) as admin:
        await _ready(engine, admin.is_serving, _ENGINE_READY_TIMEOUT_S)


async def _http_ready(
    child: Child, url: str, needed: Sequence[Child], path: str = "/readyz"
) -> None:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as http:

        async def is_ready() -> bool:
            try:
                async with http.get(f"{url}{path}") as response:
                    return response.status == 200
            except (aiohttp.ClientError, TimeoutError):
                return False

        await _ready(child, is_ready, _HTTP_READY_TIMEOUT_S, needed)


async def _ready(
    child: Child,
    is_ready: Callable[[], Awaitable[bool]],
    timeout_s: float,
    needed: Sequence[Child] = (),
) -> None:
    """Poll until the child is ready.

    Raises CommandError if it, or a child that it needs, dies, or if it takes too long.
    """
    deadline = time.monotonic() + timeout_s
    while not await is_ready():
        for each in (*needed, child):
            if not each.running:
                raise each.died()
        if time.monotonic() > deadline:
            raise CommandError(
                f"{child.name} is not ready after {timeout_s:.0f} s; the end of {child.log}:\n"
                f"{child.log_tail()}"
            )
        await asyncio.sleep(_POLL_S)
