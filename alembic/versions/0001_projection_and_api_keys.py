"""Projection and API keys.

A trigger tells the API workers at once which key changed, so that a revoked one stops working
before its cache entry expires.
"""

from collections.abc import Sequence

import sqlalchemy as sa

from alembic import op

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("shard_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("may_sell_short", sa.Boolean(), nullable=False),
        sa.Column("credit_limit", sa.Numeric(precision=26, scale=6), nullable=False),
        sa.Column("cash", sa.Numeric(precision=26, scale=6), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_sequence", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("shard_id", "account_id", name=op.f("accounts_pkey")),
    )
    op.create_table(
        "api_keys",
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("label", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("key_id", name=op.f("api_keys_pkey")),
    )
    op.create_table(
        "executions",
        sa.Column("shard_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("trade_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("liquidity", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("order_id", sa.BigInteger(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("instrument_id", sa.BigInteger(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("price", sa.Numeric(precision=28, scale=9), nullable=False),
        sa.Column("qty", sa.Numeric(precision=28, scale=9), nullable=False),
        sa.Column("executed_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "liquidity IN ('maker', 'taker')", name=op.f("executions_liquidity_check")
        ),
        sa.CheckConstraint("side IN ('buy', 'sell')", name=op.f("executions_side_check")),
        sa.PrimaryKeyConstraint("shard_id", "trade_id", "liquidity", name=op.f("executions_pkey")),
    )
    op.create_index(
        "executions_account_idx", "executions", ["account_id", "shard_id", "trade_id"], unique=False
    )
    op.create_index("executions_order_idx", "executions", ["shard_id", "order_id"], unique=False)
    op.create_table(
        "instruments",
        sa.Column("shard_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("instrument_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("asset_class", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("tick_size", sa.Numeric(precision=28, scale=9), nullable=False),
        sa.Column("lot_size", sa.Numeric(precision=28, scale=9), nullable=False),
        sa.Column("min_price", sa.Numeric(precision=28, scale=9), nullable=False),
        sa.Column("max_price", sa.Numeric(precision=28, scale=9), nullable=False),
        sa.Column("max_order_qty", sa.Numeric(precision=28, scale=9), nullable=False),
        sa.Column("updated_sequence", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "asset_class IN ('us_equity', 'crypto')", name=op.f("instruments_asset_class_check")
        ),
        sa.CheckConstraint("state IN ('active', 'inactive')", name=op.f("instruments_state_check")),
        sa.PrimaryKeyConstraint("shard_id", "instrument_id", name=op.f("instruments_pkey")),
    )
    op.create_table(
        "orders",
        sa.Column("shard_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("order_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("instrument_id", sa.BigInteger(), nullable=False),
        sa.Column("client_order_id", sa.Text(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("time_in_force", sa.Text(), nullable=False),
        sa.Column("qty", sa.Numeric(precision=28, scale=9), nullable=False),
        sa.Column("limit_price", sa.Numeric(precision=28, scale=9), nullable=True),
        sa.Column("filled_qty", sa.Numeric(precision=28, scale=9), nullable=False),
        sa.Column("filled_value", sa.Numeric(precision=26, scale=6), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("end_reason", sa.Text(), nullable=True),
        sa.Column("replaces", sa.BigInteger(), nullable=True),
        sa.Column("replaced_by", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_sequence", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "end_reason IN ('user_canceled', 'immediate_or_cancel', 'fill_or_kill', "
            "'no_liquidity', 'day_ended', 'fill_limit')",
            name=op.f("orders_end_reason_check"),
        ),
        sa.CheckConstraint("side IN ('buy', 'sell')", name=op.f("orders_side_check")),
        sa.CheckConstraint(
            "status IN ('new', 'partially_filled', 'filled', 'canceled', 'expired', 'replaced')",
            name=op.f("orders_status_check"),
        ),
        sa.CheckConstraint(
            "time_in_force IN ('day', 'gtc', 'ioc', 'fok')", name=op.f("orders_time_in_force_check")
        ),
        sa.CheckConstraint("type IN ('market', 'limit')", name=op.f("orders_type_check")),
        sa.PrimaryKeyConstraint("shard_id", "order_id", name=op.f("orders_pkey")),
    )
    op.create_index(
        "orders_account_created_idx",
        "orders",
        ["account_id", "created_at", "order_id"],
        unique=False,
    )
    op.create_index(
        "orders_client_order_id_idx", "orders", ["account_id", "client_order_id"], unique=False
    )
    op.create_table(
        "positions",
        sa.Column("shard_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("instrument_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("qty", sa.Numeric(precision=28, scale=9), nullable=False),
        sa.Column("cost", sa.Numeric(precision=26, scale=6), nullable=False),
        sa.Column("updated_sequence", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "shard_id", "account_id", "instrument_id", name=op.f("positions_pkey")
        ),
    )
    op.create_table(
        "projection_offsets",
        sa.Column("shard_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("shard_id", name=op.f("projection_offsets_pkey")),
    )
    op.execute(
        """
        CREATE FUNCTION notify_api_key_changed() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM pg_notify('openvenue_api_keys', coalesce(NEW.key_id, OLD.key_id));
            RETURN NULL;
        END $$
        """
    )
    op.execute(
        """
        CREATE TRIGGER api_keys_changed AFTER INSERT OR UPDATE OR DELETE ON api_keys
        FOR EACH ROW EXECUTE FUNCTION notify_api_key_changed()
        """
    )


def downgrade() -> None:
    op.execute("DROP TRIGGER api_keys_changed ON api_keys")
    op.execute("DROP FUNCTION notify_api_key_changed")
    op.drop_table("projection_offsets")
    op.drop_table("positions")
    op.drop_index("orders_client_order_id_idx", table_name="orders")
    op.drop_index("orders_account_created_idx", table_name="orders")
    op.drop_table("orders")
    op.drop_table("instruments")
    op.drop_index("executions_order_idx", table_name="executions")
    op.drop_index("executions_account_idx", table_name="executions")
    op.drop_table("executions")
    op.drop_table("api_keys")
    op.drop_table("accounts")
