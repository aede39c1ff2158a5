"""Keeps the garbage collector out of the way of a process that holds much and makes few cycles."""

import gc

_OBJECTS_MADE = 50_000
_YOUNGER_COLLECTIONS = 20


def collect_rarely() -> None:
    """Leave out of collections what lives by now, and collect the rest rarely.

    Call once, after imports at the earliest. Nearly all objects of requests and messages are in no
    cycle: they end with their last reference. A collection would find nothing, and visit everything
    that is kept.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_OBJECTS_MADE, _YOUNGER_COLLECTIONS, _YOUNGER_COLLECTIONS)
