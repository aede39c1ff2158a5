"""Index of open orders.

Listing an account's open orders reads only those, however long its history is.
"""

from collections.abc import Sequence

import sqlalchemy as sa

from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_index(
        "orders_open_idx",
        "orders",
        ["account_id", "created_at", "order_id"],
        unique=False,
        postgresql_where=sa.text("ended_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_index(
        "orders_open_idx", table_name="orders", postgresql_where=sa.text("ended_at IS NULL")
    )
