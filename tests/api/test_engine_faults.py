"""Answers when the engine dies: never a failure report for an order of unknown fate."""

import os
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tests.api.orders import limit_order
from tests.support import http
from tests.support.proxy import Proxy
from tests.support.venue import Venue, key_headers, log_lines
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    import httpx


def test_an_order_under_way_when_the_engine_dies_is_of_unknown_fate_until_it_is_looked_up(
    venue_with: Callable[..., Venue],
) -> None:
    venue = venue_with()
    key = venue.open_account()
    body = limit_order(client_order_id="under way")
    with venue.client(key) as client:
        assert client.get("/v2/orders").json() == []
        venue.engine.pause()
        threading.Timer(1, lambda: venue.engine.process.kill()).start()
        lost = client.post("/v2/orders", json=body)
        assert lost.status_code == 503
        assert lost.headers["retry-after"] == "1"
        assert lost.json()["client_order_id"] == "under way"
        assert "outcome is unknown" in lost.json()["detail"]

        venue.engine.process.wait()
        down = client.post("/v2/orders", json=body)
        assert (down.status_code, down.headers["retry-after"]) == (503, "1")
        assert "cannot be reached" in down.json()["detail"]
        assert client.get("/v2/account").status_code == 503
        assert client.get("/healthz").status_code == 200
        # The supervisor knows it from its worker's next report.
        wait_for(lambda: venue.readiness().status_code == 503)
        assert list(venue.readiness().json()["checks"]) == ["engine"]

        venue.start_engine()
        venue.wait_until_ready()
        again = client.post("/v2/orders", json=body)
        assert again.status_code == 200
        by_client_id = {"client_order_id": "under way"}
        found = client.get("/v2/orders:by_client_order_id", params=by_client_id)
        assert found.json() == again.json()
        assert len(client.get("/v2/orders").json()) == 1


def test_a_read_only_engine_refuses_orders_with_a_reason_and_takes_cancels(
    venue_with: Callable[..., Venue],
) -> None:
    venue = venue_with()
    with venue.client(venue.open_account()) as client:
        order = client.post("/v2/orders", json=limit_order()).json()
        path = f"/v2/orders/{order['id']}"
        venue.engine.stop()
        # As much again as is free: below the reserve, and above the fourth where cancels end.
        reserve = 2 * shutil.disk_usage(venue.directory).free
        venue.environment["OPENVENUE_ENGINE_DISK_RESERVE_BYTES"] = str(reserve)
        venue.start_engine()
        venue.wait_until_ready()
        for refused in (
            client.post("/v2/orders", json=limit_order(client_order_id="later")),
            client.patch(path, json={"qty": "2"}),
        ):
            assert refused.status_code == 503
            assert refused.headers["retry-after"] == "10"
            assert refused.headers["content-type"] == "application/problem+json"
            assert refused.json()["code"] == 50310000
            assert "read-only" in refused.json()["detail"]
        assert client.get(path).json()["status"] == "new"
        assert client.delete(path).status_code == 204
        assert client.get(path).json()["status"] == "canceled"
        assert venue.readiness().status_code == 200
        assert 'openvenue_api_engine_refused_total{cause="read_only"} 2.0' in venue.metrics()

        venue.engine.stop()
        del venue.environment["OPENVENUE_ENGINE_DISK_RESERVE_BYTES"]
        venue.start_engine()
        venue.wait_until_ready()
        assert client.post("/v2/orders", json=limit_order(client_order_id="later")).is_success


def test_acknowledged_orders_survive_the_engine(venue_with: Callable[..., Venue]) -> None:
    venue = venue_with()
    with venue.client(venue.open_account()) as client:
        acknowledged = [client.post("/v2/orders", json=limit_order()).json() for _ in range(20)]
        venue.engine.stop(signal.SIGKILL)
        venue.start_engine()
        venue.wait_until_ready()
        assert client.get("/v2/orders").json() == acknowledged[::-1]


def test_a_question_that_the_engine_does_not_answer_is_no_order_of_unknown_fate(
    venue_with: Callable[..., Venue],
) -> None:
    venue = venue_with(engine_reply_timeout_s="1")
    with venue.client(venue.open_account()) as client:
        order = client.post("/v2/orders", json=limit_order()).json()
        unknown = venue.metric("engine_fate_unknown_total")
        venue.engine.pause()
        path = f"/v2/orders/{order['id']}"
        for method, route, body in (
            ("GET", "/v2/account", None),
            ("GET", "/v2/orders", None),
            ("GET", path, None),
            ("PATCH", path, {"qty": "2"}),
        ):
            answer = client.request(method, route, json=body)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            assert "nothing was changed" in answer.json()["detail"], route
        venue.engine.resume()
        venue.wait_until_ready()
        assert client.get(path).json()["status"] == "new"
        assert venue.metric("engine_fate_unknown_total") == unknown


