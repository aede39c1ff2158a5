"""Orders keep how far a trailing stop price stays from its high-water mark, and the mark.

Rows of an older projector have neither, and neither had their orders. As in 0020, the check of the
types is not validated, and a downgrade keeps the orders.
"""

from collections.abc import Sequence

import sqlalchemy as sa

from alembic import op

revision: str = "0021"
down_revision: str | None = "0020"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("orders", sa.Column("trail_price", sa.Numeric(28, 9), nullable=True))
    op.add_column("orders", sa.Column("trail_percent", sa.Numeric(9, 4), nullable=True))
    op.add_column("orders", sa.Column("hwm", sa.Numeric(28, 9), nullable=True))
    _check_types("market", "limit", "stop", "stop_limit", "trailing_stop")


def downgrade() -> None:
    _check_types("market", "limit", "stop", "stop_limit")
    op.drop_column("orders", "hwm")
    op.drop_column("orders", "trail_percent")
    op.drop_column("orders", "trail_price")


def _check_types(*words: str) -> None:
    listed = ", ".join(f"'{word}'" for word in words)
    op.execute(
        "ALTER TABLE orders DROP CONSTRAINT orders_type_check, "
        f"ADD CONSTRAINT orders_type_check CHECK (type IN ({listed})) NOT VALID"
    )
