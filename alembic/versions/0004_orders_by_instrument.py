"""Index of an account's orders in one instrument; no index of an account's executions.

Listing the history of one symbol reads only that, however much the account traded in others. An
account's executions are found by its orders, so an index of their own only cost writes.
"""

from collections.abc import Sequence

from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    _build_index(
        "orders_account_instrument_created_idx",
        "orders",
        ["account_id", "instrument_id", "created_at", "order_id"],
    )
    op.drop_index("executions_account_idx", table_name="executions")


def downgrade() -> None:
    _build_index("executions_account_idx", "executions", ["account_id", "shard_id", "trade_id"])
    op.drop_index("orders_account_instrument_created_idx", table_name="orders")


def _build_index(name: str, table: str, columns: list[str]) -> None:
    """Build an index while the table is read and written, which no transaction can do."""
    with op.get_context().autocommit_block():
        # An interrupted build leaves an invalid index behind.
        op.drop_index(name, table_name=table, if_exists=True, postgresql_concurrently=True)
        op.create_index(name, table, columns, unique=False, postgresql_concurrently=True)
