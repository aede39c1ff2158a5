"""Orders keep their stop price, and when a trade reached it.

Rows of an older projector have neither, and neither had their orders. A check of the types that is
not validated holds for new rows alone: PostgreSQL need not read the others, which fulfil the
narrower one, and a downgrade keeps stop orders, without their stop price.
"""

from collections.abc import Sequence

import sqlalchemy as sa

from alembic import op

revision: str = "0020"
down_revision: str | None = "0019"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("orders", sa.Column("stop_price", sa.Numeric(28, 9), nullable=True))
    op.add_column("orders", sa.Column("triggered_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("orders", sa.Column("triggered_sequence", sa.BigInteger(), nullable=True))
    _check_types("market", "limit", "stop", "stop_limit")


def downgrade() -> None:
    _check_types("market", "limit")
    op.drop_column("orders", "triggered_sequence")
    op.drop_column("orders", "triggered_at")
    op.drop_column("orders", "stop_price")


def _check_types(*words: str) -> None:
    listed = ", ".join(f"'{word}'" for word in words)
    op.execute(
        "ALTER TABLE orders DROP CONSTRAINT orders_type_check, "
        f"ADD CONSTRAINT orders_type_check CHECK (type IN ({listed})) NOT VALID"
    )
