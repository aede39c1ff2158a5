"""POST /v2/orders:batch and /v2/orders:cancel: each item for itself, and the batch as a whole."""

import asyncio
import json
import signal
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openvenue.http.app import Application
from openvenue.http.order_batch_body import ORDERS_PER_BATCH_MAX, decode_new_orders
from openvenue.http.order_body import decode_new_order
from openvenue.http.problems import Problem
from openvenue.security.keys import NewKey

from tests.api.orders import client_of, limit_order, worker_of
from tests.support.examples import examples
from tests.support.venue import Venue

BATCH, CANCEL = "/v2/orders:batch", "/v2/orders:cancel"
AS_ACCEPTED = {"Prefer": ""}


def batch(client: httpx.Client, *orders: Any, **headers: str) -> list[dict[str, Any]]:
    answer = client.post(BATCH, json={"orders": orders}, headers=headers)
    assert answer.status_code == 207, answer.text
    results: list[dict[str, Any]] = answer.json()
    assert len(results) == len(orders)
    return results


def cancel(client: httpx.Client, **wanted: list[str]) -> list[dict[str, Any]]:
    answer = client.post(CANCEL, json=wanted)
    assert answer.status_code == 207, answer.text
    results: list[dict[str, Any]] = answer.json()
    return results


def statuses(results: list[dict[str, Any]]) -> list[int]:
    return [result["status"] for result in results]


def without_place(problem: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in problem.items() if name != "instance"}


def test_each_order_of_a_batch_gets_what_it_would_get_alone(client: httpx.Client) -> None:
    orders: list[Any] = [
        limit_order(client_order_id="first of many"),
        limit_order(symbol="NOPE"),
        limit_order(qty="0"),
        limit_order(stopPrice="5"),
        limit_order(side="sell", qty="1"),
        limit_order(qty="900000", limit_price="1000"),
        limit_order(order_class="bracket"),
        limit_order(subtag="only describes"),
        7,
        limit_order(symbol="BTC/USD", qty="0.5", time_in_force="ioc"),
    ]
    results = batch(client, *orders)
    assert statuses(results) == [200, 422, 422, 422, 403, 403, 422, 200, 422, 200]
    assert results[9]["body"]["status"] == "canceled"
    for order, result in zip(orders, results, strict=True):
        alone = client.post("/v2/orders", json=order)
        assert alone.status_code == result["status"], order
        if alone.is_error:
            assert without_place(alone.json()) == without_place(result["body"])
            assert result["body"]["instance"] == BATCH
    read = client.get("/v2/orders:by_client_order_id?client_order_id=first of many").json()
    assert results[0]["body"] == read


def test_orders_of_a_batch_are_executed_in_their_order(
    venue: Venue, client: httpx.Client, account: NewKey
) -> None:
    venue.give(account.account_id, 1, 500)
    prices = [f"{71 + number / 100:.2f}" for number in range(300)]
    sells = [limit_order(side="sell", qty="1", limit_price=price) for price in prices]
    buy = limit_order(qty="250", limit_price="80", time_in_force="ioc")
    results = batch(client, *sells, buy, Prefer="wait")
    assert set(statuses(results)) == {200}
    assert results[-1]["body"]["filled_qty"] == "250"
    ids = [result["body"]["id"] for result in results]
    assert ids == sorted(ids)
    answer = client.post(BATCH, json={"orders": [limit_order()]})
    assert answer.headers["Preference-Applied"] == "wait"
    client.delete("/v2/orders")


def test_orders_of_a_batch_are_answered_as_they_were_accepted(client: httpx.Client) -> None:
    order = limit_order(time_in_force="ioc", client_order_id="accepted in a batch")
    (result,) = batch(client, order, **AS_ACCEPTED)
    assert result["body"]["status"] == "accepted"
    assert batch(client, order, **AS_ACCEPTED) == [result]
    assert batch(client, order, Prefer="wait")[0]["body"]["status"] == "canceled"


def test_the_same_order_twice_in_a_batch_is_one_order(client: httpx.Client) -> None:
    order = limit_order(client_order_id="twice")
    first, again, other = batch(client, order, order, {**order, "qty": "11"})
    assert first == again
    assert (other["status"], other["body"]["message"]) == (422, "client_order_id must be unique")
    assert [one["id"] for one in client.get("/v2/orders").json()] == [first["body"]["id"]]


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"", 400, "request body format is invalid"),
        (b'{"orders": [', 400, "request body format is invalid"),
        (b'{"orders": [{"qty": "1", "qty": "2"}]}', 400, "'qty' is given twice"),
        (b'{"orders": [], "orders": []}', 422, "length"),
        (b"[]", 422, "Expected `object`, got `array`"),
        (b"{}", 422, "orders is required"),
        (b'{"orders": []}', 422, "length >= 1"),
        (b'{"orders": [{}], "all_or_none": true}', 422, "all_or_none"),
    ],
)
def test_what_is_no_batch_is_refused_as_a_whole(
    client: httpx.Client, body: bytes, status: int, message: str
) -> None:
    answer = client.post(BATCH, content=body)
    assert (answer.status_code, answer.headers["content-type"]) == (
        status,
        "application/problem+json",
    )
    assert message in answer.json()["message"]


