"""API keys belong to a shard.

An existing key goes to the only shard of the database, or else to the only shard that has its
account. Otherwise it stays without one, and this version accepts it nowhere until `openvenue keys
claim`. Earlier versions write no shard and read every key; a trigger gives their keys to the only
shard of the database.
"""

from collections.abc import Sequence

import sqlalchemy as sa

from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# While a projection is being emptied (its sequence is -1), its shard's accounts may be missing.
GIVE_TO_SHARDS = """
UPDATE api_keys SET shard_id = holders.shard_id
FROM (
    SELECT account_id, min(shard_id) AS shard_id FROM accounts
    GROUP BY account_id HAVING count(*) = 1
) AS holders
WHERE api_keys.account_id = holders.account_id AND api_keys.shard_id IS NULL
  AND NOT EXISTS (SELECT FROM projection_offsets WHERE sequence < 0)
"""


def upgrade() -> None:
    # A restored dump empties the search path, so the functions set their own.
    op.add_column("api_keys", sa.Column("shard_id", sa.BigInteger(), nullable=True))
    op.execute(
        """
        CREATE FUNCTION only_shard() RETURNS bigint LANGUAGE sql STABLE
        SET search_path FROM CURRENT AS $$
            SELECT min(shard_id) FROM projection_offsets HAVING count(*) = 1
        $$
        """
    )
    op.execute("UPDATE api_keys SET shard_id = only_shard()")
    op.execute(GIVE_TO_SHARDS)
    op.execute(
        """
        CREATE FUNCTION give_api_key_a_shard() RETURNS trigger LANGUAGE plpgsql
        SET search_path FROM CURRENT AS $$
        BEGIN
            NEW.shard_id := only_shard();
            RETURN NEW;
        END $$
        """
    )
    op.execute(
        """
        CREATE TRIGGER api_keys_shard BEFORE INSERT ON api_keys
        FOR EACH ROW WHEN (NEW.shard_id IS NULL) EXECUTE FUNCTION give_api_key_a_shard()
        """
    )


def downgrade() -> None:
    op.execute("DROP TRIGGER api_keys_shard ON api_keys")
    op.execute("DROP FUNCTION give_api_key_a_shard")
    op.execute("DROP FUNCTION only_shard")
    op.drop_column("api_keys", "shard_id")
