"""Orders keep what they ask of self-trade prevention, and whether they are post-only.

Rows of an older projector have neither, and neither had their orders. A check of the end reasons
that is not validated holds for new rows alone: PostgreSQL need not read the others, which fulfil
the narrower one, and a downgrade keeps the orders that ended by self-trade prevention.
"""

from collections.abc import Sequence

import sqlalchemy as sa

from alembic import op

revision: str = "0019"
down_revision: str | None = "0018"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_END_REASONS = (
    *("user_canceled", "immediate_or_cancel", "fill_or_kill"),
    *("no_liquidity", "day_ended", "fill_limit"),
)


def upgrade() -> None:
    op.add_column("orders", sa.Column("self_trade_prevention", sa.Text(), nullable=True))
    op.add_column("orders", sa.Column("post_only", sa.Boolean(), nullable=True))
    _check_end_reasons(*_END_REASONS, "self_trade")


def downgrade() -> None:
    _check_end_reasons(*_END_REASONS)
    op.drop_column("orders", "post_only")
    op.drop_column("orders", "self_trade_prevention")


def _check_end_reasons(*words: str) -> None:
    listed = ", ".join(f"'{word}'" for word in words)
    op.execute(
        "ALTER TABLE orders DROP CONSTRAINT orders_end_reason_check, "
        f"ADD CONSTRAINT orders_end_reason_check CHECK (end_reason IN ({listed})) NOT VALID"
    )
