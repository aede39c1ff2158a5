"""The market process: `python -m openvenue.market`, ended by SIGTERM or SIGINT."""

from openvenue.first_process import end_at_sigterm

end_at_sigterm()  # Before imports that take a second.

import asyncio
import fcntl
import os
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import msgspec
import uvloop

from openvenue.market import day_trader
from openvenue.market.agents import residents
from openvenue.market.client import MarketClient, read_keys
from openvenue.market.day import RecordedDay
from openvenue.market.metrics import FAILURES, REGISTRY
from openvenue.market.pace import Pace
from openvenue.market.rounds import Rounds
from openvenue.market.settings import MarketSettings
from openvenue.replay.lines import MalformedFile
from openvenue.replay.venue import Credentials, Refused, Venue, VenueUnavailable
from openvenue.serving.operations import probes_of_one, serving_probes
from openvenue.serving.sockets import listen
from openvenue.settings import bad_settings_end_the_process, get_settings
from openvenue.telemetry import configure_logging, get_logger

FAULT = 3  # exit status: a restart would not help
_KEY_REFUSED = frozenset((401, 403))
_BACKOFF_FIRST_S = 0.5
_LEAVE_TIMEOUT_S = 5.0
# A late round is made up for no further than this.
_STEP_MAX_S = 60.0

_log = get_logger(__name__)


class MarketFault(Exception):
    """The keys are missing or refused; says what to do."""


class _State:
    """State that the probes report."""

    problem: str | None = "starting"

    def waits(self, reason: str) -> None:
        self.problem = reason


async def serve() -> None:
    """Trade until a signal."""
    with bad_settings_end_the_process():
        shared, own = get_settings(), MarketSettings()
    configure_logging(shared.log_level, shared.log_format)
    stop = asyncio.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    try:
        await run(own, stop)
    except MarketFault as fault:
        _log.error("market ended: trying again would not help", reason=str(fault))
        raise SystemExit(FAULT) from fault


async def run(own: MarketSettings, stop: asyncio.Event) -> None:
    """Trade until `stop` is set. Raises MarketFault."""
    agents = residents()
    names = [agent.name for agent in agents]
    day = _day(own.day_file) if own.day_file else None
    keys = _keys(own, [*names, *(day_trader.ACCOUNTS if day else ())])
    state = _State()
    async with AsyncExitStack() as stack:
        if own.http_port:
            probes = stack.enter_context(listen(own.http_host, own.http_port))
            await stack.enter_async_context(
                serving_probes(probes, probes_of_one("market", lambda: state.problem, REGISTRY))
            )
        venue = await stack.enter_async_context(Venue(own.api_url, keys, 4, state.waits))
        client = MarketClient(venue)
        rounds = Rounds(client, agents, own)
        _log.info("market starts", seed=rounds.seed)
        leaves = [rounds.leave]
        tasks = [asyncio.ensure_future(_play(rounds, own, state))]
        if day is not None and (symbol := own.replayed_symbol):
            trader = day_trader.DayTrader(
                client, len(names), len(names) + 1, day, partial(rounds.follow, symbol)
            )
            leaves.append(trader.leave)
            tasks.append(asyncio.ensure_future(_replay(trader, day, rounds, own)))
        stopping = asyncio.ensure_future(stop.wait())
        await asyncio.wait((*tasks, stopping), return_when=asyncio.FIRST_COMPLETED)
        for task in (*tasks, stopping):
            task.cancel()
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended
        await _leave(leaves)


async def _play(rounds: Rounds, own: MarketSettings, state: _State) -> None:
    """Play round after round; while the venue is away, wait with backoff."""
    backoff_s = _BACKOFF_FIRST_S
    last = time.monotonic() - own.round_s
    while True:
        started = time.monotonic()
        try:
            await rounds.play(min(started - last, _STEP_MAX_S), spread_over_s=own.round_s * 0.8)
        except (VenueUnavailable, Refused) as error:
            if isinstance(error, Refused) and error.status in _KEY_REFUSED:
                raise _keys_refused(own, error) from error
            state.problem = str(error)
            FAILURES.inc()
            _log.warning("the venue is away", reason=str(error), retry_in_s=backoff_s)
            await asyncio.sleep(backoff_s)
            backoff_s = min(backoff_s * 2, own.backoff_max_s)
            continue
        state.problem = None
        backoff_s = _BACKOFF_FIRST_S
        last = started
        await asyncio.sleep(max(0.0, started + own.round_s - time.monotonic()))


async def _replay(
    trader: day_trader.DayTrader, day: RecordedDay, rounds: Rounds, own: MarketSettings
) -> None:
    """Play the day lap after lap; when the venue was away, from its beginning."""
    symbol = own.replayed_symbol
    assert symbol is not None
    traded = True
    while True:
        try:
            start = await rounds.start_of(symbol)
            if start is None:
                # The first round is not over, or the instrument is halted or has no price.
                if traded and rounds.symbols:
                    _log.warning("the day waits: its symbol is not traded", symbol=symbol)
                    traded = False
                await asyncio.sleep(own.round_s)
                continue
            traded = True
            pace = Pace(day.first_s, own.day_speed, own.day_orders_per_second_max)
            await trader.lap(start, pace)
            await asyncio.sleep(own.round_s)  # Or a day of one order would be a storm of requests.
        except (MalformedFile, OSError) as error:
            raise MarketFault(f"the day cannot be read any more: {error}") from error
        except (VenueUnavailable, Refused) as error:
            if isinstance(error, Refused) and error.status in _KEY_REFUSED:
                raise _keys_refused(own, error) from error
            FAILURES.inc()
            _log.warning("the day starts anew when the venue is back", reason=str(error))
            await asyncio.sleep(own.backoff_max_s)


async def _leave(leaves: Sequence[Callable[[], Awaitable[None]]]) -> None:
    """Cancel all orders, if the venue still answers."""
    try:
        async with asyncio.timeout(_LEAVE_TIMEOUT_S):
            for leave in leaves:
                await leave()
    except (TimeoutError, VenueUnavailable, Refused) as error:
        _log.warning("orders stay open until the next start", reason=str(error) or "no answer")


def _keys_refused(own: MarketSettings, error: Refused) -> MarketFault:
    return MarketFault(
        f"the venue refuses the keys of {own.keys_file} ({error}): have them made anew with "
        "`openvenue market fund`"
    )


def _day(file: Path) -> RecordedDay:
    try:
        return RecordedDay.read(file)
    except (MalformedFile, OSError) as error:
        raise MarketFault(f"OPENVENUE_MARKET_DAY_FILE: {error}") from error


def _keys(own: MarketSettings, names: list[str]) -> list[Credentials]:
    try:
        # Never closed: the lock lasts as long as the process.
        descriptor = os.open(own.keys_file, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        keys = read_keys(own.keys_file.read_bytes())
    except BlockingIOError as error:
        raise MarketFault(
            f"another market uses the keys of {own.keys_file}: two would cancel each other's orders"
        ) from error
    except (OSError, msgspec.MsgspecError) as error:
        raise MarketFault(
            f"{own.keys_file} cannot be read ({error}): `openvenue market fund` writes it, and "
            "OPENVENUE_MARKET_KEYS_FILE names it"
        ) from error
    if missing := [name for name in names if name not in keys]:
        raise MarketFault(
            f"{own.keys_file} has no key of {', '.join(missing)}: `openvenue market fund` adds "
            "it, with --day for those of a day"
        )
    return [keys[name] for name in names]


def main() -> None:
    uvloop.run(serve())


if __name__ == "__main__":
    main()
