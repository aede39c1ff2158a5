"""Stop orders in a real PostgreSQL: their rows, however the journal was cut into batches."""

from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from typing import Any

import asyncpg
import pytest
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.projector.ledger.fold import LedgerBatch
from openvenue.projector.ledger.write import Ledger
from openvenue.projector.store import Store
from openvenue.queries.open_orders_at import OPEN_ORDERS_AT

from tests.projector.entries import (
    SIZES,
    canceled,
    entry,
    new_order,
    trade,
    trailed,
    triggered,
)
from tests.support.venue import Venue

SHARD = 77

ROWS = """
SELECT order_id, type, limit_price, stop_price, status, filled_qty, triggered_sequence,
       triggered_at = '2023-11-14 22:13:20Z'::timestamptz + triggered_sequence * interval '1 s'
FROM orders WHERE shard_id = 77 ORDER BY order_id
"""


@pytest.fixture
async def store(engine: Venue) -> AsyncIterator[Store]:
    opened = await Store.connect(engine.database_url, SHARD)
    yield opened
    await opened.close()


@pytest.fixture
async def database(engine: Venue) -> "AsyncIterator[asyncpg.Connection[asyncpg.Record]]":
    connection = await asyncpg.connect(engine.database_url.replace("+asyncpg", ""))
    yield connection
    await connection.close()


async def project(store: Store, batches: Sequence[Sequence[pb.JournalEntry]]) -> None:
    await store.reset(Ledger())
    assert await store.sequence(Ledger()) == 0
    for entries in batches:
        batch = LedgerBatch(dict(SIZES))
        batch.add(entries)
        await store.apply(Ledger(), batch)


def replaced(
    sequence: int,
    old_order_id: int,
    *before: pb.Event,
    then: Sequence[pb.Event] = (),
    **fields: Any,
) -> pb.JournalEntry:
    terms = {
        "order_id": sequence,
        "old_order_id": old_order_id,
        "account_id": 1,
        "instrument_id": 1,
        "side": pb.SIDE_BUY,
        "time_in_force": pb.TIME_IN_FORCE_GTC,
        "qty_lots": 10,
        **fields,
    }
    command = pb.ReplaceOrder(order_id=old_order_id, client_order_id=f"order-{sequence}")
    event = pb.Event(order_replaced=pb.OrderReplaced(**terms))
    return entry(sequence, *before, event, *then, replace_order=command)


STOP = {"type": pb.ORDER_TYPE_STOP, "stop_price_ticks": 10_100, "limit_price_ticks": 10_500}
STOP_LIMIT = {**STOP, "type": pb.ORDER_TYPE_STOP_LIMIT}
WAITS_HIGHER: dict[str, Any] = {
    "waiting": True,
    "stop_price_ticks": 10_200,
    "limit_price_ticks": 10_600,
}
JOURNAL = [
    new_order(1, **STOP),
    new_order(2, **STOP_LIMIT),
    new_order(3, account_id=2, qty_lots=4),
    replaced(4, 1, **WAITS_HIGHER),
    replaced(5, 2, **WAITS_HIGHER),
    triggered(6, 4, trade(3, 4, 4, filled=(4, 4)), canceled(4, pb.REASON_NO_LIQUIDITY)),
    triggered(7, 5),
    replaced(8, 5, stop_price_ticks=10_200, limit_price_ticks=10_700),
    new_order(9, **STOP),
    new_order(10),
]


async def test_rows_do_not_depend_on_how_entries_were_batched(
    store: Store, database: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    expected = [
        (1, "stop", None, 101, "replaced", 0, None, None),
        (2, "stop_limit", 105, 101, "replaced", 0, None, None),
        (3, "limit", 100, None, "filled", 4, None, None),
        (4, "stop", None, 102, "canceled", 4, 6, True),
        (5, "stop_limit", 106, 102, "replaced", 0, 7, True),
        (8, "stop_limit", 107, 102, "new", 0, 7, True),
        (9, "stop", None, 101, "new", 0, None, None),
        (10, "limit", 100, None, "new", 0, None, None),
    ]
    alone = [[made] for made in JOURNAL]
    for batches in ([JOURNAL], alone, *([JOURNAL[:cut], JOURNAL[cut:]] for cut in range(1, 10))):
        await project(store, batches)
        assert [tuple(row) for row in await database.fetch(ROWS)] == expected


async def test_an_order_waits_as_of_each_entry_before_its_trigger(
    store: Store, database: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    """The query answers as of the entry, although the projection knows later triggers."""
    await project(store, [JOURNAL])

    async def waiting(sequence: int) -> dict[int, bool]:
        later = [1, 2, 3, 4, 5]
        rows = await database.fetch(OPEN_ORDERS_AT, SHARD, sequence, later)
        for row in rows:
            has_no_trigger = row["stop_price"] is not None and row["triggered_at"] is None
            assert row["waits"] == has_no_trigger
        return {row["order_id"]: row["waits"] for row in rows}

    assert await waiting(5) == {3: False, 4: True, 5: True}
    assert await waiting(6) == {5: True}
    assert await waiting(7) == {5: False}
    assert await waiting(10) == {8: False, 9: True, 10: False}


TRAILS = {
    "side": pb.SIDE_SELL,
    "type": pb.ORDER_TYPE_TRAILING_STOP,
    "limit_price_ticks": 0,
    "trail": pb.Trail(ticks=500),
}
BUY_TRAIL = pb.Trail(ppm=15_000, protection_ppm=40_000)
TRAILING_JOURNAL = [
    new_order(1, trailed(1, 10_000, 9_500), **TRAILS),
    new_order(
        2,
        trailed(2, 10_000, 10_150),
        type=pb.ORDER_TYPE_TRAILING_STOP,
        limit_price_ticks=0,
        trail=BUY_TRAIL,
    ),
    replaced(
        3,
        1,
        trailed(1, 11_000, 10_500),
        then=[trailed(3, 11_000, 10_400)],
        side=pb.SIDE_SELL,
        waiting=True,
        stop_price_ticks=10_400,
        trail=pb.Trail(ticks=600),
    ),
    entry(4, trailed(2, 9_000, 9_135), canceled(2, pb.REASON_USER_CANCELED)),
    entry(
        5,
        trailed(3, 12_000, 11_400),
        *triggered(5, 3, canceled(3, pb.REASON_NO_LIQUIDITY)).events,
        trigger_order=pb.TriggerOrder(),
    ),
    new_order(6, trailed(6, 10_000, 9_500), **TRAILS),
]
TRAILING_ROWS = """
SELECT order_id, type, limit_price, stop_price, trail_price, trail_percent, hwm, status,
       triggered_sequence
FROM orders WHERE shard_id = 77 ORDER BY order_id
"""


async def test_trailing_rows_do_not_depend_on_how_entries_were_batched(
    store: Store, database: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    percent = Decimal("1.5")
    expected = [
        (1, "trailing_stop", None, 105, 5, None, 110, "replaced", None),
        (2, "trailing_stop", None, Decimal("91.35"), None, percent, 90, "canceled", None),
        (3, "trailing_stop", None, 114, 6, None, 120, "canceled", 5),
        (6, "trailing_stop", None, 95, 5, None, 100, "new", None),
    ]
    journal = TRAILING_JOURNAL
    alone = [[made] for made in journal]
    for batches in ([journal], alone, *([journal[:cut], journal[cut:]] for cut in range(1, 6))):
        await project(store, batches)
        assert [tuple(row) for row in await database.fetch(TRAILING_ROWS)] == expected
