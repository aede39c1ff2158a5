"""The tuning policy by example: its demands, when it grants them, and what changes nothing."""

from typing import Any

import pytest
from openvenue_operator import policy
from openvenue_operator.load import IN_FLIGHT_MAX, load_of
from openvenue_operator.model import Allocation, Memory
from openvenue_operator.spec import Bounds, TuningSpec, VenueSpec

from tests.support.observed import NOW, allocation, load, pod, silent, spec, tuning

SPEC = spec(replicas=Bounds(min=1, max=8), workers_per_pod=Bounds(min=1, max=4))


def demand(current: Allocation, short_at: int | None = None, **figures: Any) -> policy.Demand:
    """Return the demand of a load with these figures; `workers` run, all in one pod."""
    runs = tuning(workers=current.workers)
    in_use = figures.pop("db_in_use", 0)
    found = load_of([pod(runs=runs, load=load(**figures), db_in_use=in_use)], NOW)
    assert found is not None
    return policy.demand_of(found, current, SPEC, Memory(pool_short_at=short_at))


def granted(
    asked: policy.Demand,
    current: Allocation,
    *,
    lasting_s: float = 1000,
    spec: VenueSpec = SPEC,
    changed_at: float | None = None,
) -> policy.Wish | None:
    """Return the first granted wish after a demand has lasted this long."""
    memory = Memory(target=current, changed_at=changed_at)
    memory = policy.watched(asked, current, spec, memory, NOW - lasting_s)
    memory = policy.watched(asked, current, spec, memory, NOW)
    return next(policy.wishes(asked, current, spec, memory, NOW), None)


ONE = allocation(db_pool_size=2)
TWO = allocation(workers=2, db_pool_size=2)


# --- How many workers -----------------------------------------------------------------------------


def test_processor_time_says_in_proportion_how_many_workers_are_needed() -> None:
    wish = granted(demand(TWO, cpu_cores=1.8), TWO)  # 90% of one, where 70% are the target
    assert wish is not None
    assert (wish.allocation.replicas, wish.allocation.workers) == (1, 3)
    assert wish.reason == "workers use 90% of a processor: more workers"


def test_workers_that_use_all_of_a_processor_are_doubled_for_nobody_knows_how_much_waits() -> None:
    wish = granted(demand(TWO, cpu_cores=1.9), TWO)
    assert wish is not None
    assert (wish.allocation.replicas, wish.allocation.workers) == (1, 4)
    assert wish.reason == "workers use all of a processor (95%): more workers"


def test_work_that_is_turned_away_counts_as_if_it_had_been_done() -> None:
    # Of 400 requests, workers that are 60% busy turn 300 away.
    asked = demand(TWO, cpu_cores=1.2, requests_per_s=100, refused_per_s=300)
    wish = granted(asked, TWO)
    assert wish is not None
    assert wish.allocation.replicas * wish.allocation.workers == 8
    assert wish.reason == "75% of all requests are turned away: more workers"
    few = demand(TWO, cpu_cores=1.2, requests_per_s=100, refused_per_s=5)
    assert granted(few, TWO) is None


def test_silent_pods_count_as_idle_for_growth_and_as_fully_used_for_shrinking() -> None:
    both = allocation(replicas=2)
    assert granted(demand(both, cpu_cores=0.9), both) is None
    assert granted(demand(ONE, cpu_cores=0.9), ONE) is not None
    three = allocation(replicas=3)
    idle = policy.demand_of(
        load_of([pod("1", load=load(cpu_cores=0.1))], NOW) or pytest.fail("no load"),
        three,
        SPEC,
        Memory(),
    )
    assert idle.borne > 2
    assert granted(idle, three) is None


def test_no_change_makes_more_than_twice_as_many() -> None:
    strict = SPEC.replace(tuning=TuningSpec(targets=SPEC.tuning.targets.replace(cpu_percent=10)))
    found = load_of([pod(runs=tuning(workers=2), load=load(cpu_cores=1.96))], NOW)
    assert found is not None
    asked = policy.demand_of(found, TWO, strict, Memory())
    assert asked.ratio == 2
    wish = granted(asked, TWO, spec=strict)
    assert wish is not None
    assert (wish.allocation.replicas, wish.allocation.workers) == (1, 4)


def test_within_the_dead_band_nothing_changes() -> None:
    assert granted(demand(ONE, cpu_cores=0.76), ONE) is None  # 109% of the target
    assert granted(demand(ONE, cpu_cores=0.78), ONE) is not None  # 111%


def test_a_demand_has_to_last() -> None:
    window_s = SPEC.tuning.up_window_seconds
    assert granted(demand(ONE, cpu_cores=1), ONE, lasting_s=window_s - 1) is None
    assert granted(demand(ONE, cpu_cores=1), ONE, lasting_s=window_s) is not None


