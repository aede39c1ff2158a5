"""Compares a book with a row of the file, at the levels that the row covers."""

from collections import Counter
from enum import Enum

from openvenue.replay.execute import Levels
from openvenue.replay.lobster import Row
from openvenue.replay.plan import PRICE_UNITS_PER_TICK


class Difference(Enum):
    """Possible cause of a difference between a level of the file and of the book."""

    SURFACED = "the file shows more: orders came into view that were never announced"
    VANISHED = "the book shows more: orders were cancelled while out of view"
    SUB_PENNY = "the level's price is not a whole cent, which the venue's tick cannot express"


def differences(row: Row, bids: Levels, asks: Levels) -> Counter[Difference]:
    """Count the levels that differ, by cause; empty if the row agrees. `bids` and `asks` are best
    first and at least as deep as the row, if the book is."""
    found: Counter[Difference] = Counter()
    for shown, ours in ((row.bids, bids[: row.depth]), (row.asks, asks[: row.depth])):
        if shown == ours:
            continue
        shown_sizes, our_sizes = dict(shown), dict(ours)
        for price in shown_sizes.keys() | our_sizes.keys():
            shown_size, our_size = shown_sizes.get(price, 0), our_sizes.get(price, 0)
            if shown_size == our_size:
                continue
            if price % PRICE_UNITS_PER_TICK:
                found[Difference.SUB_PENNY] += 1
            elif shown_size > our_size:
                found[Difference.SURFACED] += 1
            else:
                found[Difference.VANISHED] += 1
    return found