def test_a_mass_cancel_that_the_engine_does_not_answer_may_be_asked_for_again(
    venue_with: Callable[..., Venue],
) -> None:
    venue = venue_with(engine_reply_timeout_s="1")
    with venue.client(venue.open_account()) as client:
        client.post("/v2/orders", json=limit_order())
        venue.engine.pause()
        lost = client.delete("/v2/orders")
        assert (lost.status_code, lost.headers["retry-after"]) == (503, "1")
        assert "outcome is unknown: ask again, which cancels what is" in lost.json()["detail"]
        venue.engine.resume()
        venue.wait_until_ready()
        assert client.delete("/v2/orders").status_code == 207
        assert client.get("/v2/orders").json() == []


def test_a_symbol_that_the_engine_cannot_be_asked_for_is_not_called_unknown(
    venue_with: Callable[..., Venue],
) -> None:
    venue = venue_with(engine_reply_timeout_s="1")
    with venue.client(venue.open_account()) as client:
        assert client.get("/v2/assets/NOPE").status_code == 404
        venue.engine.pause()
        order = limit_order(symbol="NOPE")
        with ThreadPoolExecutor(4) as askers:
            answers = [
                askers.submit(client.get, "/v2/assets/NOPE"),
                askers.submit(client.get, "/v1/book/NOPE"),
                askers.submit(client.get, "/v2/orders?symbols=NOPE"),
                askers.submit(client.post, "/v2/orders", json=order),
            ]
        assert [answer.result().status_code for answer in answers] == [503] * 4
        venue.engine.resume()
        venue.wait_until_ready()
        assert client.post("/v2/orders", json=order).status_code == 422


def test_books_that_the_engine_does_not_answer_hold_a_bounded_number_of_places(
    new_venue: Callable[..., Venue],
) -> None:
    venue = new_venue().start(workers="1", unary_calls_max="2", engine_reply_timeout_s="2")
    with venue.client(venue.open_account(1)) as client:
        assert client.get("/v1/book/AAPL").status_code == 200
        venue.engine.pause()
        with ThreadPoolExecutor(5) as readers:
            answers = list(readers.map(lambda _: client.get("/v1/book/AAPL"), range(5)))
        venue.engine.resume()
        assert sorted(answer.status_code for answer in answers) == [429, 429, 429, 503, 503]
        assert {answer.headers["retry-after"] for answer in answers} == {"1"}
        assert client.get("/v1/book/AAPL").status_code == 200


def test_a_worker_that_dies_is_replaced(venue_with: Callable[..., Venue]) -> None:
    venue = venue_with()
    before = venue.worker_pids()
    (pid,) = before
    os.kill(pid, signal.SIGKILL)
    venue.wait_for_workers(1, other_than=before)
    venue.wait_until_ready()
    assert http.get(f"{venue.url}/healthz").status_code == 200


def test_an_engine_that_a_network_swallows_is_given_up_and_found_again(
    new_venue: Callable[..., Venue],
) -> None:
    venue = new_venue()
    venue.start(projector=False)
    venue.api.stop()
    key = venue.open_account(1)
    with Proxy(port=venue.engine_port) as proxy, http.Client(headers=key_headers(key)) as client:
        venue.start_api(
            workers="1",
            engine_target=f"127.0.0.1:{proxy.port}",
            engine_reply_timeout_s="1",
            engine_keepalive_interval_s="5",
            engine_keepalive_timeout_s="1",
        )
        client.base_url = venue.url
        assert client.post("/v2/orders", json=limit_order()).status_code == 200
        proxy.stall()
        body = limit_order(client_order_id="swallowed")
        lost = client.post("/v2/orders", json=body)
        assert (lost.status_code, lost.headers["retry-after"]) == (503, "1")
        assert lost.json()["client_order_id"] == "swallowed"

        # No byte shows that the connection is dead: only its keepalive does.
        wait_for(lambda: "no session" in venue.readiness().json()["checks"].get("engine", ""))
        refused = client.post("/v2/orders", json=body)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert "cannot be reached" in refused.json()["detail"]

        proxy.resume()
        venue.wait_until_ready()
        assert client.post("/v2/orders", json=body).status_code == 200
        assert len(client.get("/v2/orders").json()) == 2


