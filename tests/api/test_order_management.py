"""Orders after their submission: read, list, replace, cancel; reads never lag behind writes."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import httpx
import pytest
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.engine.v1 import engine_pb2_grpc as rpc
from openvenue.http import canceling, problems
from openvenue.http import open_orders as paging
from openvenue.http.app import Application
from openvenue.http.engine_calls import engine_answer, engine_reply
from openvenue.http.worker import Worker
from openvenue.security.keys import NewKey

from tests.api.orders import client_of, limit_order, worker_of
from tests.support.venue import INSTRUMENTS, Venue


@pytest.fixture
def stranger(venue: Venue, new_account: Callable[..., NewKey]) -> httpx.Client:
    return venue.client(new_account())


def submit(client: httpx.Client, **changes: object) -> dict[str, str]:
    response = client.post("/v2/orders", json=limit_order(**changes))
    assert response.status_code == 200, response.text
    order: dict[str, str] = response.json()
    return order


def ids(response: httpx.Response) -> list[str]:
    assert response.status_code == 200, response.text
    return [order["client_order_id"] for order in response.json()]


def test_an_order_is_read_by_either_of_its_ids(client: httpx.Client) -> None:
    order = submit(client, client_order_id="mine")
    assert client.get(f"/v2/orders/{order['id']}").json() == order
    by_client_id = client.get("/v2/orders:by_client_order_id", params={"client_order_id": "mine"})
    assert by_client_id.json() == order


def test_orders_of_other_accounts_do_not_exist(
    client: httpx.Client, stranger: httpx.Client
) -> None:
    order = submit(client, client_order_id="secret")
    path = f"/v2/orders/{order['id']}"
    by_client_id = {"client_order_id": "secret"}
    answers = [
        stranger.get(path),
        stranger.delete(path),
        stranger.patch(path, json={"qty": "1"}),
        stranger.get("/v2/orders:by_client_order_id", params=by_client_id),
    ]
    assert [answer.status_code for answer in answers] == [404] * 4
    assert stranger.delete("/v2/orders").json() == []
    assert stranger.get("/v2/orders", params={"status": "all"}).json() == []
    assert client.get(path).json()["status"] == "new"


@pytest.mark.parametrize("order_id", ["nonsense", "00000000-0000-8000-8000-00000fffffff"])
def test_an_unknown_order_is_not_found(client: httpx.Client, order_id: str) -> None:
    response = client.get(f"/v2/orders/{order_id}")
    assert (response.status_code, response.json()["code"]) == (404, 40410000)


def test_canceling_ends_an_order(client: httpx.Client) -> None:
    order = submit(client)
    assert client.delete(f"/v2/orders/{order['id']}").status_code == 204
    after = client.get(f"/v2/orders/{order['id']}").json()
    assert after["status"] == "canceled"
    assert after["canceled_at"] == after["updated_at"]
    assert client.get("/v2/orders").json() == []


def test_an_ended_order_can_be_neither_canceled_nor_replaced(client: httpx.Client) -> None:
    path = f"/v2/orders/{submit(client)['id']}"
    client.delete(path)
    for answer in (client.delete(path), client.patch(path, json={"qty": "1"})):
        assert (answer.status_code, answer.json()["code"]) == (422, 42210000)
        assert answer.json()["message"] == 'order is already in "canceled" state'


def test_the_state_that_an_order_ended_in_is_named(
    venue: Venue, client: httpx.Client, account: NewKey, stranger: httpx.Client
) -> None:
    venue.give(account.account_id, 1, 1)
    sold = submit(client, side="sell", qty="1", limit_price="55.50")
    submit(stranger, qty="1", limit_price="55.50")
    refused = client.delete(f"/v2/orders/{sold['id']}").json()
    assert refused["message"] == 'order is already in "filled" state'


def test_replacing_gives_a_new_order_that_names_the_old_one(client: httpx.Client) -> None:
    old = submit(client, qty="10", limit_price="10")
    changes = {"qty": "7", "limit_price": "10.25", "client_order_id": "newer"}
    new = client.patch(f"/v2/orders/{old['id']}", json=changes).json()
    assert new["id"] != old["id"]
    assert (new["replaces"], new["client_order_id"]) == (old["id"], "newer")
    assert (new["qty"], new["limit_price"], new["time_in_force"]) == ("7", "10.25", "day")
    before = client.get(f"/v2/orders/{old['id']}").json()
    assert (before["status"], before["replaced_by"]) == ("replaced", new["id"])
    assert ids(client.get("/v2/orders")) == ["newer"]


@pytest.mark.parametrize(
    "changes",
    [
        {"qty": "0"},
        {"qty": "1.5"},
        {"limit_price": "x"},
        {"stop_price": "9"},
        {"time_in_force": "x"},
        {"notional": "100"},
        {"trail": "1"},
        {"side": "sell"},
        {"extended_hours": True},
        {"qty": "5", "position_intent": "buy_to_open"},
        {"qty": "5", "self_trade_prevention": "cancel_both"},
        {"qty": "5", "post_only": True},
        {"qty": "5", "stopPrice": "9"},
    ],
)
def test_a_replacement_that_cannot_be_changes_nothing(
    client: httpx.Client, changes: dict[str, str]
) -> None:
    order = submit(client)
    response = client.patch(f"/v2/orders/{order['id']}", json=changes)
    assert (response.status_code, response.json()["code"]) == (422, 40010001)
    assert client.get(f"/v2/orders/{order['id']}").json() == order


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"qty": "10.0"},
        {"qty": 10, "limit_price": "10.00", "time_in_force": "day"},
        {"client_order_id": "another name"},
        {"extended_hours": False, "subtag": "x"},
    ],
)
def test_a_replacement_that_changes_nothing_is_refused(
    client: httpx.Client, changes: dict[str, object]
) -> None:
    order = submit(client)
    response = client.patch(f"/v2/orders/{order['id']}", json=changes)
    assert (response.status_code, response.json()["code"]) == (422, 42210000)
    assert response.json()["message"] == "order parameters are not changed"
    assert client.get("/v2/orders").json() == [order]


def test_a_replacement_that_is_sent_again_is_the_same_order(client: httpx.Client) -> None:
    order = submit(client)
    changes = {"qty": "4", "client_order_id": "smaller"}
    answers = [client.patch(f"/v2/orders/{order['id']}", json=changes) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert answers[0].status_code == 200


def test_a_replacement_is_above_what_is_filled(
    venue: Venue, client: httpx.Client, stranger: httpx.Client
) -> None:
    venue.give(int(stranger.get("/v2/account").json()["account_number"]), 1, 4)
    order = submit(client, limit_price="44.40")
    submit(stranger, side="sell", qty="4", limit_price="44.40")
    response = client.patch(f"/v2/orders/{order['id']}", json={"qty": "4"})
    assert (response.status_code, response.json()["code"]) == (422, 42210000)
    assert response.json()["message"] == "qty must be > filled_qty"


def test_a_replacement_beyond_what_there_is_tells_what_there_would_be(
    venue: Venue, client: httpx.Client, account: NewKey
) -> None:
    venue.give(account.account_id, 1, 7)
    sell = submit(client, side="sell", qty="5", limit_price="900")
    short = client.patch(f"/v2/orders/{sell['id']}", json={"qty": "8"}).json()
    assert short["message"] == "insufficient qty available for order (requested: 8, available: 7)"
    buy = submit(client, qty="1000", limit_price="10")
    dear = client.patch(f"/v2/orders/{buy['id']}", json={"limit_price": "20000"}).json()
    assert (dear["buying_power"], dear["cost_basis"]) == ("10000000", "20000000")


def test_canceling_all_reports_each_order_oldest_first(client: httpx.Client) -> None:
    orders = [submit(client) for _ in range(3)]
    response = client.delete("/v2/orders")
    assert response.status_code == 207
    assert response.json() == [{"id": order["id"], "status": 200} for order in orders]
    assert {client.get(f"/v2/orders/{order['id']}").json()["status"] for order in orders} == {
        "canceled"
    }


def test_all_of_some_symbols_or_of_one_side_are_canceled(
    venue: Venue, client: httpx.Client, account: NewKey
) -> None:
    venue.give(account.account_id, 1, 5)
    bid = submit(client)["id"]
    ask = submit(client, side="sell", qty="1", limit_price="900")["id"]
    coin = submit(client, symbol="BTC/USD", qty="1", limit_price="100")["id"]

    def canceled(**filters: str) -> list[str]:
        response = client.delete("/v2/orders", params=filters)
        assert response.status_code == 207, response.text
        return [result["id"] for result in response.json()]

    assert canceled(side="sell") == [ask]
    assert canceled(symbols="BTC/USD", side="sell") == []
    assert canceled(symbols="BTC/USD") == [coin]
    assert canceled(symbols="AAPL,BTC/USD") == [bid]


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ({"symbols": "AAPL,NOPE"}, "asset 'NOPE' is not found"),
        ({"symbols": ""}, "symbols names no symbol"),
        ({"side": "long"}, "side"),
        ({"symbol": "AAPL"}, "symbol"),
    ],
)
def test_a_filter_that_cannot_be_cancels_nothing(
    client: httpx.Client, filters: dict[str, str], message: str
) -> None:
    order = submit(client)
    response = client.delete("/v2/orders", params=filters)
    assert response.status_code == 422
    assert message in response.json()["message"]
    assert client.get(f"/v2/orders/{order['id']}").json()["status"] == "new"


@pytest.fixture
def caught_up(venue: Venue, client: httpx.Client) -> Iterator[None]:
    """Wait at the test's end until the history has its many orders, as the next test may ask it."""
    yield
    venue.wait_until_projected(client)


