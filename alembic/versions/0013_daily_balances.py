"""Cash and positions at the end of each day, for the history of an account's equity."""

from collections.abc import Sequence

import sqlalchemy as sa

from alembic import op

revision: str = "0013"
down_revision: str | None = "0012"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "daily_cash",
        sa.Column("shard_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("cash", sa.Numeric(26, 6), nullable=False),
        sa.PrimaryKeyConstraint("shard_id", "account_id", "day", name=op.f("daily_cash_pkey")),
    )
    op.create_table(
        "daily_positions",
        sa.Column("shard_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("instrument_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("qty", sa.Numeric(28, 9), nullable=False),
        sa.Column("cost", sa.Numeric(26, 6), nullable=False),
        sa.PrimaryKeyConstraint(
            "shard_id", "account_id", "instrument_id", "day", name=op.f("daily_positions_pkey")
        ),
    )


def downgrade() -> None:
    op.drop_table("daily_positions")
    op.drop_table("daily_cash")
