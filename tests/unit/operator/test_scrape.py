"""Pods that hang, lie, answer too much or are gone are read within bounds, and distinguished."""

import asyncio
import gzip
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web
from openvenue_operator.scrape import (
    LOAD_WINDOW_S,
    TEXT_BYTES_MAX,
    TIMEOUT_S,
    Scraper,
    Target,
    new_session,
)

from tests.support.exposition_text import PodMetrics

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def serve() -> AsyncIterator[Callable[[Handler], Awaitable[Target]]]:
    """Yield a function that serves a handler as a pod's /metrics and returns the pod."""
    runners: list[web.AppRunner] = []

    async def start(handler: Handler) -> Target:
        app = web.Application()
        app.router.add_get("/metrics", handler)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
        runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        return Target(f"uid-{port}", 0, (f"http://127.0.0.1:{port}/metrics",))

    yield start
    for runner in runners:
        await runner.cleanup()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def scraper(clock: Clock) -> AsyncIterator[Scraper]:
    async with new_session() as session:
        yield Scraper(session, clock)


def saying(pod: PodMetrics) -> Handler:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(text=pod.text())

    return answer


async def hangs(_request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(60)
    return web.Response()


async def drips(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(600):
        await response.write(b"#\n")
        await asyncio.sleep(0.1)
    return response


async def shouts(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(2 * TEXT_BYTES_MAX // 65_536):
        await response.write(b"#" * 65_535 + b"\n")
    return response


async def packs(_request: web.Request) -> web.StreamResponse:
    body = gzip.compress(b"#" * (64 << 20))
    return web.Response(body=body, headers={"Content-Encoding": "gzip"})


async def fails(_request: web.Request) -> web.StreamResponse:
    return web.Response(status=500, text=PodMetrics().text())


async def sends_elsewhere(request: web.Request) -> web.StreamResponse:
    raise web.HTTPFound(f"http://{request.host}/metrics?again")


async def speaks_bytes(_request: web.Request) -> web.StreamResponse:
    return web.Response(body=b"\xff\xfe\x00")


@pytest.mark.parametrize(
    ("handler", "problem"),
    [
        (hangs, "does not answer within"),
        (drips, "does not answer within"),
        (shouts, "nonsense: more than"),
        (packs, "nonsense"),
        (fails, "nonsense: HTTP status 500"),
        (sends_elsewhere, "nonsense: HTTP status 302"),
        (speaks_bytes, "nonsense: not UTF-8"),
    ],
)
async def test_a_pod_that_misbehaves_is_named_and_delays_no_other(
    serve: Callable[[Handler], Awaitable[Target]], scraper: Scraper, handler: Handler, problem: str
) -> None:
    bad, good = await serve(handler), await serve(saying(PodMetrics(workers=3)))
    started_at = time.monotonic()
    answers = await scraper.read_all([bad, good])
    assert time.monotonic() - started_at < TIMEOUT_S + 1
    assert answers[bad.uid].report is None
    assert problem in (answers[bad.uid].problem or "")
    report = answers[good.uid].report
    assert report is not None
    assert report.workers == 3


async def test_a_pod_that_does_not_listen_cannot_be_asked(scraper: Scraper) -> None:
    answers = await scraper.read_all(
        [Target("gone", 0, ("http://127.0.0.1:1/metrics",)), Target("new", 0, ())]
    )
    assert "cannot be asked" in (answers["gone"].problem or "")
    assert answers["new"].problem == "has no address yet"


async def test_many_pods_that_hang_take_a_bounded_time(
    serve: Callable[[Handler], Awaitable[Target]], clock: Clock
) -> None:
    one = await serve(hangs)
    pods = [Target(f"uid-{number}", 0, one.urls) for number in range(400)]
    async with new_session() as session:
        scraper = Scraper(session, clock, timeout_s=0.5, all_timeout_s=1.5)
        started_at = time.monotonic()
        answers = await scraper.read_all(pods)
        assert time.monotonic() - started_at < 1.5 + 2
    assert len(answers) == 400
    assert any("was not asked" in (answer.problem or "") for answer in answers.values())


async def test_load_is_measured_over_a_window(
    serve: Callable[[Handler], Awaitable[Target]], scraper: Scraper, clock: Clock
) -> None:
    pod = PodMetrics()
    target = await serve(saying(pod))
    windows = []
    for _ in range(40):
        report = (await scraper.read_all([target]))[target.uid].report
        assert report is not None
        windows.append(report.load.seconds if report.load else None)
        clock.now += 1.5
        pod.work(1.5, cores=0.3, orders_per_s=10, p99_s=0.001)
    assert windows[0] is None
    assert windows[1] == 1.5
    assert {window for window in windows[10:] if window is not None} == {LOAD_WINDOW_S}


async def test_counters_that_went_back_cost_one_answer(
    serve: Callable[[Handler], Awaitable[Target]], scraper: Scraper, clock: Clock
) -> None:
    pod = PodMetrics(cpu_s=100)
    target = await serve(saying(pod))
    problems = []
    for number in range(8):
        if number == 4:
            pod.cpu_s = 1
        problems.append((await scraper.read_all([target]))[target.uid].problem)
        clock.now += 5
    assert [number for number, problem in enumerate(problems) if problem] == [4]
    assert "went back" in (problems[4] or "")


async def test_a_container_that_restarted_begins_anew(
    serve: Callable[[Handler], Awaitable[Target]], scraper: Scraper, clock: Clock
) -> None:
    pod = PodMetrics(cpu_s=100)
    target = await serve(saying(pod))
    await scraper.read_all([target])
    clock.now += 5
    pod.cpu_s = 1
    answer = (await scraper.read_all([target._replace(restarts=1)]))[target.uid]
    assert answer.problem is None
    assert answer.report is not None
    assert answer.report.load is None


async def test_a_pod_whose_first_port_is_closed_is_asked_at_the_next(
    serve: Callable[[Handler], Awaitable[Target]], scraper: Scraper
) -> None:
    target = await serve(saying(PodMetrics(workers=3)))
    both = target._replace(urls=("http://127.0.0.1:1/metrics", *target.urls))
    report = (await scraper.read_all([both]))[target.uid].report
    assert report is not None
    assert report.workers == 3
