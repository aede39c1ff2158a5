"""Concurrent dispatch gives the same result as one operation after the other."""

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openvenue.replay.dispatch import dispatch
from openvenue.replay.model_book import ModelBook
from openvenue.replay.operation import Kind, Operation, Side, conflicts, observation
from openvenue.replay.synthetic import SyntheticDay


def place(key: int, side: Side, price: int) -> Operation:
    return Operation(Kind.PLACE, key, side, price, 10)


def take(key: int, side: Side, price: int, maker: int) -> Operation:
    return Operation(
        Kind.TAKE, key, side, price, 10, ((maker, 10),), first_price=price, last_price=price
    )


def cancel(key: int, side: Side, price: int) -> Operation:
    return Operation(Kind.CANCEL, key, side, price, 10)


@pytest.mark.parametrize(
    ("why", "earlier", "later", "waits"),
    [
        ("one order", place(1, "buy", 99), cancel(1, "buy", 99), True),
        ("one queue", place(1, "buy", 99), place(2, "buy", 99), True),
        ("two queues", place(1, "buy", 99), place(2, "buy", 98), False),
        ("leaving one queue", cancel(1, "buy", 99), cancel(2, "buy", 99), False),
        ("joining behind who leaves", cancel(1, "buy", 99), place(2, "buy", 99), False),
        ("a level to be taken", place(1, "sell", 100), take(2, "buy", 100, 1), True),
        ("a level beyond what is taken", place(1, "sell", 101), take(2, "buy", 100, 9), False),
        ("a cancel within reach", cancel(1, "sell", 100), take(2, "buy", 100, 9), True),
        ("two takers of one level", take(1, "buy", 100, 8), take(2, "buy", 100, 9), True),
        ("a bid where asks were taken", take(1, "buy", 100, 9), place(2, "buy", 100), True),
        ("a bid below what is taken", take(1, "buy", 100, 9), place(2, "buy", 99), False),
        ("a bid where an ask leaves", cancel(1, "sell", 99), place(2, "buy", 99), True),
        ("both sides, apart", place(1, "sell", 100), place(2, "buy", 99), False),
        ("a look and its order", take(3, "buy", 9, 1), observation(take(3, "buy", 9, 1)), True),
        ("a look and its maker", observation(take(3, "buy", 9, 1)), cancel(1, "sell", 9), True),
        ("a look and others", observation(take(3, "buy", 9, 1)), cancel(2, "sell", 9), False),
        ("the whole book", Operation(Kind.READ_BOOK, 0, "buy", None, 0), place(1, "buy", 1), True),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_operations_wait_only_for_what_they_touch(
    why: str, earlier: Operation, later: Operation, waits: bool
) -> None:
    assert conflicts(earlier, later) is waits


async def replay_with_delays(operations: list[Operation], seed: int, window: int) -> ModelBook:
    """Perform operations on a model book, each after a random time, as a venue would."""
    venue = ModelBook()
    dice = random.Random(seed)

    async def perform(operation: Operation) -> tuple[tuple[int, int], ...]:
        for _ in range(dice.randint(0, 5)):
            await asyncio.sleep(0)
        if operation.kind is Kind.CANCEL:
            venue.reduce(operation.key, operation.qty)
            return ()
        assert operation.price is not None or operation.kind is Kind.TAKE
        entered = (
            venue.take(operation.key, operation.side, operation.price, operation.qty)
            if operation.price is None
            else venue.place(operation.key, operation.side, operation.price, operation.qty)
        )
        for _ in range(dice.randint(0, 5)):
            await asyncio.sleep(0)
        return entered.makers

    items = [(operation, [operation]) for operation in operations]
    async for operation, (makers,) in dispatch(items, perform, window):
        assert makers == operation.makers
    return venue


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 64))
def test_any_interleaving_gives_the_fills_and_the_queues_of_one_after_the_other(
    seed: int, window: int
) -> None:
    day = SyntheticDay(orders=150, seed=seed, mid_ticks=1000)
    operations = list(day)
    venue = asyncio.run(replay_with_delays(operations, seed, window))
    assert venue.levels == day.book.levels
    for side in ("buy", "sell"):
        for price in day.book.levels[side]:
            assert list(venue.levels[side][price]) == list(day.book.levels[side][price])


async def test_items_come_back_in_order_with_all_their_outcomes() -> None:
    async def perform(operation: Operation) -> int:
        for _ in range(10 - operation.key):
            await asyncio.sleep(0)
        return operation.key

    items = [
        ("first", [place(1, "buy", 1), place(2, "buy", 2)]),
        ("none", []),
        ("last", [place(3, "buy", 3)]),
    ]
    results = [result async for result in dispatch(items, perform, window=8)]
    assert results == [("first", [1, 2]), ("none", []), ("last", [3])]


async def test_no_more_than_the_window_is_under_way() -> None:
    under_way = most = 0

    async def perform(operation: Operation) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1

    items = [(key, [place(key, "buy", key)]) for key in range(50)]
    async for _ in dispatch(items, perform, window=4):
        pass
    assert most == 4


async def test_a_failure_ends_the_replay_and_what_is_under_way() -> None:
    finished: list[int] = []

    async def perform(operation: Operation) -> None:
        if operation.key == 2:
            raise ConnectionError("gone")
        await asyncio.sleep(60)
        finished.append(operation.key)

    items = [(key, [place(key, "buy", key)]) for key in (2, 1, 3)]
    with pytest.raises(ConnectionError, match="gone"):
        async for _ in dispatch(items, perform, window=8):
            pass
    assert finished == []


def test_the_same_seed_gives_the_same_day() -> None:
    first, second = (list(SyntheticDay(500, seed=4, mid_ticks=1000)) for _ in range(2))
    assert first == second
    assert first != list(SyntheticDay(500, seed=5, mid_ticks=1000))