def test_a_field_twice_is_found_in_a_batch_of_good_orders(client: httpx.Client) -> None:
    order = json.dumps(limit_order())
    twice = order.replace('"qty": "10"', '"qty": "10", "qty": "11"')
    optional = order.replace('"limit_price"', '"limit_price": "9", "limit_price"')
    for bad in (twice, optional):
        body = f'{{"orders": [{order}, {bad}]}}'
        answer = client.post(BATCH, content=body.encode())
        assert answer.status_code == 400
        assert "is given twice" in answer.json()["message"]
    assert client.get("/v2/orders").json() == []


def test_a_batch_is_bounded(client: httpx.Client) -> None:
    order = limit_order(qty="1", time_in_force="ioc")
    full = batch(client, *[order] * ORDERS_PER_BATCH_MAX)
    assert set(statuses(full)) == {200}
    assert len({result["body"]["id"] for result in full}) == ORDERS_PER_BATCH_MAX
    more = client.post(BATCH, json={"orders": [order] * (ORDERS_PER_BATCH_MAX + 1)})
    assert (more.status_code, "length <= 1000" in more.json()["message"]) == (422, True)
    padded = json.dumps({"orders": [{**order, "subtag": "x" * (1 << 20)}]})
    large = client.post(BATCH, content=padded.encode())
    assert (large.status_code, large.json()["code"]) == (413, 41310000)


def test_a_batch_of_unknown_symbols_waits_once_for_the_engine(client: httpx.Client) -> None:
    orders = [limit_order(symbol=f"UNKNOWN{number}") for number in range(100)]
    results = batch(client, *orders)
    assert set(statuses(results)) == {422}
    assert results[7]["body"]["message"] == "asset 'UNKNOWN7' is not found"


def test_an_upper_case_asset_id_serves_as_the_symbol(client: httpx.Client) -> None:
    asset_id = client.get("/v2/assets/AAPL").json()["id"].upper()
    assert batch(client, limit_order(symbol=asset_id))[0]["body"]["symbol"] == "AAPL"


def test_a_read_only_key_sends_no_batches(
    venue: Venue, client: httpx.Client, account: NewKey
) -> None:
    order = client.post("/v2/orders", json=limit_order()).json()
    with venue.client(venue.read_only_key(account.account_id)) as reader:
        for path, body in ((BATCH, {"orders": [limit_order()]}), (CANCEL, {"ids": [order["id"]]})):
            answer = reader.post(path, json=body)
            assert (answer.status_code, answer.json()["code"]) == (403, 40110000)
    assert client.get("/v2/orders").json() == [order]


def test_a_suspended_account_gets_a_refusal_for_each_new_order(client: httpx.Client) -> None:
    known = limit_order(client_order_id="before the suspension")
    entered = client.post("/v2/orders", json=known).json()
    client.patch("/v2/account/configurations", json={"suspend_trade": True})
    results = batch(client, limit_order(), known, limit_order())
    assert statuses(results) == [403, 200, 403]
    assert results[1]["body"]["id"] == entered["id"]
    client.patch("/v2/account/configurations", json={"suspend_trade": False})


def test_orders_are_canceled_in_a_batch(client: httpx.Client, account: NewKey) -> None:
    orders = [
        result["body"]
        for result in batch(
            client, *(limit_order(client_order_id=f"to cancel {number}") for number in range(4))
        )
    ]
    unknown = "00000000-0000-8000-8000-00000000ffff"
    ids = [orders[0]["id"], unknown, "no id", orders[1]["id"], orders[0]["id"]]
    results = cancel(client, ids=ids)
    assert statuses(results) == [200, 404, 404, 200, 422]
    assert [results[place]["body"]["id"] for place in (0, 3)] == [ids[0], ids[3]]
    assert results[0]["body"]["status"] == "canceled"
    assert results[4]["body"]["message"] == 'order is already in "canceled" state'
    names = ["to cancel 2", "never used", "to cancel 1", "to cancel 3", "\n"]
    results = cancel(client, client_order_ids=names)
    assert statuses(results) == [200, 404, 422, 200, 422]
    assert client.get("/v2/orders").json() == []


def test_orders_of_another_account_are_not_canceled(
    venue: Venue, client: httpx.Client, new_account: Callable[..., NewKey]
) -> None:
    order = client.post("/v2/orders", json=limit_order(client_order_id="not yours")).json()
    with venue.client(new_account()) as stranger:
        assert statuses(cancel(stranger, ids=[order["id"]])) == [404]
        assert statuses(cancel(stranger, client_order_ids=["not yours"])) == [404]
    assert client.get("/v2/orders").json() == [order]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"ids": []},
        {"ids": ["x"], "client_order_ids": ["y"]},
        {"ids": ["x"], "symbols": ["AAPL"]},
        {"ids": ["x"] * (ORDERS_PER_BATCH_MAX + 1)},
        [],
    ],
)
def test_what_does_not_say_which_orders_to_cancel_is_refused(
    client: httpx.Client, body: Any
) -> None:
    assert client.post(CANCEL, json=body).status_code == 422


