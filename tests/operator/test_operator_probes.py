"""The operator's HTTP port: alive while it looks, and open about what it saw."""

import time
from dataclasses import dataclass, field

import aiohttp
import msgspec
from openvenue_operator.model import (
    ApiSpec,
    EngineSpec,
    Memory,
    Observation,
    Situation,
    VenueSpec,
)
from openvenue_operator.probes import serving

SITUATION = Situation(
    spec=VenueSpec(api=ApiSpec(deployment="api"), engine=EngineSpec(stateful_set="engine")),
    observation=Observation(
        generation=1,
        deployment=None,
        pods=(),
        applied=None,
        started_with=None,
        database=None,
        engine=None,
        other_venue=None,
    ),
    memory=Memory(),
    now=1_800_000_000.0,
)


@dataclass
class Loop:
    namespace: str = "venues"
    name: str = "venue"
    finished_at: float = field(default_factory=time.monotonic)
    situation: Situation | None = None


async def ask(port: int, path: str) -> tuple[int, str]:
    url = f"http://127.0.0.1:{port}{path}"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, await response.text()


async def test_it_is_alive_while_each_venue_is_looked_at() -> None:
    loops = [Loop()]
    async with serving("127.0.0.1", 0, loops, hang_timeout_s=60) as port:
        assert await ask(port, "/healthz") == (200, "ok")
        loops.append(Loop(name="stuck", finished_at=time.monotonic() - 61))
        status, text = await ask(port, "/healthz")
        assert status == 503
        assert "venues/stuck: no look finished for 61 s" in text
        loops.pop()
        assert (await ask(port, "/healthz"))[0] == 200


async def test_it_shows_its_metrics() -> None:
    async with serving("127.0.0.1", 0, [], hang_timeout_s=60) as port:
        status, text = await ask(port, "/metrics")
        assert status == 200
        assert 'openvenue_operator_writes_total{kind="status"}' in text


async def test_it_shows_what_the_last_plan_was_made_from() -> None:
    loop = Loop()
    async with serving("127.0.0.1", 0, [loop], hang_timeout_s=60) as port:
        assert (await ask(port, "/venues/venues/venue"))[0] == 404
        loop.situation = SITUATION
        status, text = await ask(port, "/venues/venues/venue")
        assert status == 200
        assert msgspec.json.decode(text, type=Situation) == SITUATION
        assert (await ask(port, "/venues/venues/other"))[0] == 404
