"""Finds a repeated key in a JSON object: decoding would silently ignore one of its values."""

import json
import re
from typing import Any

# A string, and whether it is a key. Escapes within strings keep their quotes apart.
_STRINGS = re.compile(rb'"((?:[^"\\]|\\.)*)"(\s*:)?', re.DOTALL)


def repeated_key(body: bytes) -> str | None:
    """Return a key that some object of a valid JSON document repeats; None if there is none."""
    keys = [key for key, colon in _STRINGS.findall(body) if colon]
    if len(set(keys)) == len(keys) and b"\\" not in body:
        return None
    # Two objects may have the same key, and one object may spell one key in two ways.
    found: list[str] = []

    def look(pairs: list[tuple[str, Any]]) -> None:
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                found.append(key)
            seen.add(key)

    json.loads(body, object_pairs_hook=look)
    return found[0] if found else None
