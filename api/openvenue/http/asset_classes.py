"""The query parameter `asset_class` of lists."""

from openvenue.http import problems
from openvenue.vocabulary import ASSET_CLASSES

# Alpaca's classes that this venue has no instruments of. Their lists are empty.
_ABSENT = (
    "us_option",
    "crypto_perp",
    "treasury",
    "corporate",
    "global_equity",
    "us_index",
    "us_equity_chain",
    "ipo",
)
_ALL = "all"


def parse_asset_classes(text: str) -> frozenset[str] | None:
    """Return the classes that a comma-separated list names; None if it names all.

    Raises Problem 422 for a name that is no class.
    """
    names = frozenset(name.strip() for name in text.split(","))
    for name in sorted(names):
        if name != _ALL and name not in ASSET_CLASSES.numbers and name not in _ABSENT:
            known = ", ".join((*ASSET_CLASSES.values(), *_ABSENT, _ALL))
            raise problems.invalid(f"asset_class: {name!r} is none of {known}")
    return None if _ALL in names else names
