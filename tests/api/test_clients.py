"""alpaca-py and ccxt, unmodified, trade on the venue."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Any
from uuid import uuid4

import ccxt
import pytest
from alpaca.common.exceptions import APIError
from alpaca.data.historical.corporate_actions import CorporateActionsClient
from alpaca.data.historical.news import NewsClient
from alpaca.data.historical.option import OptionHistoricalDataClient
from alpaca.data.requests import (
    CorporateActionsRequest,
    NewsRequest,
    OptionChainRequest,
    OptionLatestQuoteRequest,
)
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import (
    AssetClass,
    CorporateActionType,
    OrderSide,
    OrderStatus,
    OrderType,
    QueryOrderStatus,
    TimeInForce,
)
from alpaca.trading.requests import (
    ClosePositionRequest,
    CreateWatchlistRequest,
    GetAssetsRequest,
    GetCalendarRequest,
    GetCorporateAnnouncementsRequest,
    GetOptionContractsRequest,
    GetOrdersRequest,
    LimitOrderRequest,
    MarketOrderRequest,
    ReplaceOrderRequest,
    StopLimitOrderRequest,
    StopOrderRequest,
    TrailingStopOrderRequest,
    UpdateWatchlistRequest,
)
from openvenue.security.keys import NewKey

from tests.support.venue import Venue
from tests.support.waiting import wait_for


@pytest.fixture
def alpaca(venue: Venue, account: NewKey) -> Any:
    """Of no type: by its own each answer may be a dict as well."""
    return TradingClient(account.key_id, account.secret, url_override=venue.url)


@pytest.fixture
def ccxt_client(venue: Venue, account: NewKey) -> ccxt.alpaca:
    exchange = ccxt.alpaca({"apiKey": account.key_id, "secret": account.secret})
    exchange.urls["api"]["trader"] = venue.url
    return exchange


def limit_request(**changes: Any) -> LimitOrderRequest:
    terms: dict[str, Any] = {
        "symbol": "AAPL",
        "qty": 10,
        "side": OrderSide.BUY,
        "time_in_force": TimeInForce.DAY,
        "limit_price": 12.34,
    }
    return LimitOrderRequest(**{**terms, **changes})


def test_alpaca_py_submits_and_reads_an_order(alpaca: Any) -> None:
    order = alpaca.submit_order(limit_request(client_order_id="from alpaca-py"))
    assert (order.status, order.limit_price, order.qty) == (OrderStatus.ACCEPTED, "12.34", "10")
    read = alpaca.get_order_by_id(order.id)
    assert read == order.model_copy(update={"status": OrderStatus.NEW})
    assert alpaca.get_order_by_client_id("from alpaca-py") == read


def test_alpaca_py_lists_orders(alpaca: Any) -> None:
    order = alpaca.submit_order(limit_request())
    assert [one.id for one in alpaca.get_orders()] == [order.id]
    everything = GetOrdersRequest(status=QueryOrderStatus.ALL, symbols=["AAPL"], limit=5)
    assert [one.id for one in alpaca.get_orders(everything)] == [order.id]
    assert alpaca.get_orders(GetOrdersRequest(status=QueryOrderStatus.CLOSED)) == []


def test_alpaca_py_replaces_an_order(alpaca: Any) -> None:
    old = alpaca.submit_order(limit_request())
    new = alpaca.replace_order_by_id(old.id, ReplaceOrderRequest(qty=4, limit_price=12.35))
    assert (new.replaces, new.qty, new.limit_price) == (old.id, "4", "12.35")
    before = alpaca.get_order_by_id(old.id)
    assert (before.status, before.replaced_by) == (OrderStatus.REPLACED, new.id)


def test_alpaca_py_submits_reads_and_replaces_stop_orders(alpaca: Any) -> None:
    terms: dict[str, Any] = {
        "symbol": "AAPL",
        "qty": 10,
        "side": OrderSide.BUY,
        "time_in_force": TimeInForce.GTC,
        "stop_price": 90_000,
    }
    stop = alpaca.submit_order(StopOrderRequest(**terms))
    stop_limit = alpaca.submit_order(StopLimitOrderRequest(**terms, limit_price=90_001))
    assert (stop.status, stop.type) == (OrderStatus.ACCEPTED, OrderType.STOP)
    assert (stop.stop_price, stop.limit_price) == ("90000", None)
    read = alpaca.get_order_by_id(stop_limit.id)
    assert (read.status, read.type) == (OrderStatus.NEW, OrderType.STOP_LIMIT)
    assert (read.stop_price, read.limit_price) == ("90000", "90001")
    moved = alpaca.replace_order_by_id(stop.id, ReplaceOrderRequest(stop_price=91_000))
    assert (moved.replaces, moved.stop_price, moved.limit_price) == (stop.id, "91000", None)
    changes = ReplaceOrderRequest(stop_price=91_000, limit_price=91_001)
    moved = alpaca.replace_order_by_id(stop_limit.id, changes)
    assert (moved.stop_price, moved.limit_price) == ("91000", "91001")


def test_alpaca_py_submits_reads_and_replaces_trailing_stop_orders(
    venue: Venue, alpaca: Any, new_account: Callable[..., NewKey]
) -> None:
    key = new_account(may_sell_short=True)
    other: Any = TradingClient(key.key_id, key.secret, url_override=venue.url)
    terms: dict[str, Any] = {"symbol": "AAPL", "qty": 1, "time_in_force": TimeInForce.GTC}
    for side in (OrderSide.SELL, OrderSide.BUY):  # a price to follow
        other.submit_order(LimitOrderRequest(**terms, side=side, limit_price=90_000))
    amount = alpaca.submit_order(
        TrailingStopOrderRequest(**terms, side=OrderSide.BUY, trail_price=10)
    )
    percent = alpaca.submit_order(
        TrailingStopOrderRequest(**terms, side=OrderSide.BUY, trail_percent=1.5)
    )
    assert (amount.status, amount.type) == (OrderStatus.ACCEPTED, OrderType.TRAILING_STOP)
    assert (amount.trail_price, amount.trail_percent) == ("10", None)
    assert (amount.hwm, amount.stop_price) == ("90000", "90010")
    read = alpaca.get_order_by_id(percent.id)
    assert (read.status, read.trail_percent, read.stop_price) == (OrderStatus.NEW, "1.5", "91350")
    moved = alpaca.replace_order_by_id(percent.id, ReplaceOrderRequest(trail=2))
    assert (moved.replaces, moved.trail_percent, moved.stop_price) == (percent.id, "2", "91800")


def test_alpaca_py_cancels_one_order_and_all(alpaca: Any) -> None:
    first, second = (alpaca.submit_order(limit_request()) for _ in range(2))
    alpaca.cancel_order_by_id(first.id)
    assert alpaca.get_order_by_id(first.id).status == OrderStatus.CANCELED
    assert [(result.id, result.status) for result in alpaca.cancel_orders()] == [(second.id, 200)]


def test_alpaca_py_reads_account_assets_and_clock(alpaca: Any) -> None:
    assert alpaca.get_account().cash == "10000000"
    assert alpaca.get_asset("AAPL").tradable
    crypto = alpaca.get_all_assets(GetAssetsRequest(asset_class=AssetClass.CRYPTO))
    assert [asset.symbol for asset in crypto] == ["BTC/USD"]
    clock = alpaca.get_clock()
    assert clock.is_open
    assert clock.next_open > clock.next_close > clock.timestamp


def test_alpaca_py_reads_the_calendar(alpaca: Any) -> None:
    wanted = GetCalendarRequest(start=date(2026, 12, 4), end=date(2026, 12, 6))
    days = alpaca.get_calendar(wanted)
    assert [day.date for day in days] == [date(2026, 12, number) for number in (4, 5, 6)]
    assert (days[0].open, days[0].close) == (
        datetime(2026, 12, 4),
        datetime(2026, 12, 4, 23, 59),
    )


def test_alpaca_py_reads_positions(venue: Venue, alpaca: Any, account: NewKey) -> None:
    venue.give(account.account_id, 1, 7)
    (position,) = alpaca.get_all_positions()
    assert (position.symbol, position.qty) == ("AAPL", "7")
    assert alpaca.get_open_position("AAPL") == position


def test_alpaca_py_closes_positions(
    venue: Venue, alpaca: Any, account: NewKey, new_account: Callable[..., NewKey]
) -> None:
    def outcome(closing: Any) -> Any:
        assert closing.status == OrderStatus.ACCEPTED
        return alpaca.get_order_by_id(closing.id).status

    buyer_key = new_account()
    buyer: Any = TradingClient(buyer_key.key_id, buyer_key.secret, url_override=venue.url)
    buyer.submit_order(limit_request(qty=10, limit_price=51))
    venue.give(account.account_id, 1, 8)
    venue.give(account.account_id, 2, 10_000)
    part = alpaca.close_position("AAPL", ClosePositionRequest(percentage="25"))
    assert (part.qty, outcome(part)) == ("2", OrderStatus.FILLED)
    part = alpaca.close_position("AAPL", ClosePositionRequest(qty="1"))
    assert (part.qty, outcome(part)) == ("1", OrderStatus.FILLED)
    alpaca.submit_order(limit_request(side=OrderSide.SELL, qty=5, limit_price=999))
    results = {result.symbol: result for result in alpaca.close_all_positions()}
    assert (results["AAPL"].status, results["AAPL"].body.code) == (403, 40310000)
    assert outcome(results["BTC/USD"].body) == OrderStatus.CANCELED  # without liquidity
    results = {result.symbol: result for result in alpaca.close_all_positions(cancel_orders=True)}
    assert (results["AAPL"].status, outcome(results["AAPL"].body)) == (200, OrderStatus.FILLED)
    with pytest.raises(APIError) as missing:
        alpaca.close_position("AAPL")
    assert missing.value.code == 40410000


def test_alpaca_py_configures_the_account(alpaca: Any) -> None:
    configuration = alpaca.get_account_configurations()
    assert (configuration.suspend_trade, configuration.fractional_trading) == (False, True)
    configuration.suspend_trade = True
    assert alpaca.set_account_configurations(configuration) == configuration
    assert alpaca.get_account_configurations() == configuration
    wait_for(lambda: alpaca.get_account().trade_suspended_by_user)
    with pytest.raises(APIError) as refusal:
        alpaca.submit_order(limit_request())
    assert refusal.value.code == 40310000


def test_alpaca_py_keeps_watchlists(alpaca: Any) -> None:
    made = alpaca.create_watchlist(CreateWatchlistRequest(name="mine", symbols=["AAPL"]))
    assert [one.id for one in alpaca.get_watchlists()] == [made.id]
    added = alpaca.add_asset_to_watchlist_by_id(made.id, "BTC/USD")
    assert [asset.symbol for asset in added.assets] == ["AAPL", "BTC/USD"]
    removed = alpaca.remove_asset_from_watchlist_by_id(made.id, "BTC/USD")
    assert [asset.symbol for asset in removed.assets] == ["AAPL"]
    renamed = alpaca.update_watchlist_by_id(made.id, UpdateWatchlistRequest(name="yours"))
    assert alpaca.get_watchlist_by_id(made.id) == renamed
    alpaca.delete_watchlist_by_id(made.id)
    assert alpaca.get_watchlists() == []


def test_alpaca_py_finds_nothing_of_what_the_venue_does_not_have(
    venue: Venue, alpaca: Any, account: NewKey
) -> None:
    contracts = alpaca.get_option_contracts(GetOptionContractsRequest(underlying_symbols=["AAPL"]))
    assert contracts.option_contracts == []
    with pytest.raises(APIError, match="no options"):
        alpaca.get_option_contract("AAPL251219C00250000")
    with pytest.raises(APIError, match="no options"):
        alpaca.exercise_options_position("AAPL251219C00250000")
    wanted = GetCorporateAnnouncementsRequest(
        ca_types=[CorporateActionType.DIVIDEND], since=date(2026, 11, 1), until=date(2026, 12, 1)
    )
    with pytest.deprecated_call():
        assert alpaca.get_corporate_announcements(wanted) == []
    with pytest.raises(APIError, match="no corporate actions"):
        alpaca.get_corporate_announcement_by_id(uuid4())
    keys = (account.key_id, account.secret)
    news: Any = NewsClient(*keys, url_override=venue.url)
    assert news.get_news(NewsRequest(symbols="AAPL")).data["news"] == []
    actions: Any = CorporateActionsClient(*keys, url_override=venue.url)
    assert actions.get_corporate_actions(CorporateActionsRequest(symbols=["AAPL"])).data == {}
    options: Any = OptionHistoricalDataClient(*keys, url_override=venue.url)
    assert options.get_option_chain(OptionChainRequest(underlying_symbol="AAPL")) == {}
    symbol = "AAPL251219C00250000"
    quotes = options.get_option_latest_quote(OptionLatestQuoteRequest(symbol_or_symbols=symbol))
    assert quotes == {}


def test_ccxt_has_no_wallets(ccxt_client: ccxt.alpaca) -> None:
    assert ccxt_client.fetch_deposits() == ccxt_client.fetch_withdrawals() == []
    with pytest.raises(ccxt.BaseError, match="no wallets"):
        ccxt_client.fetch_deposit_address("BTC")
    with pytest.raises(ccxt.BaseError, match="no wallets"):
        ccxt_client.withdraw("BTC", 1, "somewhere")


def test_alpaca_py_understands_refusals(alpaca: Any) -> None:
    with pytest.raises(APIError) as refusal:
        alpaca.submit_order(limit_request(qty=900_000, limit_price=100))
    assert (refusal.value.status_code, refusal.value.code) == (403, 40310000)
    with pytest.raises(APIError) as missing:
        alpaca.get_order_by_id(uuid4())
    assert missing.value.code == 40410000


def test_both_clients_say_that_a_read_only_key_may_not_trade(venue: Venue, account: NewKey) -> None:
    key = venue.read_only_key(account.account_id)
    alpaca: Any = TradingClient(key.key_id, key.secret, url_override=venue.url)
    assert alpaca.get_orders() == []
    with pytest.raises(APIError) as refusal:
        alpaca.submit_order(limit_request())
    assert (refusal.value.status_code, refusal.value.code) == (403, 40110000)
    exchange = ccxt.alpaca({"apiKey": key.key_id, "secret": key.secret})
    exchange.urls["api"] = {"trader": venue.url, "market": venue.url}
    assert exchange.fetch_open_orders() == []
    with pytest.raises(ccxt.PermissionDenied):
        exchange.create_order("BTC/USD", "limit", "buy", 1, 10)


def test_alpaca_py_trades_at_market(
    venue: Venue, alpaca: Any, new_account: Callable[..., NewKey]
) -> None:
    seller_key = new_account()
    venue.give(seller_key.account_id, 1, 5)
    seller: Any = TradingClient(seller_key.key_id, seller_key.secret, url_override=venue.url)
    seller.submit_order(limit_request(qty=5, side=OrderSide.SELL, limit_price=45.67))
    bought = alpaca.submit_order(
        MarketOrderRequest(symbol="AAPL", qty=5, side=OrderSide.BUY, time_in_force=TimeInForce.IOC)
    )
    assert (bought.status, bought.filled_avg_price) == (OrderStatus.ACCEPTED, None)
    read = alpaca.get_order_by_id(bought.id)
    assert (read.status, read.filled_avg_price) == (OrderStatus.FILLED, "45.67")


def test_ccxt_finds_the_markets(ccxt_client: ccxt.alpaca) -> None:
    market = ccxt_client.load_markets()["BTC/USD"]
    assert market["active"]
    assert (market["precision"]["amount"], market["precision"]["price"]) == (0.0001, 0.1)


def test_ccxt_submits_reads_lists_replaces_and_cancels(ccxt_client: ccxt.alpaca) -> None:
    order = ccxt_client.create_order("BTC/USD", "limit", "buy", 0.5, 100.5)
    assert (order["status"], order["price"], order["amount"]) == ("open", 100.5, 0.5)
    read = ccxt_client.fetch_order(order["id"])
    assert (read["id"], read["clientOrderId"]) == (order["id"], order["clientOrderId"])
    assert [one["id"] for one in ccxt_client.fetch_open_orders("BTC/USD")] == [order["id"]]
    replaced = ccxt_client.edit_order(order["id"], "BTC/USD", "limit", "buy", 0.25, 101)
    assert (replaced["amount"], replaced["price"]) == (0.25, 101)
    ccxt_client.cancel_order(replaced["id"])
    assert ccxt_client.fetch_order(replaced["id"])["status"] == "canceled"
    closed = {one["id"]: one["status"] for one in ccxt_client.fetch_closed_orders("BTC/USD")}
    assert closed.keys() >= {order["id"], replaced["id"]}
    assert len(ccxt_client.fetch_orders("BTC/USD")) == 2


def test_ccxt_reads_balance_and_time(ccxt_client: ccxt.alpaca) -> None:
    assert ccxt_client.fetch_balance()["USD"]["total"] == 10_000_000
    assert ccxt_client.fetch_time() > 0


def test_ccxt_counts_what_open_orders_hold_as_used(ccxt_client: ccxt.alpaca) -> None:
    ccxt_client.create_order("BTC/USD", "limit", "buy", 1, 50_000)
    balance = ccxt_client.fetch_balance()["USD"]
    assert (balance["free"], balance["used"], balance["total"]) == (9_950_000, 50_000, 10_000_000)


def test_ccxt_passes_on_the_venues_own_fields(ccxt_client: ccxt.alpaca) -> None:
    fields = {"post_only": True, "self_trade_prevention": "cancel_oldest"}
    order = ccxt_client.create_order("BTC/USD", "limit", "buy", 0.1, 100.5, fields)
    assert order["info"].items() >= fields.items()


def test_ccxt_enters_and_edits_an_order_with_a_trigger_price(ccxt_client: ccxt.alpaca) -> None:
    trigger = {"triggerPrice": 650_000}
    order = ccxt_client.create_order("BTC/USD", "limit", "buy", 0.1, 700_000, trigger)
    assert (order["status"], order["triggerPrice"], order["price"]) == ("open", 650_000, 700_000)
    assert order["info"]["type"] == "stop_limit"
    trigger = {"triggerPrice": 660_000}
    edited = ccxt_client.edit_order(order["id"], "BTC/USD", "limit", "buy", 0.2, 710_000, trigger)
    assert (edited["amount"], edited["triggerPrice"], edited["price"]) == (0.2, 660_000, 710_000)
    assert [one["id"] for one in ccxt_client.fetch_open_orders("BTC/USD")] == [edited["id"]]
    ccxt_client.cancel_order(edited["id"])
    with pytest.raises(ccxt.NotSupported):
        ccxt_client.create_order("BTC/USD", "market", "buy", 0.1, None, trigger)


@pytest.mark.parametrize(
    "parameters",
    [
        {"postOnly": True},
        {"reduceOnly": True},
        {"stopLoss": {"triggerPrice": 50}},
        {"stopLossPrice": 50},
    ],
)
def test_ccxt_is_told_of_what_the_venue_does_not_do(
    ccxt_client: ccxt.alpaca, parameters: dict[str, object]
) -> None:
    with pytest.raises(ccxt.BadRequest):
        ccxt_client.create_order("BTC/USD", "limit", "buy", 0.1, 100.5, parameters)
    with pytest.raises(ccxt.BadRequest):
        ccxt_client.create_stop_order("BTC/USD", "limit", "buy", 0.1, 700, 650)
    assert ccxt_client.fetch_open_orders("BTC/USD") == []


def test_ccxt_reads_its_trades(
    venue: Venue, ccxt_client: ccxt.alpaca, new_account: Callable[..., NewKey]
) -> None:
    seller_key = new_account()
    venue.give(seller_key.account_id, 2, 10_000)
    with venue.client(seller_key) as seller:
        body = {"side": "sell", "type": "limit", "qty": "1", "limit_price": "130.5"}
        seller.post("/v2/orders", json={"symbol": "BTC/USD", "time_in_force": "gtc", **body})
    order = ccxt_client.create_order("BTC/USD", "limit", "buy", 0.5, 130.5)
    (trade,) = ccxt_client.fetch_my_trades("BTC/USD", since=1_600_000_000_000, limit=10)
    assert (trade["order"], trade["side"], trade["symbol"]) == (order["id"], "buy", "BTC/USD")
    assert (trade["price"], trade["amount"]) == (130.5, 0.5)
    assert ccxt_client.fetch_my_trades("BTC/USD", params={"page_token": trade["id"]}) == []


def test_ccxt_reads_deposits_where_it_takes_the_venue_for_paper_trading(
    ccxt_client: ccxt.alpaca,
) -> None:
    ccxt_client.options["sandboxMode"] = True
    (deposit,) = ccxt_client.fetch_deposits("USD")
    assert (deposit["amount"], deposit["currency"], deposit["status"]) == (10_000_000, "USD", "ok")
    assert deposit["timestamp"] > 0
    assert ccxt_client.fetch_withdrawals("USD") == []


def test_ccxt_cancels_all(ccxt_client: ccxt.alpaca) -> None:
    for _ in range(2):
        ccxt_client.create_order("BTC/USD", "limit", "buy", 0.5, 100.5)
    ccxt_client.cancel_all_orders()
    assert ccxt_client.fetch_open_orders("BTC/USD") == []


def test_ccxt_understands_refusals(ccxt_client: ccxt.alpaca) -> None:
    stranger = ccxt.alpaca({"apiKey": "x", "secret": "y"})
    stranger.urls["api"]["trader"] = ccxt_client.urls["api"]["trader"]
    with pytest.raises(ccxt.PermissionDenied):
        stranger.fetch_balance()
    unknown = str(uuid4())
    with pytest.raises(ccxt.InvalidOrder):
        ccxt_client.fetch_order(unknown)
    with pytest.raises(ccxt.InsufficientFunds):
        ccxt_client.create_order("BTC/USD", "limit", "buy", 1_000, 100_000)
    with pytest.raises(ccxt.InsufficientFunds):
        ccxt_client.create_order("BTC/USD", "limit", "sell", 1, 100_000)
