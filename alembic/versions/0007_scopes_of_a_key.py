"""Keys have scopes.

Existing keys, and those that the version before makes, read and trade. The version before does not
know scopes, so the hash of a key without `trade` must be one that it takes for wrong: it compares
32 bytes.
"""

from collections.abc import Sequence

import sqlalchemy as sa

from alembic import op

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column(
        "api_keys",
        sa.Column(
            "scopes",
            sa.ARRAY(sa.Text()),
            server_default=sa.text("'{read,trade}'::text[]"),
            nullable=False,
        ),
    )
    op.create_check_constraint(
        op.f("api_keys_scopes_check"),
        "api_keys",
        "scopes <@ ARRAY['read', 'trade'] AND 'read' = ANY (scopes)",
    )
    op.create_check_constraint(
        op.f("api_keys_scoped_hash_check"),
        "api_keys",
        "'trade' = ANY (scopes) OR octet_length(secret_hash) > 32",
    )


def downgrade() -> None:
    # No version accepts such a key without its scopes: it should not be listed as in force.
    op.execute(
        "UPDATE api_keys SET revoked_at = now() "
        "WHERE revoked_at IS NULL AND NOT 'trade' = ANY (scopes)"
    )
    op.drop_constraint("api_keys_scoped_hash_check", "api_keys")
    op.drop_constraint("api_keys_scopes_check", "api_keys")
    op.drop_column("api_keys", "scopes")
