"""Market data: trades, bars of a minute and of a day, and how far they are projected."""

from collections.abc import Sequence

import sqlalchemy as sa

from alembic import op

revision: str = "0012"
down_revision: str | None = "0011"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "trades",
        sa.Column("shard_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("trade_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("executed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("instrument_id", sa.BigInteger(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("price", sa.Numeric(28, 9), nullable=False),
        sa.Column("qty", sa.Numeric(28, 9), nullable=False),
        sa.Column("taker_side", sa.Text(), nullable=False),
        sa.CheckConstraint("taker_side IN ('buy', 'sell')", name=op.f("trades_taker_side_check")),
        sa.PrimaryKeyConstraint("shard_id", "trade_id", "executed_at", name=op.f("trades_pkey")),
        postgresql_partition_by="RANGE (executed_at)",
    )
    op.create_index(
        "trades_instrument_idx", "trades", ["shard_id", "instrument_id", "executed_at", "trade_id"]
    )
    op.create_table(
        "bars",
        sa.Column("shard_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("instrument_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("timeframe", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        *(
            sa.Column(name, sa.Numeric(28, 9), nullable=False)
            for name in ("open", "high", "low", "close", "volume")
        ),
        sa.Column("value", sa.Numeric(26, 6), nullable=False),
        sa.Column("trades", sa.BigInteger(), nullable=False),
        sa.Column("updated_sequence", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("timeframe IN ('1Min', '1Day')", name=op.f("bars_timeframe_check")),
        sa.PrimaryKeyConstraint(
            "shard_id", "instrument_id", "timeframe", "started_at", name=op.f("bars_pkey")
        ),
    )
    op.create_table(
        "market_offsets",
        sa.Column("shard_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("entry_ns", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("shard_id", name=op.f("market_offsets_pkey")),
    )


def downgrade() -> None:
    op.drop_table("market_offsets")
    op.drop_table("bars")
    op.drop_table("trades")
