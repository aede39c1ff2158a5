"""Keys may expire, be limited to networks, and have a rate limit of their own.

The version before does not know when a key ends, nor from where it may be used. So the hash of such
a key must be one that it takes for wrong.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision: str = "0014"
down_revision: str | None = "0013"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("expires_at", sa.DateTime(timezone=True)))
    op.add_column("api_keys", sa.Column("allowed_networks", postgresql.ARRAY(postgresql.CIDR())))
    op.add_column("api_keys", sa.Column("requests_per_minute", sa.BigInteger()))
    op.drop_constraint("api_keys_scopes_check", "api_keys")
    op.create_check_constraint(
        op.f("api_keys_scopes_check"),
        "api_keys",
        "scopes <@ ARRAY['read', 'trade', 'data'] AND "
        "('read' = ANY (scopes) OR scopes = ARRAY['data'])",
    )
    op.create_check_constraint(
        op.f("api_keys_limited_hash_check"),
        "api_keys",
        "(expires_at IS NULL AND allowed_networks IS NULL) OR octet_length(secret_hash) > 32",
    )
    op.create_check_constraint(
        op.f("api_keys_requests_per_minute_check"), "api_keys", "requests_per_minute >= 0"
    )


def downgrade() -> None:
    # No version accepts such a key without its limits: it should not be listed as in force.
    op.execute(
        "UPDATE api_keys SET revoked_at = now() WHERE revoked_at IS NULL AND "
        "(expires_at IS NOT NULL OR allowed_networks IS NOT NULL OR NOT 'read' = ANY (scopes))"
    )
    op.execute("UPDATE api_keys SET scopes = '{read}' WHERE NOT 'read' = ANY (scopes)")
    op.drop_constraint("api_keys_requests_per_minute_check", "api_keys")
    op.drop_constraint("api_keys_limited_hash_check", "api_keys")
    op.drop_constraint("api_keys_scopes_check", "api_keys")
    op.create_check_constraint(
        op.f("api_keys_scopes_check"),
        "api_keys",
        "scopes <@ ARRAY['read', 'trade'] AND 'read' = ANY (scopes)",
    )
    op.drop_column("api_keys", "requests_per_minute")
    op.drop_column("api_keys", "allowed_networks")
    op.drop_column("api_keys", "expires_at")
