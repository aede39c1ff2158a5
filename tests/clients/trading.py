"""Calls of alpaca-py's TradingClient."""

import itertools
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from alpaca.common.enums import Sort
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import (
    AccountStatus,
    AssetClass,
    CorporateActionType,
    OrderClass,
    OrderSide,
    OrderStatus,
    PositionIntent,
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
    OptionLegRequest,
    ReplaceOrderRequest,
    StopLimitOrderRequest,
    StopLossRequest,
    StopOrderRequest,
    TakeProfitRequest,
    TrailingStopOrderRequest,
    UpdateWatchlistRequest,
)

from tests.clients.calls import Call, alpaca_client
from tests.clients.market import OPTION, PAIR, STOCK, before_all_trades

NO_ID = UUID(int=0)

_numbers = itertools.count(1)


def _limit(**changes: Any) -> LimitOrderRequest:
    """Return an order that rests in the book."""
    return LimitOrderRequest(**_terms(**{"limit_price": 50, **changes}))


def _terms(**changes: Any) -> dict[str, Any]:
    terms = {
        "symbol": STOCK,
        "qty": 1,
        "side": OrderSide.BUY,
        "time_in_force": TimeInForce.DAY,
    }
    return {name: value for name, value in {**terms, **changes}.items() if value is not None}


def _submits(request: Any, *states: OrderStatus, asks_for: str) -> Call:
    def is_right(client: Any) -> bool:
        accepted = client.submit_order(request)
        order = _outcome(client, accepted)
        return (
            accepted.status == OrderStatus.ACCEPTED
            and order.symbol == request.symbol
            and order.status in states
        )

    return Call("submit_order", is_right, asks_for)


def _attached(order_class: OrderClass, **legs: Any) -> Call:
    request = _limit(order_class=order_class, **legs)
    return _submits(request, OrderStatus.NEW, asks_for=f"order_class {order_class.value}")


def _two_legs() -> list[OptionLegRequest]:
    sides = ((OPTION, OrderSide.BUY), (OPTION.replace("250", "260"), OrderSide.SELL))
    return [
        OptionLegRequest(
            symbol=symbol,
            ratio_qty=1,
            side=side,
            position_intent=PositionIntent(f"{side.value}_to_open"),
        )
        for symbol, side in sides
    ]


def _watchlist(client: Any) -> Any:
    request = CreateWatchlistRequest(name=f"list {next(_numbers)}", symbols=[STOCK])
    return client.create_watchlist(request)


def _symbols(watchlist: Any) -> list[str]:
    return [asset.symbol for asset in watchlist.assets]


def _lists_assets(client: Any) -> bool:
    return STOCK in [asset.symbol for asset in client.get_all_assets()]


def _lists_pairs(client: Any) -> bool:
    assets = client.get_all_assets(GetAssetsRequest(asset_class=AssetClass.CRYPTO))
    return [asset.symbol for asset in assets] == [PAIR]


def _lists_open_orders(client: Any) -> bool:
    order = client.submit_order(_limit())
    return bool(client.get_orders()[0].id == order.id)


def _lists_closed_orders(client: Any) -> bool:
    order = client.submit_order(MarketOrderRequest(**_terms()))
    closed = client.get_orders(GetOrdersRequest(status=QueryOrderStatus.CLOSED))
    return bool(closed[0].id == order.id)


def _lists_selected_orders(client: Any) -> bool:
    selection = GetOrdersRequest(
        status=QueryOrderStatus.ALL,
        symbols=[PAIR],
        side=OrderSide.BUY,
        after=before_all_trades(),
        until=datetime.now(UTC),
        direction=Sort.ASC,
    )
    return {order.symbol for order in client.get_orders(selection)} == {PAIR}


def _replaces(client: Any) -> bool:
    order = client.submit_order(_limit())
    new = client.replace_order_by_id(order.id, ReplaceOrderRequest(qty=2, limit_price=51))
    return (new.replaces, new.qty, new.limit_price) == (order.id, "2", "51")


def _moves_a_stop_price(client: Any) -> bool:
    order = client.submit_order(StopOrderRequest(**_terms(**_STOP)))
    new = client.replace_order_by_id(order.id, ReplaceOrderRequest(stop_price=41))
    return (new.replaces, new.stop_price, new.limit_price) == (order.id, "41", None)


def _reads_by_id(client: Any) -> bool:
    order = client.submit_order(_limit())
    return bool(client.get_order_by_id(order.id).id == order.id)


