"""The operator's HTTP port: alive while it reconciles, with the input of its plans."""

import socket
import time
from dataclasses import dataclass, field

import aiohttp
import msgspec
from openvenue_operator.model import Memory, Observation, Situation
from openvenue_operator.probes import Readiness, listening_socket, serving
from openvenue_operator.spec import ApiSpec, EngineSpec, VenueSpec

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
    succeeded_at: float = field(default_factory=time.monotonic)
    situation: Situation | None = None


def ready() -> Readiness:
    """Return the readiness of an operator that watches Venues."""
    readiness = Readiness(failing_timeout_s=300)
    readiness.problem = None
    return readiness


async def ask(port: int, path: str) -> tuple[int, str]:
    url = f"http://127.0.0.1:{port}{path}"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, await response.text()


async def test_it_is_alive_while_each_venue_is_looked_at() -> None:
    loops = [Loop()]
    async with serving("127.0.0.1", 0, loops, hang_timeout_s=60, readiness=ready()) as port:
        assert await ask(port, "/healthz") == (200, "ok")
        loops.append(Loop(name="stuck", finished_at=time.monotonic() - 61))
        status, text = await ask(port, "/healthz")
        assert status == 503
        assert "venues/stuck: no reconciliation finished for 61 s" in text
        loops.pop()
        assert (await ask(port, "/healthz"))[0] == 200


async def test_it_shows_its_metrics() -> None:
    async with serving("127.0.0.1", 0, [], hang_timeout_s=60, readiness=ready()) as port:
        status, text = await ask(port, "/metrics")
        assert status == 200
        assert 'openvenue_operator_writes_total{kind="status"}' in text


async def test_it_shows_what_the_last_plan_was_made_from() -> None:
    loop = Loop()
    async with serving("127.0.0.1", 0, [loop], hang_timeout_s=60, readiness=ready()) as port:
        assert (await ask(port, "/venues/venues/venue"))[0] == 404
        loop.situation = SITUATION
        status, text = await ask(port, "/venues/venues/venue")
        assert status == 200
        assert msgspec.json.decode(text, type=Situation) == SITUATION
        assert (await ask(port, "/venues/venues/other"))[0] == 404


async def test_it_is_ready_once_it_may_read_venues_and_while_looks_do_not_all_fail() -> None:
    loops, readiness = [Loop()], Readiness(failing_timeout_s=300)
    async with serving("127.0.0.1", 0, loops, hang_timeout_s=60, readiness=readiness) as port:
        assert (await ask(port, "/readyz"))[0] == 503
        readiness.problem = None
        assert await ask(port, "/readyz") == (200, "ok")
        loops.append(Loop(name="refused", succeeded_at=time.monotonic() - 301))
        status, text = await ask(port, "/readyz")
        assert status == 503
        assert "venues/refused: every reconciliation has failed for 301 s" in text
        assert (await ask(port, "/healthz"))[0] == 200


def test_all_addresses_are_those_of_both_families() -> None:
    with listening_socket("::", 0) as listening:
        port = listening.getsockname()[1]
        hosts = ("127.0.0.1", "::1") if socket.has_dualstack_ipv6() else ("127.0.0.1",)
        for host in hosts:
            with socket.create_connection((host, port), timeout=5):
                pass


def test_an_ipv6_address_is_listened_at() -> None:
    if not socket.has_ipv6:
        return
    with listening_socket("::1", 0) as listening:
        assert listening.family is socket.AF_INET6