def test_a_batch_sent_again_over_a_kill_of_the_engine_enters_each_order_once(
    venue_with: Callable[..., Venue],
) -> None:
    venue = venue_with(engine_reply_timeout_s="2")
    with venue.client(venue.open_account()) as client:
        orders = [
            limit_order(client_order_id=f"killed {number}", limit_price="1", qty="1")
            for number in range(ORDERS_PER_BATCH_MAX)
        ]
        killer = threading.Timer(0.1, venue.engine.stop, [signal.SIGKILL])
        acknowledged: dict[str, str] = {}
        unknown = 0
        # Batches go on until the engine is gone.
        for start in range(200):
            names = [
                {**order, "client_order_id": f"{start} {number}"}
                for number, order in enumerate(orders[:200])
            ]
            answer = client.post(BATCH, json={"orders": names})
            if answer.status_code != 207:
                assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
                break
            results = answer.json()
            for order, result in zip(names, results, strict=True):
                if result["status"] == 200:
                    acknowledged[order["client_order_id"]] = result["body"]["id"]
                else:
                    unknown += 1
                    assert result["status"] == 503
                    assert result["body"]["client_order_id"] == order["client_order_id"]
            if unknown:
                break
            if start == 0:
                killer.start()
        killer.join()
        venue.start_engine()
        venue.wait_until_ready()
        assert acknowledged
        results = batch(client, *names)
        assert set(statuses(results)) == {200}
        for order, result in zip(names, results, strict=True):
            name = order["client_order_id"]
            assert acknowledged.setdefault(name, result["body"]["id"]) == result["body"]["id"]
        assert batch(client, *names) == results
        for name in list(acknowledged)[::97]:
            found = client.get("/v2/orders:by_client_order_id", params={"client_order_id": name})
            assert found.json()["id"] == acknowledged[name]
        ids = set()
        before: dict[str, str] = {}
        while page := client.get("/v2/orders", params={"limit": 500, **before}).json():
            ids |= {order["id"] for order in page}
            before = {"before_order_id": page[-1]["id"]}
        assert ids == set(acknowledged.values())


async def test_a_batch_without_engine_is_refused_as_a_whole_and_one_that_waits_is_of_unknown_fate(
    application: Application, account: NewKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = worker_of(application).engine
    submit_all = engine.submit_all

    async with client_of(application, account) as client:
        # The server stops while the engine has the orders.
        waiting = asyncio.Event()

        def submit_and_tell(requests: Any) -> Any:
            waiting.set()
            lost: list[asyncio.Future[Any]] = [asyncio.Future() for _ in requests[1:]]
            return [*submit_all(requests[:1]), *lost]

        monkeypatch.setattr(engine, "submit_all", submit_and_tell)
        orders = [limit_order(client_order_id=f"stopped {number}") for number in range(3)]
        request = asyncio.create_task(client.post(BATCH, json={"orders": orders}))
        await waiting.wait()
        await asyncio.sleep(0.5)
        request.cancel()
        results = (await request).json()
        assert statuses(results) == [200, 503, 503]
        for order, result in zip(orders[1:], results[1:], strict=True):
            assert result["body"]["client_order_id"] == order["client_order_id"]
            assert "outcome is unknown" in result["body"]["message"]


ORDER_TEXTS = st.lists(
    st.sampled_from(
        [
            json.dumps(limit_order()),
            json.dumps(limit_order(client_order_id='"qty"')),
            json.dumps({**limit_order(), "client_order_id": None}),
            json.dumps(limit_order(type="market", limit_price=None)),
            json.dumps(limit_order()).replace('"qty"', '"qty": "3", "qty"'),
            json.dumps(limit_order()).replace('"side"', '"s\\u0069de"'),
            json.dumps(limit_order(client_order_id="é")),
            json.dumps(limit_order(unknown=1)),
            json.dumps({"symbol": "AAPL"}),
            "[]",
        ]
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=examples(200))
@given(texts=ORDER_TEXTS)
def test_a_batch_decodes_as_its_orders_do(texts: list[str]) -> None:
    def decoded(decode: Callable[[bytes], Any], text: str) -> Any:
        try:
            return decode(text.encode())
        except Problem as problem:
            return problem.status, problem.detail

    def plain(item: Any) -> Any:
        return (item.status, item.detail) if isinstance(item, Problem) else item

    alone = [decoded(decode_new_order, text) for text in texts]
    together = decoded(decode_new_orders, f'{{"orders": [{", ".join(texts)}]}}')
    repeated = [each for each in alone if isinstance(each, tuple) and each[0] == 400]
    expected = repeated[0] if repeated else alone
    assert expected == (together if repeated else [plain(item) for item in together.items])
