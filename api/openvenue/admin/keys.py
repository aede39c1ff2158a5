"""Keys of existing accounts; `openvenue.security.keys` has the parts that need no engine."""

from openvenue.admin.client import Admin
from openvenue.admin.errors import InvalidRequest
from openvenue.settings import Settings

LABEL_CHARACTERS_MAX = 128


def check_label(label: str) -> None:
    """Raise InvalidRequest if a key's label is too long."""
    if len(label) > LABEL_CHARACTERS_MAX:
        raise InvalidRequest(f"{{label}} must have at most {LABEL_CHARACTERS_MAX} characters")


async def check_account(admin: Admin, settings: Settings, account_id: int) -> None:
    """Raise AdminError if a key to the account would be useless."""
    served = (await admin.status()).shard_id
    if served != settings.shard_id:
        raise InvalidRequest(
            f"the engine serves shard {served}, and keys of shard {settings.shard_id} would be of "
            f"no use there: set OPENVENUE_SHARD_ID={served}"
        )
    await admin.account(account_id)