async def rest(application: Application, account: NewKey, total: int) -> None:
    """Enter orders that rest, past the limits of one request."""
    engine = worker_of(application).engine
    for start in range(0, total, 1000):
        requests = [
            pb.Request(
                new_order=pb.NewOrder(
                    account_id=account.account_id,
                    instrument_id=1,
                    side=pb.SIDE_BUY,
                    type=pb.ORDER_TYPE_LIMIT,
                    time_in_force=pb.TIME_IN_FORCE_DAY,
                    qty_lots=1,
                    limit_price_ticks=1,
                    client_order_id=str(number),
                )
            )
            for number in range(start, min(start + 1000, total))
        ]
        replies = await asyncio.gather(*(engine.submit(request) for request in requests))
        assert all(reply.HasField("order") for reply in replies)


async def test_canceling_all_goes_beyond_one_command_of_the_engine(
    application: Application, account: NewKey, caught_up: None
) -> None:
    await rest(application, account, 5_600)
    async with client_of(application, account) as client:
        results = (await client.delete("/v2/orders")).json()
        assert {result["status"] for result in results} == {200}
        assert len({result["id"] for result in results}) == 5_600
        assert (await client.get("/v2/orders")).json() == []


async def test_canceling_all_says_so_when_it_could_not_cancel_all(
    application: Application, account: NewKey, caught_up: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def once_only(worker: Worker, request: pb.Request, advice: str) -> pb.Reply:
        if request.cancel_orders.from_order_id:
            raise problems.unavailable("the matching engine cannot be reached")
        return await engine_reply(worker, request, advice=advice)

    monkeypatch.setattr(canceling, "engine_reply", once_only)
    await rest(application, account, 5_001)
    async with client_of(application, account) as client:
        answer = await client.delete("/v2/orders")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert "5000 orders were canceled and others may still be open" in answer.json()["detail"]
        assert len((await client.get("/v2/orders")).json()) == 1


def test_lists_are_filtered_by_status(client: httpx.Client) -> None:
    submit(client, client_order_id="open")
    ended = submit(client, client_order_id="ended")
    client.delete(f"/v2/orders/{ended['id']}")
    assert ids(client.get("/v2/orders")) == ["open"]
    assert ids(client.get("/v2/orders", params={"status": "closed"})) == ["ended"]
    assert ids(client.get("/v2/orders", params={"status": "all"})) == ["ended", "open"]


def test_lists_are_filtered_by_symbol_and_side_and_bounded(client: httpx.Client) -> None:
    account_number = int(client.get("/v2/account").json()["account_number"])
    assert account_number
    submit(client, client_order_id="a")
    submit(client, client_order_id="b", symbol="BTC/USD", qty="1", limit_price="100")
    submit(client, client_order_id="c")
    assert ids(client.get("/v2/orders", params={"symbols": "AAPL"})) == ["c", "a"]
    assert ids(client.get("/v2/orders", params={"symbols": "AAPL,BTC/USD"})) == ["c", "b", "a"]
    assert ids(client.get("/v2/orders", params={"symbols": "NOPE"})) == []
    assert ids(client.get("/v2/orders", params={"side": "sell"})) == []
    assert ids(client.get("/v2/orders", params={"limit": 1})) == ["c"]


def test_a_list_may_name_so_many_symbols(client: httpx.Client) -> None:
    names = ",".join(f"A{number}" for number in range(101))
    assert client.get("/v2/orders", params={"symbols": names}).status_code == 422
    assert client.get("/v2/orders", params={"symbols": names[5:]}).json() == []


def test_lists_are_filtered_by_asset_class(client: httpx.Client) -> None:
    submit(client, client_order_id="share")
    submit(client, client_order_id="coin", symbol="BTC/USD", qty="1", limit_price="100")
    for status in ("open", "all"):

        def of(asset_class: str, status: str = status) -> list[str]:
            query = {"status": status, "asset_class": asset_class}
            return ids(client.get("/v2/orders", params=query))

        assert of("us_equity") == ["share"]
        assert of("crypto") == ["coin"]
        assert of("crypto,us_equity") == of("all") == ["coin", "share"]
        assert of("us_option,treasury") == []


@pytest.mark.parametrize("status", ["open", "all"])
def test_lists_page_by_the_id_of_an_order(client: httpx.Client, status: str) -> None:
    orders = {name: submit(client, client_order_id=name) for name in "abcd"}

    def page(**query: str) -> list[str]:
        return ids(client.get("/v2/orders", params={"status": status, **query}))

    assert page(before_order_id=orders["c"]["id"]) == ["b", "a"]
    assert page(before_order_id=orders["c"]["id"], limit="1") == ["b"]
    assert page(before_order_id=orders["c"]["id"], direction="asc") == ["a", "b"]
    assert page(before_order_id=orders["a"]["id"]) == []
    assert page(after_order_id=orders["b"]["id"]) == ["d", "c"]
    assert page(after_order_id=orders["b"]["id"], direction="asc", limit="1") == ["c"]
    assert page(before_order_id=orders["c"]["id"], symbols="BTC/USD") == []


def test_a_cursor_may_have_ended(client: httpx.Client) -> None:
    older, ended = submit(client), submit(client)
    client.delete(f"/v2/orders/{ended['id']}")
    listed = client.get("/v2/orders", params={"before_order_id": ended["id"]}).json()
    assert listed == [older]


def test_an_order_of_another_account_is_no_cursor(
    client: httpx.Client, stranger: httpx.Client
) -> None:
    order = submit(client)
    for name in ("before_order_id", "after_order_id"):
        for order_id in (order["id"], "nonsense"):
            response = stranger.get("/v2/orders", params={name: order_id})
            assert (response.status_code, response.json()["code"]) == (422, 40010001)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v2/orders"), ("DELETE", "/v2/orders"), ("GET", "/v2/positions")],
)
def test_a_parameter_that_would_not_filter_is_refused(
    client: httpx.Client, method: str, path: str
) -> None:
    order = submit(client)
    response = client.request(method, path, params={"qty_above": "5"})
    assert (response.status_code, response.json()["code"]) == (422, 40010001)
    assert response.json()["message"].startswith("qty_above")
    assert client.get("/v2/orders").json() == [order]