def _reads_by_client_id(client: Any) -> bool:
    order = client.submit_order(_limit())
    return bool(client.get_order_by_client_id(order.client_order_id).id == order.id)


def _cancels(client: Any) -> bool:
    order = client.submit_order(_limit())
    client.cancel_order_by_id(order.id)
    return bool(client.get_order_by_id(order.id).status == OrderStatus.CANCELED)


def _cancels_all(client: Any) -> bool:
    client.submit_order(_limit())
    results = client.cancel_orders()
    return bool(results) and all(result.status == 200 for result in results)


def _configures(client: Any) -> bool:
    configuration = client.get_account_configurations()
    configuration.ptp_no_exception_entry = True
    return bool(client.set_account_configurations(configuration) == configuration)


def _reads_watchlist(client: Any) -> bool:
    made = _watchlist(client)
    return bool(client.get_watchlist_by_id(made.id) == made)


def _lists_watchlists(client: Any) -> bool:
    made = _watchlist(client)
    return made.id in [each.id for each in client.get_watchlists()]


def _renames_watchlist(client: Any) -> bool:
    made = _watchlist(client)
    renamed = client.update_watchlist_by_id(made.id, UpdateWatchlistRequest(name="renamed"))
    return (renamed.id, renamed.name) == (made.id, "renamed")


def _adds_to_watchlist(client: Any) -> bool:
    return _symbols(client.add_asset_to_watchlist_by_id(_watchlist(client).id, PAIR)) == [
        STOCK,
        PAIR,
    ]


def _removes_from_watchlist(client: Any) -> bool:
    return not _symbols(client.remove_asset_from_watchlist_by_id(_watchlist(client).id, STOCK))


def _deletes_watchlist(client: Any) -> bool:
    made = _watchlist(client)
    client.delete_watchlist_by_id(made.id)
    return made.id not in [each.id for each in client.get_watchlists()]


def _lists_positions(client: Any) -> bool:
    return {each.symbol for each in client.get_all_positions()} == {STOCK, PAIR}


def _outcome(client: Any, accepted: Any) -> Any:
    return client.get_order_by_id(accepted.id)


def _closes_a_part(client: Any) -> bool:
    order = _outcome(client, client.close_position(STOCK, ClosePositionRequest(qty="1")))
    return (order.status, order.filled_qty) == (OrderStatus.FILLED, "1")


def _closes_a_percentage(client: Any) -> bool:
    order = _outcome(client, client.close_position(PAIR, ClosePositionRequest(percentage="50")))
    return (order.status, order.filled_qty) == (OrderStatus.FILLED, "1")


def _closes_a_position(client: Any) -> bool:
    return bool(_outcome(client, client.close_position(PAIR)).status == OrderStatus.FILLED)


def _closes_all(client: Any) -> bool:
    results = client.close_all_positions(cancel_orders=True)
    return [(each.symbol, each.status) for each in results] == [(STOCK, 200)]


def _announcements() -> GetCorporateAnnouncementsRequest:
    return GetCorporateAnnouncementsRequest(
        ca_types=[CorporateActionType.DIVIDEND], since=date(2026, 11, 1), until=date(2026, 11, 30)
    )


def _days() -> GetCalendarRequest:
    return GetCalendarRequest(start=date(2026, 12, 4), end=date(2026, 12, 6))


_PROFIT = TakeProfitRequest(limit_price=150)
_LOSS = StopLossRequest(stop_price=40)
_STOP = {"side": OrderSide.SELL, "stop_price": 40}

