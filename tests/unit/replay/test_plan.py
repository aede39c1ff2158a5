"""Planning a LOBSTER day: requests for a message, corrections, and expected trades.

Every day begins with 100 shares bid at 100.00 and 100 offered at 100.02, placed before the file.
"""

import os
from collections import Counter
from pathlib import Path

import pytest
from openvenue.replay.lobster import Day, find_orderbook, read_day
from openvenue.replay.operation import Kind
from openvenue.replay.plan import Cause, Planner, Skip, Target

from tests.replay.days import HIDDEN, day, message, plan, row

DATA = Path(os.environ.get("OPENVENUE_TEST_DATA", "../shared/data")) / "lobster"

FIRST = (HIDDEN, row())


def test_the_first_row_less_the_first_message_is_seeded(tmp_path: Path) -> None:
    placed = (message(1, 7, 30, 1_000_000, 1), row(bid=(1_000_000, 130)))
    seeds, steps, _ = plan(tmp_path, placed)
    assert [(seed.operation.side, seed.operation.qty) for seed in seeds] == [
        ("buy", 100),
        ("sell", 100),
    ]
    assert {seed.cause for seed in seeds} == {Cause.SEEDED}
    assert steps[0].corrections == ()


def test_a_new_order_is_placed_at_its_price(tmp_path: Path) -> None:
    placed = (message(1, 7, 30, 1_000_100, 1), row(bid=(1_000_100, 30)))
    _, steps, _ = plan(tmp_path, FIRST, placed)
    (request,) = steps[1].requests
    operation = request.operation
    assert (operation.kind, operation.side, operation.price, operation.qty) == (
        Kind.PLACE,
        "buy",
        1_000_100,
        30,
    )


def test_a_partial_cancel_reduces_and_a_delete_cancels(tmp_path: Path) -> None:
    _, steps, _ = plan(
        tmp_path,
        FIRST,
        (message(1, 7, 30, 1_000_100, 1), row(bid=(1_000_100, 30))),
        (message(2, 7, 10, 1_000_100, 1), row(bid=(1_000_100, 20))),
        (message(3, 7, 20, 1_000_100, 1), row()),
    )
    reduced, deleted = steps[2].requests[0].operation, steps[3].requests[0].operation
    assert (reduced.kind, reduced.qty) == (Kind.REDUCE, 10)
    assert (deleted.kind, deleted.qty) == (Kind.CANCEL, 20)
    assert not any(step.corrections for step in steps)


def test_an_execution_is_taken_from_the_other_side_and_must_meet_the_named_order(
    tmp_path: Path,
) -> None:
    _, steps, _ = plan(
        tmp_path,
        FIRST,
        (message(1, 7, 30, 1_000_100, 1), row(bid=(1_000_100, 30))),
        (message(4, 7, 30, 1_000_100, 1), row()),
    )
    operation = steps[2].requests[0].operation
    placed = steps[1].requests[0].operation
    assert (operation.kind, operation.side) == (Kind.TAKE, "sell")
    assert operation.makers == ((placed.key, 30),)
    assert steps[2].target is Target.NAMED


def test_an_execution_behind_an_older_order_meets_that_one(tmp_path: Path) -> None:
    _, steps, _ = plan(
        tmp_path,
        FIRST,
        (message(1, 7, 30, 1_000_100, 1), row(bid=(1_000_100, 30))),
        (message(1, 8, 30, 1_000_100, 1), row(bid=(1_000_100, 60))),
        (message(4, 8, 30, 1_000_100, 1), row(bid=(1_000_100, 30))),
    )
    assert steps[3].target is Target.OTHER


def test_hidden_executions_and_halts_send_nothing(tmp_path: Path) -> None:
    _, steps, _ = plan(tmp_path, FIRST, (message(7, 0, 0, -1, -1), row()))
    assert [step.skip for step in steps] == [Skip.HIDDEN_EXECUTION, Skip.HALT]
    assert not any(step.requests for step in steps)


def test_a_price_between_cents_is_explained_and_not_sent(tmp_path: Path) -> None:
    placed = (message(1, 7, 30, 1_000_150, 1), row(bid=(1_000_150, 30)))
    _, steps, _ = plan(tmp_path, FIRST, placed)
    assert (steps[1].skip, steps[1].requests) == (Skip.SUB_PENNY, ())


def test_a_level_that_comes_into_view_unannounced_is_surfaced(tmp_path: Path) -> None:
    _, steps, planner = plan(
        tmp_path, FIRST, (message(3, 1, 100, 1_000_000, 1), row(bid=(999_900, 70)))
    )
    (correction,) = steps[1].corrections
    assert correction.cause is Cause.SURFACED
    assert planner.book.top("buy", 1) == ((999_900, 70),)