def test_a_demand_that_was_interrupted_begins_anew() -> None:
    high, none = demand(ONE, cpu_cores=1), demand(ONE, cpu_cores=0.6)
    memory = policy.watched(high, ONE, SPEC, Memory(), NOW - 100)
    memory = policy.watched(none, ONE, SPEC, memory, NOW - 10)
    memory = policy.watched(high, ONE, SPEC, memory, NOW)
    assert memory.high_since == NOW


def test_after_a_change_it_cools_down() -> None:
    asked = demand(ONE, cpu_cores=1)
    cooldown_s = SPEC.tuning.cooldown_seconds
    assert granted(asked, ONE, changed_at=NOW - cooldown_s + 1) is None
    wish = granted(asked, ONE, changed_at=NOW - cooldown_s)
    assert wish is not None
    assert wish.memory.changed_at == NOW
    assert wish.memory.high_since is None


def test_answers_that_are_late_ask_for_one_more_where_workers_are_nearly_too_busy() -> None:
    for late in ({"p99_ms": 60}, {"event_loop_lag_ms": 30}):
        wish = granted(demand(ONE, cpu_cores=0.64, **late), ONE)
        assert wish is not None
        assert wish.allocation.workers == 2


def test_answers_that_are_late_while_workers_have_room_ask_for_nothing() -> None:
    asked = demand(ONE, cpu_cores=0.6, p99_ms=900, event_loop_lag_ms=900)
    assert granted(asked, ONE) is None


def test_requests_under_way_count_as_load() -> None:
    wish = granted(demand(ONE, cpu_cores=0.1, in_flight=0.8 * IN_FLIGHT_MAX), ONE)
    assert wish is not None
    assert wish.reason == "80% of what may be under way is: more workers"


def test_fewer_workers_come_one_by_one_and_only_where_they_stay_below_the_target() -> None:
    assert granted(demand(TWO, cpu_cores=0.57), TWO) is None  # one would bear 81% of its target
    wish = granted(demand(TWO, cpu_cores=0.55), TWO)
    assert wish is not None
    assert wish.allocation.workers == 1
    window_s = SPEC.tuning.down_window_seconds
    assert granted(demand(TWO, cpu_cores=0.55), TWO, lasting_s=window_s - 1) is None


@pytest.mark.parametrize("dead_band", range(0, 51, 5))
def test_the_load_after_a_step_down_is_below_the_band_that_asks_for_more(
    dead_band: int,
) -> None:
    banded = SPEC.replace(tuning=TuningSpec(dead_band_percent=dead_band))
    assert policy.spare_share(banded) < 1 - dead_band / 100


@pytest.mark.parametrize(
    ("shape", "becomes"),
    [((1, 1), (1, 2)), ((1, 4), (2, 4)), ((3, 1), (3, 2)), ((4, 2), (4, 3)), ((8, 4), (8, 4))],
)
def test_more_workers_are_first_those_of_the_pods_that_are_there(
    shape: tuple[int, int], becomes: tuple[int, int]
) -> None:
    replicas, workers = shape
    current = allocation(replicas=replicas, workers=workers)
    more = policy.more_workers(current, replicas * workers + 1, SPEC.api)
    assert (more.replicas, more.workers) == becomes


@pytest.mark.parametrize(
    ("shape", "becomes"),
    [((1, 2), (1, 1)), ((2, 4), (2, 3)), ((4, 1), (3, 1)), ((3, 2), (2, 2)), ((1, 1), None)],
)
def test_fewer_workers_are_as_few_less_as_can_be(
    shape: tuple[int, int], becomes: tuple[int, int] | None
) -> None:
    fewer = policy.fewer_workers(allocation(replicas=shape[0], workers=shape[1]), SPEC.api)
    assert (fewer and (fewer.replicas, fewer.workers)) == becomes


# --- Connections ----------------------------------------------------------------------------------


def test_a_pool_in_which_queries_wait_grows_by_half() -> None:
    current = allocation(db_pool_size=4)
    wish = granted(demand(current, pool_wait_ms=6), current)
    assert wish is not None
    assert wish.allocation.db_pool_size == 6
    assert wish.memory.pool_short_at == 4


def test_a_full_pool_grows_by_overflow() -> None:
    current = allocation(db_pool_size=10)
    wish = granted(demand(current, pool_wait_ms=6), current)
    assert wish is not None
    assert (wish.allocation.db_pool_size, wish.allocation.db_pool_overflow) == (10, 1)


def test_idle_connections_go_one_by_one_those_beyond_the_kept_ones_first() -> None:
    current = allocation(db_pool_size=5, db_pool_overflow=1)
    wish = granted(demand(current, db_in_use=1), current)
    assert wish is not None
    assert (wish.allocation.db_pool_size, wish.allocation.db_pool_overflow) == (5, 0)
    current = wish.allocation
    wish = granted(demand(current, db_in_use=1), current)
    assert wish is not None
    assert wish.allocation.db_pool_size == 4