@pytest.mark.parametrize("status", ["open", "all"])
def test_lists_go_either_way_and_page_by_time(client: httpx.Client, status: str) -> None:
    orders = [submit(client, client_order_id=name) for name in "abcd"]
    page: dict[str, Any] = {"status": status, "direction": "asc", "limit": 2}
    assert ids(client.get("/v2/orders", params=page)) == ["a", "b"]
    page["after"] = orders[1]["created_at"]
    assert ids(client.get("/v2/orders", params=page)) == ["c", "d"]
    back = {"status": status, "until": orders[2]["created_at"]}
    assert ids(client.get("/v2/orders", params=back)) == ["b", "a"]


def test_open_orders_read_the_same_from_the_engine_and_from_the_database(
    venue: Venue, client: httpx.Client, stranger: httpx.Client
) -> None:
    venue.give(int(stranger.get("/v2/account").json()["account_number"]), 1, 10)
    submit(client, qty="10", limit_price="66.60")
    submit(stranger, side="sell", qty="4", limit_price="66.60")
    assert (
        client.get("/v2/orders", params={"status": "open"}).json()
        == client.get("/v2/orders", params={"status": "open", "direction": "asc"}).json()
    )


# Lists that the engine does not keep, which come from the database.
OF_THE_HISTORY: list[dict[str, Any]] = [
    {"status": "all"},
    {"direction": "asc", "after": "2020-01-01"},
    {"side": "buy"},
    {"after": "2020-01-01"},
    {"until": "2100-01-01"},
    {"symbols": "AAPL,BTC/USD"},
    {"asset_class": "us_equity"},
]
OF_THE_ENGINE: list[dict[str, Any]] = [
    {},
    {"status": "open"},
    {"limit": 5},
    {"symbols": "AAPL"},
    {"symbols": "AAPL,NO"},
]