def test_readiness_fails_while_the_engine_stands_still(new_venue: Callable[..., Venue]) -> None:
    venue = new_venue().start(projector=False, workers="1", engine_reply_timeout_s="60")

    def readiness(status: int, within_s: float) -> dict[str, Any]:
        deadline = time.monotonic() + within_s
        while (answer := venue.readiness()).status_code != status:
            assert time.monotonic() < deadline, answer.text
            time.sleep(0.02)
        found: dict[str, Any] = answer.json()
        return found

    with http.Client(base_url=venue.url, timeout=1) as client:
        assert readiness(200, within_s=0) == {"status": "ok", "checks": {}}
        stopped_at = datetime.now(UTC)
        venue.engine.pause()
        # Less than the keepalive's time, after which the session is given up.
        health = readiness(503, within_s=5)
        assert health["checks"] == {"engine": f"no answer from 127.0.0.1:{venue.engine_port}"}
        since = datetime.fromisoformat(health["since"]["engine"])
        assert 0 < (since - stopped_at).total_seconds() < 5
        assert venue.readiness().json() == health
        assert client.get("/healthz").status_code == 200
        wait_for(lambda: venue.metric("engine_silent_seconds") > 0)
        venue.engine.resume()
        readiness(200, within_s=5)
        wait_for(lambda: venue.metric("engine_silent_seconds") == 0)


def test_a_flood_of_refusals_is_a_line_for_each_cause(new_venue: Callable[..., Venue]) -> None:
    venue = new_venue().start(
        projector=False, workers="1", engine_in_flight_max="2", engine_reply_timeout_s="1"
    )
    with venue.client(venue.open_account(1)) as client, ThreadPoolExecutor(30) as traders:
        assert client.post("/v2/orders", json=limit_order()).status_code == 200
        venue.engine.pause()
        orders = [limit_order(client_order_id=f"order {number}") for number in range(30)]
        answers = list(traders.map(lambda order: client.post("/v2/orders", json=order), orders))
        venue.engine.resume()
        assert Counter(answer.status_code for answer in answers) == {429: 28, 503: 2}
        wait_for(lambda: len(log_lines(venue, "request not carried out")) == 2)
        first, rest = log_lines(venue, "request not carried out")
        assert (first["cause"], first["suppressed"]) == ("busy", 0)
        assert first["reason"] == "2 requests are waiting for the matching engine"
        assert (rest["cause"], rest["suppressed"]) == ("busy", 27)
        wait_for(lambda: len(log_lines(venue, "command of unknown fate")) == 2)
        unknown, other = log_lines(venue, "command of unknown fate")
        assert unknown["reason"] == "the matching engine's reply did not come (no reply in 1 s)"
        assert unknown["client_order_id"] in {order["client_order_id"] for order in orders}
        assert (other["cause"], other["suppressed"]) == ("fate_unknown", 1)


def test_orders_beyond_the_engines_ring_are_refused_and_logged(
    new_venue: Callable[..., Venue],
) -> None:
    venue = new_venue(OPENVENUE_ENGINE_RING_SIZE="1").start(projector=False, workers="1")
    with venue.client(venue.open_account(1)) as client, ThreadPoolExecutor(30) as traders:
        statuses: Counter[int] = Counter()
        deadline = time.monotonic() + 20
        while not statuses[503]:
            assert time.monotonic() < deadline, statuses
            orders = [limit_order(qty="1") for _ in range(100)]
            answers = traders.map(lambda order: client.post("/v2/orders", json=order), orders)
            statuses.update(answer.status_code for answer in answers)
        assert statuses.keys() == {200, 503}
        line = log_lines(venue, "request not carried out")[0]
        assert (line["cause"], line["suppressed"]) == ("ring_full", 0)
        wait_for(lambda: venue.metric("engine_refused_total", cause="ring_full") == statuses[503])


def test_requests_beyond_a_workers_bound_are_too_many(new_venue: Callable[..., Venue]) -> None:
    venue = new_venue().start(projector=False, workers="1", engine_in_flight_max="2")
    with venue.client(venue.open_account(1)) as client:
        assert client.post("/v2/orders", json=limit_order()).status_code == 200
        venue.engine.pause()
        answers: list[httpx.Response] = []
        waiting = [
            threading.Thread(
                target=lambda: answers.append(client.post("/v2/orders", json=limit_order()))
            )
            for _ in range(3)
        ]
        for thread in waiting:
            thread.start()
        wait_for(lambda: answers, within_s=4)  # below the time-out of the two that wait
        assert (answers[0].status_code, answers[0].headers["retry-after"]) == (429, "1")
        assert answers[0].json()["code"] == 42910000
        venue.engine.resume()
        for thread in waiting:
            thread.join()
        assert Counter(answer.status_code for answer in answers) == {200: 2, 429: 1}
