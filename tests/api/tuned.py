"""A venue that reads its tuning from a file."""

import json
from itertools import count
from pathlib import Path

from tests.support import metrics
from tests.support.venue import Venue
from tests.support.waiting import wait_for


class Tuned:
    """Writes a running venue's tuning, each time with the next generation."""

    def __init__(self, venue: Venue, path: Path) -> None:
        self.venue = venue
        self.path = path

    def write(self, **terms: int) -> int:
        """Write a tuning of the next generation, which is returned."""
        generation = next(_GENERATIONS)
        draft = self.path.with_suffix(".new")
        draft.write_text(json.dumps({"generation": generation, **terms}))
        draft.replace(self.path)
        return generation

    def take(self, workers: int, **terms: int) -> None:
        """Write a tuning and wait until so many workers, and no more, run with it."""
        wanted = [float(self.write(workers=workers, **terms))] * workers
        wait_for(lambda: generations(self.venue) == wanted)


def generations(venue: Venue) -> list[float]:
    """Return the tuning that each worker runs with."""
    return metrics.values(venue.metrics(), "openvenue_api_tuning_generation")


_GENERATIONS = count(1)