@pytest.mark.parametrize("query", [*OF_THE_ENGINE, *OF_THE_HISTORY])
def test_a_list_always_holds_what_was_just_acknowledged(
    client: httpx.Client, query: dict[str, Any]
) -> None:
    newest = -1 if query.get("direction") == "asc" else 0
    for number in range(10):
        name = f"order {number}"
        order = submit(client, client_order_id=name)
        assert ids(client.get("/v2/orders", params=query))[newest] == name
        if number % 2 and "status" not in query:
            assert client.delete(f"/v2/orders/{order['id']}").status_code == 204
            assert name not in ids(client.get("/v2/orders", params=query))


@pytest.mark.parametrize(
    "query",
    [
        "status=x",
        "limit=0",
        "limit=501",
        "limit=x",
        "after=yesterday",
        "until=0.5",
        "after=1700000000",
        "direction=up",
        "side=long",
        "asset_class=stocks",
        "symbols=A&symbols=B",
    ],
)
def test_a_list_that_cannot_be_is_refused(client: httpx.Client, query: str) -> None:
    response = client.get(f"/v2/orders?{query}")
    assert (response.status_code, response.json()["code"]) == (422, 40010001)
    assert response.json()["message"].startswith(query.split("=")[0])


def test_a_history_that_lags_is_unavailable_rather_than_short(
    new_venue: Callable[..., Venue],
) -> None:
    lagging = new_venue().start(projector=False, projection_wait_ms="50")
    with lagging.client(lagging.open_account(1)) as client:
        submit(client)
        response = client.get("/v2/orders", params={"status": "all"})
        assert (response.status_code, response.json()["code"]) == (503, 50310000)
        assert response.headers["retry-after"] == "1"
        for query in OF_THE_ENGINE:
            assert len(client.get("/v2/orders", params=query).json()) == 1
        for query in OF_THE_HISTORY:
            assert client.get("/v2/orders", params=query).status_code == 503
        lagging.start_projector()
        lagging.wait_until_projected(client)
        assert len(client.get("/v2/orders", params={"status": "all"}).json()) == 1