def test_an_announced_level_that_is_gone_when_it_comes_into_view_has_vanished(
    tmp_path: Path,
) -> None:
    _, steps, _ = plan(
        tmp_path,
        FIRST,
        (message(1, 7, 30, 1_000_100, 1), row(bid=(1_000_100, 30))),
        (message(1, 8, 40, 1_000_150 + 50 - 100, 1), row(bid=(1_000_100, 70))),
        (message(3, 8, 40, 1_000_100, 1), row(bid=(1_000_100, 30))),
        (message(3, 7, 30, 1_000_100, 1), row(bid=(999_900, 10))),
    )
    causes = Counter(correction.cause for correction in steps[4].corrections)
    assert causes == {Cause.VANISHED: 1, Cause.SURFACED: 1}


def test_a_surfaced_order_that_is_named_later_takes_its_executions(tmp_path: Path) -> None:
    _, steps, _ = plan(
        tmp_path,
        FIRST,
        (message(3, 1, 100, 1_000_000, 1), row(bid=(999_900, 70))),
        (message(4, 5, 20, 999_900, 1), row(bid=(999_900, 50))),
    )
    placed = [correction.operation.qty for correction in steps[1].corrections]
    assert placed == [20, 50]
    assert steps[2].target is Target.NAMED


def test_vanished_orders_are_those_never_mentioned_again(tmp_path: Path) -> None:
    better = (message(1, 9, 5, 1_000_150 + 50 - 100 + 0, 1), row(bid=(1_000_100, 5)))
    _, steps, planner = plan(
        tmp_path,
        FIRST,
        (message(1, 7, 30, 1_000_000, 1), row(bid=(1_000_000, 130))),
        (message(1, 8, 30, 1_000_000, 1), row(bid=(1_000_000, 160))),
        better,
        (message(3, 9, 5, 1_000_100, 1), row(bid=(1_000_000, 130))),
        (message(3, 7, 30, 1_000_000, 1), row(bid=(1_000_000, 100))),
    )
    (correction,) = steps[4].corrections
    eighth = steps[2].requests[0].operation
    assert (correction.operation.kind, correction.operation.key) == (Kind.CANCEL, eighth.key)
    assert steps[5].corrections == ()
    assert planner.book.total("buy", 1_000_000) == 100


def test_after_corrections_the_book_agrees_with_every_row(tmp_path: Path) -> None:
    lines = [
        FIRST,
        (message(1, 7, 30, 1_000_100, 1), row(bid=(1_000_100, 30))),
        (message(4, 7, 30, 1_000_100, 1), row(bid=(1_000_000, 40))),
        (HIDDEN, row(ask=(1_000_300, 5), bid=(1_000_000, 90))),
    ]
    _, steps, planner = plan(tmp_path, *lines)
    final = steps[-1].row
    assert final is not None
    assert (planner.book.top("buy", 1), planner.book.top("sell", 1)) == (final.bids, final.asks)


@pytest.mark.parametrize(("with_rows", "met"), [(True, "NOBODY"), (False, "BEFORE_FILE")])
def test_an_execution_that_meets_nothing_is_explained_by_what_the_file_can_show(
    tmp_path: Path, with_rows: bool, met: str
) -> None:
    lines = (FIRST, (message(4, 3, 5, 1_000_100, -1), row()))
    files = day(tmp_path, *lines)
    planner = Planner(files if with_rows else Day(files.messages, []))
    planner.seeds()
    assert [step.target for step in planner.steps()] == [None, Target[met]]


def test_without_corrections_only_messages_are_sent(tmp_path: Path) -> None:
    file_day = plan(tmp_path, FIRST, (message(3, 1, 100, 1_000_000, 1), row(bid=(999_900, 70))))
    planner = Planner(file_day[2].day, correct=False)
    planner.seeds()
    assert not any(step.corrections for step in planner.steps())


@pytest.mark.parametrize(
    ("name", "named_share"),
    [
        ("AAPL_2012-06-21_34200000_message_10_first998.csv", 1.0),
        ("AMZN_2012-06-21_34200000_57600000_message_1.csv", 0.99),
    ],
)
def test_on_a_real_day_executions_meet_the_order_that_nasdaq_names(
    name: str, named_share: float
) -> None:
    file = DATA / name
    if not file.exists():
        pytest.skip(f"{file} is not there; set OPENVENUE_TEST_DATA to the folder of test data")
    planner = Planner(read_day(file, find_orderbook(file), None))
    planner.seeds()
    targets: Counter[Target] = Counter()
    disagreeing = 0
    for step in planner.steps():
        if step.target is not None:
            targets[step.target] += 1
        assert step.row is not None
        disagreeing += (
            planner.book.top("buy", step.row.depth) != step.row.bids
            or planner.book.top("sell", step.row.depth) != step.row.asks
        )
    assert disagreeing == 0
    assert targets[Target.NAMED] / targets.total() >= named_share
