"""A venue of the version before is upgraded to this one while it trades, and back where possible.

The version before comes from this repository's history: the test builds its images, installs its
charts.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.audit import check
from tests.cluster.cluster import TAG, Cluster, eventually
from tests.cluster.node import layout
from tests.cluster.order_flow import AlpacaBot, Bot, CcxtBot, Ledger, OrderFlow
from tests.cluster.venue import PAIR, QUICK, SYMBOL, InstalledVenue

BEFORE = "024aaad26a955270186466dc37f737d3e5d3ba62"
BEFORE_TAG = f"{TAG}-before"


class VenueOfBefore(InstalledVenue):
    """A venue that the charts of the version before install."""

    @property
    def administration(self) -> str:
        return f"{self.name}-api"

    def _settings(self) -> dict[str, Any]:
        settings = super()._settings()
        del settings["admin"]
        return settings


@pytest.fixture(scope="module")
def charts_of_before(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Push the images of the version before and return the folder of its charts."""
    if "OPENVENUE_FAULTS" not in os.environ:
        pytest.skip("building the version before takes minutes: make soak-cluster does it")
    if cluster.kubeconfig != Path(layout.KUBECONFIG):
        pytest.skip("a cluster that is given has no images of the version before")
    known = subprocess.run(
        ["git", "cat-file", "-e", f"{BEFORE}^{{commit}}"], cwd=layout.ROOT, capture_output=True
    )
    if known.returncode != 0:
        pytest.skip(f"this clone's history does not reach {BEFORE[:7]}: git fetch --unshallow")
    source = tmp_path_factory.mktemp("before")
    archive = subprocess.run(
        ["git", "archive", BEFORE], cwd=layout.ROOT, check=True, capture_output=True
    )
    subprocess.run(["tar", "-x", "-C", source], input=archive.stdout, check=True)
    images = ("openvenue-engine", "openvenue")
    build = ["scripts/build-images", "--tag", BEFORE_TAG, "--push", cluster.registry, *images]
    subprocess.run(build, cwd=source, check=True, stdout=sys.stderr)
    return source / "charts"


@pytest.fixture
def bots(venue_of_before: VenueOfBefore) -> list[Bot]:
    alpaca, ccxt = (venue_of_before.open_account(number) for number in (11, 12))
    url = venue_of_before.url
    return [AlpacaBot(url, alpaca, SYMBOL), CcxtBot(url, ccxt, PAIR)]


@pytest.fixture
def venue_of_before(cluster: Cluster, charts_of_before: Path) -> Iterator[VenueOfBefore]:
    with cluster.namespace("version-before") as namespace:
        venue = VenueOfBefore(namespace, "demo", BEFORE_TAG, charts_of_before)
        venue.install_operator(4)
        venue.install(4, *QUICK)
        venue.define_instruments()
        yield venue


def test_it_goes_over_to_this_version_and_its_api_back_without_losing_an_order(
    venue_of_before: VenueOfBefore, bots: list[Bot]
) -> None:
    before = venue_of_before
    venue = InstalledVenue(before.namespace, before.release, TAG)
    ledgers = [Ledger(before.open_account(number)) for number in (1, 2, 3)]
    with OrderFlow(before.url, ledgers, SYMBOL) as flow, bots[0], bots[1]:
        flow.wait_for_orders(50)
        # Upgrade the operator first: the new one also tunes a venue of the version before.
        venue.install_operator(4)
        flow.wait_for_orders(50)
        venue.install(4, *QUICK)
        flow.wait_for_orders(50, timeout_s=120)
        eventually("tuned", venue.is_tuned, timeout_s=180)
        # Keys, accounts and instruments are still there, and can be administrated.
        assert len(venue.command("accounts", "list")) == 5
        # Go back with everything but the engine, whose journal an older one cannot read.
        before.install_operator(4)
        before.install(4, *QUICK, f"image.engine.tag={TAG}")
        flow.wait_for_orders(50, timeout_s=120)
        # And forward again.
        venue.install_operator(4)
        venue.install(4, *QUICK)
        flow.wait_for_orders(50, timeout_s=120)
    print(flow.summary(), f"longest outage {flow.longest_outage_s():.1f} s")
    unclear = [failure for failure in flow.failures if not failure.honest]
    unclear += [failure for bot in bots for failure in bot.failures if failure.status != 503]
    assert unclear == []
    engine, database = venue.engine_target(), venue.database_url()
    assert check(ledgers, bots, [], engine_target=engine, database_url=database) > 250
