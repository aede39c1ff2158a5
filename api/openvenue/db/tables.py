"""The tables, for Alembic and all queries.

All but `api_keys`, `account_configurations`, `watchlists` and `idempotency_keys` are a projection
of one shard's journal: they can be dropped and rebuilt from it, row for row. Only the projector
writes them, in journal order, so they carry no foreign keys.
Amounts are exact: prices and quantities in decimal units, money in the account's currency.
"""

from collections.abc import Iterable

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Index,
    LargeBinary,
    MetaData,
    Numeric,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import CIDR

from openvenue.vocabulary import (
    ASSET_CLASSES,
    END_REASONS,
    INSTRUMENT_STATES,
    ORDER_STATUSES,
    ORDER_TYPES,
    SCOPES,
    SIDES,
    TIMES_IN_FORCE,
)

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "ck": "%(table_name)s_%(constraint_name)s_check",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    }
)

# Engine amounts are 64-bit counts of at least 1e-9, so 19 digits before the point and 9 after fit
# each of them; values of fills are products in micros.
_QUANTITY = Numeric(28, 9)
_PRICE = Numeric(28, 9)
_MONEY = Numeric(26, 6)
_TIMESTAMP = DateTime(timezone=True)


def _one_of(column: str, values: Iterable[str]) -> CheckConstraint:
    return CheckConstraint(f"{column} IN ({_listed(values)})", name=column)


def _listed(values: Iterable[str]) -> str:
    return ", ".join(f"'{value}'" for value in values)


