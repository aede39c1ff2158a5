"""Identity of the projected journal.

The time of the last projected entry distinguishes a journal from another with as many entries.
"""

from collections.abc import Sequence

import sqlalchemy as sa

from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("projection_offsets", sa.Column("entry_ns", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("projection_offsets", "entry_ns")
