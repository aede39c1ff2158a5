"""Movements of cash and positions, and what an order had filled with each of its executions.

Rows of an older projector lack what the order had filled; movements before this migration are
missing until a rebuild.
"""

from collections.abc import Sequence

import sqlalchemy as sa

from alembic import op

revision: str = "0009"
down_revision: str | None = "0008"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "cash_movements",
        sa.Column("shard_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("amount", sa.Numeric(precision=26, scale=6), nullable=False),
        sa.Column("instrument_id", sa.BigInteger(), nullable=True),
        sa.Column("qty", sa.Numeric(precision=28, scale=9), nullable=True),
        sa.Column("moved_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "type IN ('CSD', 'CSW', 'JNLS')", name=op.f("cash_movements_type_check")
        ),
        sa.PrimaryKeyConstraint("shard_id", "sequence", name=op.f("cash_movements_pkey")),
    )
    op.create_index(
        "cash_movements_account_moved_idx",
        "cash_movements",
        ["account_id", "moved_at", "sequence"],
        unique=False,
    )
    op.add_column(
        "executions", sa.Column("cum_qty", sa.Numeric(precision=28, scale=9), nullable=True)
    )


def downgrade() -> None:
    op.drop_column("executions", "cum_qty")
    op.drop_table("cash_movements")