def test_a_pool_does_not_shrink_to_where_queries_waited() -> None:
    current = allocation(db_pool_size=6)
    assert granted(demand(current, short_at=5), current) is None
    assert granted(demand(current, short_at=4), current) is not None


def test_a_size_at_which_queries_waited_is_forgotten_after_a_day() -> None:
    day = policy.POOL_SHORT_S
    memory = Memory(pool_short_at=5, pool_short_seen_at=NOW - day + 1)
    assert policy.forgetful(memory, NOW).pool_short_at == 5
    assert policy.forgetful(memory, NOW + 1).pool_short_at is None
    # The version before stored no time.
    old = policy.forgetful(Memory(pool_short_at=5), NOW)
    assert (old.pool_short_at, old.pool_short_seen_at) == (5, NOW)


def test_a_change_in_the_future_is_one_of_now() -> None:
    assert policy.forgetful(Memory(changed_at=NOW + 3600), NOW).changed_at == NOW
    far = Memory(pool_held_until=NOW + 1e6, pods_at_most=3, pods_at_most_until=NOW + 1e6)
    assert policy.forgetful(far, NOW) == Memory()


def test_a_projection_that_is_late_is_no_small_pool() -> None:
    current = allocation(db_pool_size=4)
    assert granted(demand(current, pool_wait_ms=90, projection_wait_ms=600), current) is None
    assert granted(demand(current, pool_wait_ms=90, projection_wait_ms=60), current) is not None


def test_larger_pools_that_did_not_help_are_taken_back_and_not_tried_again_for_a_while() -> None:
    small = allocation(db_pool_size=4)
    first = granted(demand(small, pool_wait_ms=90, queries_per_s=500), small)
    assert first is not None
    larger = first.allocation
    assert larger.db_pool_size == 6
    memory = first.memory.replace(pool_high_since=NOW)
    later = NOW + 600

    def asked(**figures: Any) -> policy.Wish | None:
        return next(policy.wishes(demand(larger, **figures), larger, SPEC, memory, later), None)

    helped = asked(pool_wait_ms=60, queries_per_s=500)
    assert helped is not None
    assert helped.allocation.db_pool_size == 9
    assert (asked(pool_wait_ms=90, queries_per_s=600) or first).allocation.db_pool_size == 9
    in_vain = asked(pool_wait_ms=80, queries_per_s=510)
    assert in_vain is not None
    assert in_vain.allocation == small
    assert "it is the database that is slow" in in_vain.reason
    held = in_vain.memory.replace(pool_high_since=later)
    still = demand(small, pool_wait_ms=90, queries_per_s=500)
    assert next(policy.wishes(still, small, SPEC, held, later + 600), None) is None
    again = policy.forgetful(held, later + policy.POOL_HELD_S)
    assert (
        next(policy.wishes(still, small, SPEC, again, later + policy.POOL_HELD_S), None) is not None
    )


# --- What is measured -----------------------------------------------------------------------------


def test_the_load_of_pods_is_summed_up_and_latencies_weigh_by_orders() -> None:
    found = load_of(
        [
            pod("1", load=load(orders_per_s=300, cpu_cores=0.9, p99_ms=10, pool_wait_ms=1)),
            pod("2", load=load(orders_per_s=100, cpu_cores=0.3, p99_ms=50, pool_wait_ms=7)),
        ],
        NOW,
    )
    assert found is not None
    assert found.orders_per_s == 400
    assert found.cpu_percent == pytest.approx(60)
    assert found.p99_ms == pytest.approx(20)
    assert found.pool_wait_ms == 7


def test_batches_count_as_their_orders_and_say_nothing_of_how_late_one_order_is() -> None:
    found = load_of(
        [
            pod("1", load=load(orders_per_s=100, p99_ms=60, event_loop_lag_ms=10)),
            pod("2", load=load(orders_per_s=0, batch_orders_per_s=300, event_loop_lag_ms=30)),
        ],
        NOW,
    )
    assert found is not None
    assert found.orders_per_s == 400
    assert found.p99_ms == 60
    assert found.event_loop_lag_ms == 25
    assert found.inputs(SPEC)[0].value == 400


def test_pods_of_nonsense_on_their_way_or_read_once_are_not_averaged_in() -> None:
    found = load_of(
        [
            pod("1", load=load(cpu_cores=0.5)),
            silent("2"),
            pod("3", ready=False, load=load(cpu_cores=0)),
            pod("4", terminating=True, load=load(cpu_cores=0)),
            pod("5", load=None),
        ],
        NOW,
    )
    assert found is not None
    assert found.pods == 1
    assert found.cpu_percent == pytest.approx(50)


def test_without_reports_there_is_no_load() -> None:
    assert load_of([silent()], NOW) is None