instruments = Table(
    "instruments",
    metadata,
    Column("shard_id", BigInteger, primary_key=True, autoincrement=False),
    Column("instrument_id", BigInteger, primary_key=True, autoincrement=False),
    Column("symbol", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("asset_class", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("tick_size", _PRICE, nullable=False),
    Column("lot_size", _QUANTITY, nullable=False),
    Column("min_price", _PRICE, nullable=False),
    Column("max_price", _PRICE, nullable=False),
    Column("max_order_qty", _QUANTITY, nullable=False),
    Column("updated_sequence", BigInteger, nullable=False),
    _one_of("asset_class", ASSET_CLASSES.values()),
    _one_of("state", INSTRUMENT_STATES.values()),
)

accounts = Table(
    "accounts",
    metadata,
    Column("shard_id", BigInteger, primary_key=True, autoincrement=False),
    Column("account_id", BigInteger, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("may_sell_short", Boolean, nullable=False),
    Column("credit_limit", _MONEY, nullable=False),
    Column("cash", _MONEY, nullable=False),
    Column("created_at", _TIMESTAMP, nullable=False),
    Column("updated_sequence", BigInteger, nullable=False),
)

positions = Table(
    "positions",
    metadata,
    Column("shard_id", BigInteger, primary_key=True, autoincrement=False),
    Column("account_id", BigInteger, primary_key=True, autoincrement=False),
    Column("instrument_id", BigInteger, primary_key=True, autoincrement=False),
    Column("qty", _QUANTITY, nullable=False),
    Column("cost", _MONEY, nullable=False),
    Column("updated_sequence", BigInteger, nullable=False),
)

orders = Table(
    "orders",
    metadata,
    Column("shard_id", BigInteger, primary_key=True, autoincrement=False),
    Column("order_id", BigInteger, primary_key=True, autoincrement=False),
    Column("account_id", BigInteger, nullable=False),
    Column("instrument_id", BigInteger, nullable=False),
    Column("client_order_id", Text, nullable=False),
    Column("side", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("time_in_force", Text, nullable=False),
    Column("qty", _QUANTITY, nullable=False),
    Column("limit_price", _PRICE),
    Column("filled_qty", _QUANTITY, nullable=False),
    Column("filled_value", _MONEY, nullable=False),
    Column("status", Text, nullable=False),
    Column("end_reason", Text),
    Column("replaces", BigInteger),
    Column("replaced_by", BigInteger),
    Column("created_at", _TIMESTAMP, nullable=False),
    Column("updated_at", _TIMESTAMP, nullable=False),
    Column("ended_at", _TIMESTAMP),
    Column("updated_sequence", BigInteger, nullable=False),
    Column("position_intent", Text),
    Column("self_trade_prevention", Text),
    Column("post_only", Boolean),
    Column("stop_price", _PRICE),
    Column("triggered_at", _TIMESTAMP),
    Column("triggered_sequence", BigInteger),  # the entry's that triggered it
    # Of trailing stop orders; hwm and stop_price are those of its entry while it waits, and those
    # that triggered or ended it afterwards.
    Column("trail_price", _PRICE),
    Column("trail_percent", Numeric(9, 4)),
    Column("hwm", _PRICE),
    _one_of("side", SIDES.values()),
    _one_of("type", ORDER_TYPES.values()),
    _one_of("time_in_force", TIMES_IN_FORCE.values()),
    _one_of("status", ORDER_STATUSES.numbers),
    _one_of("end_reason", END_REASONS.values()),
)
# An account's orders by time of creation; equal times are ordered by id.
Index("orders_account_created_idx", orders.c.account_id, orders.c.created_at, orders.c.order_id)
# An account's orders in one instrument, of which there may be few.
Index(
    "orders_account_instrument_created_idx",
    orders.c.account_id,
    orders.c.instrument_id,
    orders.c.created_at,
    orders.c.order_id,
)
# Open orders alone: they are few, beside a history that only grows.
Index(
    "orders_open_idx",
    orders.c.account_id,
    orders.c.created_at,
    orders.c.order_id,
    postgresql_where=orders.c.ended_at.is_(None),
)
# Not unique: a client_order_id may come again once the engine has forgotten its order.
Index("orders_client_order_id_idx", orders.c.account_id, orders.c.client_order_id)

executions = Table(
    "executions",
    metadata,
    Column("shard_id", BigInteger, primary_key=True, autoincrement=False),
    Column("trade_id", BigInteger, primary_key=True, autoincrement=False),
    Column("liquidity", Text, primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("order_id", BigInteger, nullable=False),
    Column("account_id", BigInteger, nullable=False),
    Column("instrument_id", BigInteger, nullable=False),
    Column("side", Text, nullable=False),
    Column("price", _PRICE, nullable=False),
    Column("qty", _QUANTITY, nullable=False),
    Column("executed_at", _TIMESTAMP, nullable=False),
    Column("cum_qty", _QUANTITY),  # of the order with this trade; null: an older projector's row
    _one_of("liquidity", ("maker", "taker")),
    _one_of("side", SIDES.values()),
)
# For people: no query of the venue looks up an order's executions.
Index("executions_order_idx", executions.c.shard_id, executions.c.order_id)
Index(
    "executions_account_executed_idx",
    executions.c.account_id,
    executions.c.executed_at,
    executions.c.trade_id,
)

# Deposits and withdrawals of cash, and of positions (JNLS), by Alpaca's type of activity.
cash_movements = Table(
    "cash_movements",
    metadata,
    Column("shard_id", BigInteger, primary_key=True, autoincrement=False),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("account_id", BigInteger, nullable=False),
    Column("type", Text, nullable=False),
    Column("amount", _MONEY, nullable=False),
    Column("instrument_id", BigInteger),
    Column("qty", _QUANTITY),
    Column("moved_at", _TIMESTAMP, nullable=False),
    _one_of("type", ("CSD", "CSW", "JNLS")),
)
Index(
    "cash_movements_account_moved_idx",
    cash_movements.c.account_id,
    cash_movements.c.moved_at,
    cash_movements.c.sequence,
)

# Cash and positions at the end of each day of UTC on which they changed.
daily_cash = Table(
    "daily_cash",
    metadata,
    Column("shard_id", BigInteger, primary_key=True, autoincrement=False),
    Column("account_id", BigInteger, primary_key=True, autoincrement=False),
    Column("day", Date, primary_key=True),
    Column("cash", _MONEY, nullable=False),
)
daily_positions = Table(
    "daily_positions",
    metadata,
    Column("shard_id", BigInteger, primary_key=True, autoincrement=False),
    Column("account_id", BigInteger, primary_key=True, autoincrement=False),
    Column("instrument_id", BigInteger, primary_key=True, autoincrement=False),
    Column("day", Date, primary_key=True),
    Column("qty", _QUANTITY, nullable=False),
    Column("cost", _MONEY, nullable=False),
)

projection_offsets = Table(
    "projection_offsets",
    metadata,
    Column("shard_id", BigInteger, primary_key=True, autoincrement=False),
    Column("sequence", BigInteger, nullable=False),
    Column("updated_at", _TIMESTAMP, nullable=False, server_default=text("now()")),
    Column("entry_ns", BigInteger),  # when the entry of that number was sequenced
)

# Public market data, projected apart from the ledger above. The projector makes a partition for
# each day and drops old ones.
trades = Table(
    "trades",
    metadata,
    Column("shard_id", BigInteger, primary_key=True, autoincrement=False),
    Column("trade_id", BigInteger, primary_key=True, autoincrement=False),
    Column("executed_at", _TIMESTAMP, primary_key=True),
    Column("instrument_id", BigInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("price", _PRICE, nullable=False),
    Column("qty", _QUANTITY, nullable=False),
    Column("taker_side", Text, nullable=False),
    _one_of("taker_side", SIDES.values()),
    postgresql_partition_by="RANGE (executed_at)",
)
Index(
    "trades_instrument_idx",
    trades.c.shard_id,
    trades.c.instrument_id,
    trades.c.executed_at,
    trades.c.trade_id,
)

# All other time frames are made of these two.
bars = Table(
    "bars",
    metadata,
    Column("shard_id", BigInteger, primary_key=True, autoincrement=False),
    Column("instrument_id", BigInteger, primary_key=True, autoincrement=False),
    Column("timeframe", Text, primary_key=True),
    Column("started_at", _TIMESTAMP, primary_key=True),
    Column("open", _PRICE, nullable=False),
    Column("high", _PRICE, nullable=False),
    Column("low", _PRICE, nullable=False),
    Column("close", _PRICE, nullable=False),
    Column("volume", _QUANTITY, nullable=False),
    Column("value", _MONEY, nullable=False),
    Column("trades", BigInteger, nullable=False),
    Column("updated_sequence", BigInteger, nullable=False),
    _one_of("timeframe", ("1Min", "1Day")),
)

market_offsets = Table(
    "market_offsets",
    metadata,
    Column("shard_id", BigInteger, primary_key=True, autoincrement=False),
    Column("sequence", BigInteger, nullable=False),
    Column("updated_at", _TIMESTAMP, nullable=False, server_default=text("now()")),
    Column("entry_ns", BigInteger),
)

# The best bid and ask of an instrument from an entry on; null: that side of the book was empty. Its
# primary key is also how it is read. Partitioned as `trades`.
quotes = Table(
    "quotes",
    metadata,
    Column("shard_id", BigInteger, primary_key=True, autoincrement=False),
    Column("instrument_id", BigInteger, primary_key=True, autoincrement=False),
    Column("quoted_at", _TIMESTAMP, primary_key=True),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("bid_price", _PRICE),
    Column("bid_qty", _QUANTITY),
    Column("ask_price", _PRICE),
    Column("ask_qty", _QUANTITY),
    postgresql_partition_by="RANGE (quoted_at)",
)

quotes_offsets = Table(
    "quotes_offsets",
    metadata,
    Column("shard_id", BigInteger, primary_key=True, autoincrement=False),
    Column("sequence", BigInteger, nullable=False),
    Column("updated_at", _TIMESTAMP, nullable=False, server_default=text("now()")),
    Column("entry_ns", BigInteger),
)

# Secrets are 256 random bits, so one SHA-256 is enough; a slow hash only helps weak passwords.
api_keys = Table(
    "api_keys",
    metadata,
    Column("key_id", Text, primary_key=True),
    Column("account_id", BigInteger, nullable=False),
    Column("secret_hash", LargeBinary, nullable=False),
    Column("label", Text, nullable=False, server_default=text("''")),
    Column("created_at", _TIMESTAMP, nullable=False, server_default=text("now()")),
    Column("revoked_at", _TIMESTAMP),
    # Null: made by a version without shards, and not claimed yet; no shard accepts it.
    Column("shard_id", BigInteger),
    Column("scopes", ARRAY(Text), nullable=False, server_default=text("'{read,trade}'::text[]")),
    # Null: the key does not end by itself.
    Column("expires_at", _TIMESTAMP),
    # Null: from anywhere.
    Column("allowed_networks", ARRAY(CIDR)),
    # Null: the venue's limit. 0: none.
    Column("requests_per_minute", BigInteger),
    CheckConstraint(
        f"scopes <@ ARRAY[{_listed(SCOPES)}] AND ('read' = ANY (scopes) OR scopes = ARRAY['data'])",
        name="scopes",
    ),
    CheckConstraint("requests_per_minute >= 0", name="requests_per_minute"),
    # A version without scopes would let the key trade; it accepts none with such a hash.
    CheckConstraint("'trade' = ANY (scopes) OR octet_length(secret_hash) > 32", name="scoped_hash"),
    # As little does a version without limits.
    CheckConstraint(
        "(expires_at IS NULL AND allowed_networks IS NULL) OR octet_length(secret_hash) > 32",
        name="limited_hash",
    ),
)

# An account without a row has the defaults.
account_configurations = Table(
    "account_configurations",
    metadata,
    Column("shard_id", BigInteger, primary_key=True, autoincrement=False),
    Column("account_id", BigInteger, primary_key=True, autoincrement=False),
    Column("suspend_trade", Boolean, nullable=False, server_default=text("false")),
    Column("no_shorting", Boolean, nullable=False, server_default=text("false")),
    Column("fractional_trading", Boolean, nullable=False, server_default=text("true")),
    Column("ptp_no_exception_entry", Boolean, nullable=False, server_default=text("false")),
    Column("dtbp_check", Text, nullable=False, server_default=text("'entry'")),
    Column("pdt_check", Text, nullable=False, server_default=text("'entry'")),
    # Set by administrators alone.
    Column("trading_blocked", Boolean, nullable=False, server_default=text("false")),
)

watchlists = Table(
    "watchlists",
    metadata,
    Column("watchlist_id", Uuid, primary_key=True),
    Column("shard_id", BigInteger, nullable=False),
    Column("account_id", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("instrument_ids", ARRAY(BigInteger), nullable=False),
    Column("created_at", _TIMESTAMP, nullable=False, server_default=text("now()")),
    Column("updated_at", _TIMESTAMP, nullable=False, server_default=text("now()")),
)
Index(
    "watchlists_account_name_idx",
    watchlists.c.account_id,
    watchlists.c.shard_id,
    watchlists.c.name,
    unique=True,
)

# Administrative commands that their senders may send again. A row is there before its command is
# sent. While it has neither `sequence` nor `refusal`, the command's outcome is unknown.
idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("shard_id", BigInteger, primary_key=True, autoincrement=False),
    Column("idempotency_key", Text, primary_key=True),
    Column("fingerprint", LargeBinary, nullable=False),  # SHA-256 of the command
    Column("reserved_at", _TIMESTAMP, nullable=False, server_default=text("now()")),
    Column("after_sequence", BigInteger, nullable=False),  # the command's entry is a later one
    Column("sequence", BigInteger),
    Column("document", LargeBinary),  # what was answered
    Column("refusal", Text),
    Column("refusal_reason", BigInteger),
)
Index("idempotency_keys_reserved_idx", idempotency_keys.c.reserved_at)
