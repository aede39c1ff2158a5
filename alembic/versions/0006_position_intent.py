"""Orders keep the position intent of their entry.

Rows of an older projector have none, and neither had their orders.
"""

from collections.abc import Sequence

import sqlalchemy as sa

from alembic import op

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("orders", sa.Column("position_intent", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("orders", "position_intent")
