"""A change of an account's configuration is announced for the account's tokens, as for its keys.

Workers keep a configuration under the name of the key, or of the account that a token names.
"""

from collections.abc import Sequence

from alembic import op

revision: str = "0017"
down_revision: str | None = "0016"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# A restored dump empties the search path, so the function sets its own.
_FUNCTION = """
CREATE OR REPLACE FUNCTION notify_account_configuration_changed() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM pg_notify('openvenue_api_keys', key_id) FROM api_keys
    WHERE shard_id = coalesce(NEW.shard_id, OLD.shard_id)
      AND account_id = coalesce(NEW.account_id, OLD.account_id)
      AND revoked_at IS NULL;{further}
    RETURN NULL;
END $$
"""
_OF_TOKENS = """
    PERFORM pg_notify(
        'openvenue_api_keys', 'account:' || coalesce(NEW.account_id, OLD.account_id)
    );"""


def upgrade() -> None:
    op.execute(_FUNCTION.format(further=_OF_TOKENS))


def downgrade() -> None:
    op.execute(_FUNCTION.format(further=""))
