"""The budget by example: connections that the venue may hold, and may come to hold."""

import pytest
from openvenue_operator.budget import (
    all_run,
    budget_of,
    in_words,
    limit,
    may_hold,
    pods_at_most,
    runs,
)
from openvenue_operator.spec import ConnectionsSpec

from tests.support.observed import database, deployment, observation, pod, silent, spec, tuning


def with_connections(**fields: int) -> ConnectionsSpec:
    return ConnectionsSpec(**fields)


# --- The limit ------------------------------------------------------------------------------------


def test_the_limit_is_what_the_server_allows_less_what_it_reserves_and_the_headroom() -> None:
    assert limit(spec(), observation(pod()), may_hold=5) == 100 - 3 - 3


@pytest.mark.parametrize(("cap", "found"), [(80, 77), (97, 94), (200, 94)])
def test_a_cap_counts_where_it_is_less(cap: int, found: int) -> None:
    assert limit(spec(connections=with_connections(cap=cap)), observation(pod()), 5) == found


def test_connections_of_others_beyond_the_headroom_reduce_the_limit() -> None:
    # A pod may hold 5, projector, streams and migration 3: of 18 connections, 10
    # are somebody else's.
    seen = observation(pod(), database=database(used_connections=18))
    assert limit(spec(), seen, may_hold=5) == 100 - 3 - 10
    seen = observation(pod(), database=database(used_connections=11))
    assert limit(spec(), seen, may_hold=5) == 100 - 3 - 3


def test_without_a_word_of_the_server_nobody_knows_cap_or_not() -> None:
    seen = observation(pod(), database=None)
    assert limit(spec(), seen, may_hold=5) is None
    assert limit(spec(connections=with_connections(cap=20)), seen, may_hold=5) is None


# --- The number of pods ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "most"),
    [
        # Two serve, one more in a rollout, and one drains.
        ({}, 4),
        ({"max_surge": 2}, 6),
        ({"max_surge": 1, "max_unavailable": 1}, 5),
        # New pods count as available before old ones have gone: all may drain.
        ({"min_ready_seconds": 0}, 6),
        ({"autoscaler_max": 5}, 7),
        ({"autoscaler_max": 1}, 4),
        # The autoscaler removes four of five, and adds four others at once.
        ({"autoscaler_max": 5, "autoscaler_min": 1}, 11),
        ({"autoscaler_max": 5, "autoscaler_min": 5}, 7),
        ({"autoscaler_max": 5, "autoscaler_min": 1, "min_ready_seconds": 0}, 16),
        # More than the autoscaler's maximum: those go as well.
        ({"autoscaler_max": 1, "autoscaler_min": 1}, 5),
        # Recreate: all go, then the same number comes.
        ({"max_surge": 0, "max_unavailable": 2}, 4),
    ],
)
def test_a_rollout_adds_pods_and_has_others_drain(fields: dict[str, int], most: int) -> None:
    assert pods_at_most(deployment(2, **fields), 2) == most


def test_pods_that_drain_already_are_counted_beside_those_to_come() -> None:
    going = tuple(pod(str(number), terminating=True) for number in range(3))
    assert pods_at_most(deployment(2), 2, going) == 2 + 1 + 3


def test_pods_that_an_autoscaler_let_go_are_counted_once() -> None:
    scaled = deployment(2, autoscaler_max=8, autoscaler_min=2)
    going = tuple(pod(str(number), terminating=True) for number in range(6))
    assert pods_at_most(scaled, 2) == pods_at_most(scaled, 2, going) == 8 + 1 + 1 + 6


def test_never_fewer_than_there_are() -> None:
    staying = tuple(pod(str(number)) for number in range(6))
    assert pods_at_most(deployment(2), 2, staying) == 6 + 1


# --- A pod's connections --------------------------------------------------------------------------

SMALL, LARGE = tuning(1, db_pool_size=3), tuning(2, workers=2, db_pool_size=5)


def test_a_pod_may_hold_the_applied_pool_once_every_pod_runs_it() -> None:
    seen = observation(pod("1", LARGE), pod("2", LARGE), applied=LARGE)
    assert all_run(seen, LARGE)
    assert may_hold(seen, remembered=40) == 10


@pytest.mark.parametrize(
    "behind",
    [
        pod("2", LARGE),
        silent("2"),
        pod("2", SMALL, workers_leaving=1),
        pod("2", SMALL, generations=(0,)),
        pod("2", SMALL, workers=2),
        silent("2", terminating=True),
        pod("2", LARGE, terminating=True),
    ],
)
def test_until_then_any_may_hold_what_was_allowed_before(behind: object) -> None:
    seen = observation(pod("1", SMALL), behind, applied=SMALL)  # type: ignore[arg-type]
    assert not all_run(seen, SMALL)
    assert may_hold(seen, remembered=10) == 10


def test_a_pods_reported_maximum_counts_even_above_the_applied_one() -> None:
    seen = observation(pod("1", SMALL), pod("2", LARGE), applied=SMALL)
    assert may_hold(seen, remembered=None) == 10


def test_before_the_first_tuning_it_is_what_pods_start_with() -> None:
    assert may_hold(observation(applied=None, started_with=LARGE), remembered=None) == 10


def test_a_pod_runs_a_tuning_when_all_its_workers_say_so() -> None:
    assert runs(pod(runs=LARGE), LARGE)
    assert not runs(pod(runs=LARGE, generations=(2, 1)), LARGE)
    assert not runs(silent(), LARGE)


def test_the_worst_case_is_a_sum_that_one_can_read() -> None:
    budget = budget_of(spec(), deployment(2), replicas=2, connections_per_pod=10, limit=94)
    assert in_words(budget) == "4 pods at most x 10 + 3 = 43 connections of 94"
