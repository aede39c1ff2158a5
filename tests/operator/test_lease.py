"""One operator holds a Venue's Lease; another gets it when the holder releases it or is gone."""

import asyncio
import json
import math

import pytest
from lightkube import AsyncClient
from openvenue_operator.cluster import CALL_TIMEOUT_S
from openvenue_operator.lease import (
    ASK_INTERVAL_S,
    HOLD_S,
    PATIENCE_S,
    Claim,
    Move,
    VenueLease,
    next_move,
)
from openvenue_operator.loop import FAILURE_DELAY_MAX_S
from openvenue_operator.observe import VenueObject
from openvenue_operator.settings import TICK_MAX_S, OperatorSettings
from openvenue_operator.spec import ApiSpec, EngineSpec, VenueSpec
from pydantic import ValidationError

from tests.operator.installed_operator import OPERATOR
from tests.operator.objects import DEPLOYMENT, ENGINE, VENUE, venue
from tests.support.api_server import ApiServer
from tests.support.crd import TEMPLATE

ME, OTHER = "ns/me", "ns/other"


def move(claim: Claim | None, unchanged_s: float = 0.0, asked_s: float = math.inf) -> Move:
    return next_move(claim, ME, unchanged_s=unchanged_s, asked_s=asked_s)


def test_a_free_lease_is_taken() -> None:
    assert move(None) is Move.TAKE
    assert move(Claim("", None)) is Move.TAKE


def test_a_holder_writes_only_where_it_is_asked() -> None:
    assert move(Claim(ME, None), unchanged_s=1e9) is Move.HOLD
    assert move(Claim(ME, OTHER)) is Move.ANSWER


def test_an_asker_asks_at_once_and_then_at_intervals() -> None:
    assert move(Claim(OTHER, None)) is Move.ASK
    assert move(Claim(OTHER, None), asked_s=ASK_INTERVAL_S - 1) is Move.WAIT
    assert move(Claim(OTHER, None), asked_s=ASK_INTERVAL_S) is Move.ASK


def test_a_holder_that_does_not_answer_loses_it() -> None:
    assert move(Claim(OTHER, ME), unchanged_s=PATIENCE_S - 1, asked_s=PATIENCE_S) is Move.WAIT
    assert move(Claim(OTHER, ME), unchanged_s=PATIENCE_S, asked_s=PATIENCE_S) is Move.TAKE
    # For any asker: several that wait need not ask one after the other.
    assert move(Claim(OTHER, "ns/third"), unchanged_s=PATIENCE_S, asked_s=0) is Move.TAKE


def test_a_look_ends_before_the_lease_can_be_taken_from_it() -> None:
    assert HOLD_S < PATIENCE_S


def test_a_holder_that_is_well_looks_often_enough_to_answer() -> None:
    # It makes one call before it comes to the Lease.
    assert TICK_MAX_S + CALL_TIMEOUT_S <= PATIENCE_S
    for setting in ("TICK_S", "PROGRESS_TICK_S"):
        with pytest.MonkeyPatch.context() as patched:
            patched.setenv(f"OPENVENUE_OPERATOR_{setting}", str(TICK_MAX_S + 0.1))
            with pytest.raises(ValidationError):
                OperatorSettings()


def test_the_chart_refuses_longer_intervals() -> None:
    schema = json.loads((TEMPLATE.parents[1] / "values.schema.json").read_text())
    timing = schema["properties"]["timing"]["properties"]
    for name in ("tickSeconds", "progressTickSeconds"):
        assert timing[name]["maximum"] == TICK_MAX_S


def test_its_longest_tick_and_a_look_leave_the_process_time_to_be_seen_alive() -> None:
    (bound,) = (
        one.ge
        for one in OperatorSettings.model_fields["hang_timeout_s"].metadata
        if hasattr(one, "ge")
    )
    assert bound >= max(TICK_MAX_S, FAILURE_DELAY_MAX_S) + HOLD_S


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def asked_for(api_server: ApiServer, namespace: str) -> VenueObject:
    api_server.apply(venue(namespace))
    uid = api_server.kubectl(
        "get", "venue", VENUE, "-n", namespace, "-o", "jsonpath={.metadata.uid}"
    )
    spec = VenueSpec(api=ApiSpec(deployment=DEPLOYMENT), engine=EngineSpec(stateful_set=ENGINE))
    return VenueObject(namespace, VENUE, uid, 1, spec, {}, None)


@pytest.mark.cluster
async def test_the_first_holds_it_without_further_writes(
    api_server: ApiServer, client: AsyncClient, asked_for: VenueObject, clock: Clock
) -> None:
    lease = VenueLease(client, ME, clock)
    assert await lease.holder(asked_for) == ME
    api_server.new_calls(OPERATOR)
    for _ in range(10):
        clock.now += 60
        assert await lease.holder(asked_for) == ME
    assert [call for call in api_server.new_calls(OPERATOR) if call.writes] == []


@pytest.mark.cluster
async def test_one_that_waits_is_answered_for_as_long_as_the_holder_lives(
    client: AsyncClient, asked_for: VenueObject, clock: Clock
) -> None:
    mine, theirs = VenueLease(client, ME, clock), VenueLease(client, OTHER, clock)
    assert await theirs.holder(asked_for) == OTHER
    for _ in range(100):
        assert await mine.holder(asked_for) == OTHER
        assert await theirs.holder(asked_for) == OTHER
        clock.now += 5
    for _ in range(100):  # and no longer
        if await mine.holder(asked_for) == ME:
            break
        clock.now += 5
    assert await mine.holder(asked_for) == ME
    assert await theirs.holder(asked_for) == ME


@pytest.mark.cluster
async def test_one_that_ends_lets_the_other_have_it_at_once(
    client: AsyncClient, asked_for: VenueObject, clock: Clock
) -> None:
    mine, theirs = VenueLease(client, ME, clock), VenueLease(client, OTHER, clock)
    assert await theirs.holder(asked_for) == OTHER
    assert await mine.holder(asked_for) == OTHER
    await mine.release(asked_for.namespace, asked_for.name)  # not its own: no effect
    assert await theirs.holder(asked_for) == OTHER
    await theirs.release(asked_for.namespace, asked_for.name)
    assert await mine.holder(asked_for) == ME


@pytest.mark.cluster
async def test_one_of_many_askers_gets_it(
    client: AsyncClient, asked_for: VenueObject, clock: Clock
) -> None:
    names = [f"ns/{number}" for number in range(8)]
    leases = [VenueLease(client, name, clock) for name in names]
    for _ in range(10):
        holders = await asyncio.gather(*(lease.holder(asked_for) for lease in leases))
        believers = [name for name, holder in zip(names, holders, strict=True) if name == holder]
        assert len(believers) == 1
        clock.now += 5