TRADING = alpaca_client(
    TradingClient,
    Call("get_account", lambda client: client.get_account().status == AccountStatus.ACTIVE),
    Call(
        "get_account_configurations",
        lambda client: not client.get_account_configurations().suspend_trade,
    ),
    Call("set_account_configurations", _configures),
    Call("get_portfolio_history", lambda client: client.get_portfolio_history().equity[-1] > 0),
    Call("get_clock", lambda client: client.get_clock().is_open),
    Call("get_calendar", lambda client: len(client.get_calendar(_days())) == 3),
    Call("get_asset", lambda client: client.get_asset(PAIR).tradable),
    Call("get_all_assets", _lists_assets),
    Call("get_all_assets", _lists_pairs, "asset_class crypto"),
    _submits(
        MarketOrderRequest(**_terms()),
        OrderStatus.FILLED,
        asks_for="a market order",
    ),
    _submits(_limit(), OrderStatus.NEW, asks_for="a limit order"),
    _submits(
        _limit(symbol=PAIR, qty=0.5, time_in_force=TimeInForce.GTC),
        OrderStatus.NEW,
        asks_for="a limit order of a pair",
    ),
    _submits(
        _limit(time_in_force=TimeInForce.IOC),
        OrderStatus.CANCELED,
        asks_for="time_in_force ioc",
    ),
    _submits(
        _limit(time_in_force=TimeInForce.FOK),
        OrderStatus.CANCELED,
        asks_for="time_in_force fok",
    ),
    *(
        _submits(_limit(time_in_force=tif), OrderStatus.NEW, asks_for=f"time_in_force {tif.value}")
        for tif in (TimeInForce.OPG, TimeInForce.CLS)
    ),
    _submits(_limit(extended_hours=True), OrderStatus.NEW, asks_for="extended_hours"),
    _submits(
        _limit(position_intent=PositionIntent.BUY_TO_OPEN),
        OrderStatus.NEW,
        asks_for="position_intent",
    ),
    _submits(
        MarketOrderRequest(**_terms(qty=None, notional=200)),
        OrderStatus.FILLED,
        asks_for="notional",
    ),
    _submits(StopOrderRequest(**_terms(**_STOP)), OrderStatus.NEW, asks_for="a stop order"),
    _submits(
        StopLimitOrderRequest(**_terms(**_STOP, limit_price=39)),
        OrderStatus.NEW,
        asks_for="a stop-limit order",
    ),
    _submits(
        TrailingStopOrderRequest(**_terms(side=OrderSide.SELL, trail_percent=5)),
        OrderStatus.NEW,
        asks_for="a trailing stop",
    ),
    _attached(OrderClass.BRACKET, take_profit=_PROFIT, stop_loss=_LOSS),
    _attached(OrderClass.OCO, side=OrderSide.SELL, take_profit=_PROFIT, stop_loss=_LOSS),
    _attached(OrderClass.OTO, stop_loss=_LOSS),
    _submits(
        MarketOrderRequest(
            qty=1,
            time_in_force=TimeInForce.DAY,
            order_class=OrderClass.MLEG,
            legs=_two_legs(),
        ),
        OrderStatus.NEW,
        asks_for="order_class mleg",
    ),
    Call("get_orders", _lists_open_orders, "open orders"),
    Call("get_orders", _lists_closed_orders, "closed orders"),
    Call("get_orders", _lists_selected_orders, "symbols, side, time and direction"),
    Call("get_order_by_id", _reads_by_id),
    Call("get_order_by_client_id", _reads_by_client_id),
    Call("replace_order_by_id", _replaces),
    Call("replace_order_by_id", _moves_a_stop_price, "stop_price of a stop order"),
    Call("cancel_order_by_id", _cancels),
    Call("cancel_orders", _cancels_all),
    Call("create_watchlist", lambda client: _symbols(_watchlist(client)) == [STOCK]),
    Call("get_watchlists", _lists_watchlists),
    Call("get_watchlist_by_id", _reads_watchlist),
    Call("update_watchlist_by_id", _renames_watchlist),
    Call("add_asset_to_watchlist_by_id", _adds_to_watchlist),
    Call("remove_asset_from_watchlist_by_id", _removes_from_watchlist),
    Call("delete_watchlist_by_id", _deletes_watchlist),
    Call("get_all_positions", _lists_positions),
    Call("get_open_position", lambda client: client.get_open_position(PAIR).qty == "2"),
    Call("close_position", _closes_a_part, "qty"),
    Call("close_position", _closes_a_percentage, "percentage"),
    Call("close_position", _closes_a_position),
    Call("close_all_positions", _closes_all),
    Call("exercise_options_position", lambda client: client.exercise_options_position(OPTION)),
    Call("get_option_contract", lambda client: client.get_option_contract(OPTION)),
    Call(
        "get_option_contracts",
        lambda client: (
            not client.get_option_contracts(GetOptionContractsRequest()).option_contracts
        ),
        empty=True,
    ),
    Call(
        "get_corporate_announcements",
        lambda client: not client.get_corporate_announcements(_announcements()),
        empty=True,
    ),
    Call(
        "get_corporate_announcement_by_id",
        lambda client: client.get_corporate_announcement_by_id(NO_ID),
    ),
)
