"""The JSON documents of the API, in Alpaca's shapes: decimal strings, closed enumerations.

Alpaca's fields that this venue has no use for are present with a neutral value (null, false, "0"),
because clients' models require them.
"""

from openvenue.documents.resources.accounts import (
    Account,
    AccountConfiguration,
    Activity,
    ConfigurationChange,
    NewWatchlist,
    PortfolioHistory,
    WatchedSymbol,
    Watchlist,
    WatchlistChange,
    WatchlistName,
)
from openvenue.documents.resources.market import (
    Asset,
    Book,
    BookLevel,
    CalendarDay,
    Clock,
    Market,
    MarketCalendar,
    MarketClock,
    MarketClocks,
    MarketDay,
)
from openvenue.documents.resources.operations import (
    Health,
    ProblemDocument,
)
from openvenue.documents.resources.trading import (
    CancelResult,
    ClosedPosition,
    Order,
    OrderResult,
    Position,
)

__all__ = [
    "Account",
    "AccountConfiguration",
    "Activity",
    "Asset",
    "Book",
    "BookLevel",
    "CalendarDay",
    "CancelResult",
    "Clock",
    "ClosedPosition",
    "ConfigurationChange",
    "Health",
    "Market",
    "MarketCalendar",
    "MarketClock",
    "MarketClocks",
    "MarketDay",
    "NewWatchlist",
    "Order",
    "OrderResult",
    "PortfolioHistory",
    "Position",
    "ProblemDocument",
    "WatchedSymbol",
    "Watchlist",
    "WatchlistChange",
    "WatchlistName",
]