def test_an_old_order_is_found_behind_many_open_ones_of_another_instrument(
    client: httpx.Client, venue: Venue
) -> None:
    submit(client, symbol="BTC/USD", qty="1", limit_price="100", client_order_id="old")
    account_id = int(client.get("/v2/account").json()["account_number"])
    aapl = next(terms.instrument_id for terms in INSTRUMENTS if terms.symbol == "AAPL")
    with grpc.insecure_channel(f"127.0.0.1:{venue.engine_port}") as channel:
        for page in range(5):  # more than the engine searches for one answer
            requests = [
                pb.Request(
                    request_id=number,
                    new_order=pb.NewOrder(
                        account_id=account_id,
                        instrument_id=aapl,
                        side=pb.SIDE_BUY,
                        type=pb.ORDER_TYPE_LIMIT,
                        time_in_force=pb.TIME_IN_FORCE_GTC,
                        qty_lots=1,
                        limit_price_ticks=1,
                        client_order_id=f"{page}-{number}",
                    ),
                )
                for number in range(1000)
            ]
            response = rpc.TradingStub(channel).Submit(
                pb.SessionRequest(requests=requests), timeout=30
            )
            assert all(reply.HasField("order") for reply in response.replies)
    assert ids(client.get("/v2/orders", params={"symbols": "BTC/USD"})) == ["old"]


