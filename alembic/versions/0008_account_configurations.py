"""Accounts have configurations, which the API enforces.

A trigger names the account's keys as changed: the workers keep a configuration with each key.
"""

from collections.abc import Sequence

import sqlalchemy as sa

from alembic import op

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "account_configurations",
        sa.Column("shard_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("suspend_trade", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("no_shorting", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column(
            "fractional_trading", sa.Boolean(), server_default=sa.text("true"), nullable=False
        ),
        sa.Column(
            "ptp_no_exception_entry",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
        ),
        sa.Column("dtbp_check", sa.Text(), server_default=sa.text("'entry'"), nullable=False),
        sa.Column("pdt_check", sa.Text(), server_default=sa.text("'entry'"), nullable=False),
        sa.PrimaryKeyConstraint("shard_id", "account_id", name=op.f("account_configurations_pkey")),
    )
    # A restored dump empties the search path, so the function sets its own.
    op.execute(
        """
        CREATE FUNCTION notify_account_configuration_changed() RETURNS trigger LANGUAGE plpgsql
        SET search_path FROM CURRENT AS $$
        BEGIN
            PERFORM pg_notify('openvenue_api_keys', key_id) FROM api_keys
            WHERE shard_id = coalesce(NEW.shard_id, OLD.shard_id)
              AND account_id = coalesce(NEW.account_id, OLD.account_id)
              AND revoked_at IS NULL;
            RETURN NULL;
        END $$
        """
    )
    op.execute(
        """
        CREATE TRIGGER account_configurations_changed
        AFTER INSERT OR UPDATE OR DELETE ON account_configurations
        FOR EACH ROW EXECUTE FUNCTION notify_account_configuration_changed()
        """
    )


def downgrade() -> None:
    op.drop_table("account_configurations")
    op.execute("DROP FUNCTION notify_account_configuration_changed")
