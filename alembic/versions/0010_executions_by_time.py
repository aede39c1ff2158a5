"""Index of an account's executions by time, for its activities."""

from collections.abc import Sequence

from alembic import op

revision: str = "0010"
down_revision: str | None = "0009"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_INDEX = "executions_account_executed_idx"


def upgrade() -> None:
    # Built while the table is read and written, which no transaction can do.
    with op.get_context().autocommit_block():
        # An interrupted build leaves an invalid index behind.
        op.drop_index(_INDEX, "executions", if_exists=True, postgresql_concurrently=True)
        op.create_index(
            _INDEX,
            "executions",
            ["account_id", "executed_at", "trade_id"],
            unique=False,
            postgresql_concurrently=True,
        )


def downgrade() -> None:
    op.drop_index(_INDEX, table_name="executions")
