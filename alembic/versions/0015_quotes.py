"""Quotes: each best bid and ask of an instrument, and how far they are projected."""

from collections.abc import Sequence

import sqlalchemy as sa

from alembic import op

revision: str = "0015"
down_revision: str | None = "0014"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "quotes",
        sa.Column("shard_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("instrument_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("quoted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        *(
            sa.Column(name, sa.Numeric(28, 9))
            for name in ("bid_price", "bid_qty", "ask_price", "ask_qty")
        ),
        sa.PrimaryKeyConstraint(
            "shard_id", "instrument_id", "quoted_at", "sequence", name=op.f("quotes_pkey")
        ),
        postgresql_partition_by="RANGE (quoted_at)",
    )
    op.create_table(
        "quotes_offsets",
        sa.Column("shard_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("entry_ns", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("shard_id", name=op.f("quotes_offsets_pkey")),
    )


def downgrade() -> None:
    op.drop_table("quotes_offsets")
    op.drop_table("quotes")