async def test_no_order_is_listed_twice_while_others_come_and_go(
    application: Application, account: NewKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine stops at an order that then ends, and starts again at the newest one."""
    engine = worker_of(application).engine

    def order(number: int, instrument_id: int = 1) -> pb.Request:
        return pb.Request(
            new_order=pb.NewOrder(
                account_id=account.account_id,
                instrument_id=instrument_id,
                side=pb.SIDE_BUY,
                type=pb.ORDER_TYPE_LIMIT,
                time_in_force=pb.TIME_IN_FORCE_GTC,
                qty_lots=1,
                limit_price_ticks=1,
                client_order_id=f"crowd {number}",
            )
        )

    visited = 2048  # orders that the engine visits for one answer
    for start in range(0, 2 * visited, 1000):
        await asyncio.gather(*(engine.submit(order(start + at)) for at in range(1000)))
    await engine.submit(order(-1, instrument_id=2))
    await asyncio.gather(*(engine.submit(order(10_000 + at)) for at in range(visited - 2)))

    ask = engine_answer
    answers: list[pb.Reply] = []

    async def answer_and_go_on_trading(worker: Worker, query: pb.Request) -> pb.Reply:
        answers.append(await ask(worker, query))
        if len(answers) == 1:
            stopped_at = answers[0].order_list.stopped_at_order_id
            cancel = pb.CancelOrder(account_id=account.account_id, order_id=stopped_at)
            assert (await engine.submit(pb.Request(cancel_order=cancel))).HasField("order")
            for number in (-2, -3):
                await engine.submit(order(number))
        return answers[-1]

    monkeypatch.setattr(paging, "engine_answer", answer_and_go_on_trading)
    async with client_of(application, account) as client:
        listed = (await client.get("/v2/orders", params={"symbols": "BTC/USD"})).json()
        assert len(answers) > 2
        assert [one["client_order_id"] for one in listed] == ["crowd -1"]
        await client.delete("/v2/orders")
