"""Compares the answers that clients got with journal and database, order by order, to the cent."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal

import asyncpg
import grpc
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.engine.v1 import engine_pb2_grpc as rpc
from openvenue.ids import IdSpace, Kind

from tests.cluster.order_flow import Bot, Ledger, Replay
from tests.cluster.stream_reader import StreamReader

PROJECTION_TIMEOUT_S = 60
STREAM_TIMEOUT_S = 60


class Journal:
    """All orders of the journal, read from the engine in the projector's way."""

    def __init__(self, engine_target: str) -> None:
        self.orders: Counter[tuple[int, str]] = Counter()
        """Number of orders per account and client_order_id."""
        self._updates: defaultdict[int, list[tuple[int, tuple[str, int]]]] = defaultdict(list)
        """What happened to the orders of each account: entry, and Alpaca's word with the order."""
        self._sizes: dict[int, int] = {}
        """Lots of every order."""
        self.last_sequence = 0
        self.deposits_micros = 0
        with grpc.insecure_channel(engine_target) as channel:
            durable = rpc.AdminStub(channel).GetStatus(pb.GetStatusRequest()).durable_sequence
            stream = rpc.MarketDataStub(channel).StreamJournal(
                pb.StreamJournalRequest(from_sequence=1), timeout=120
            )
            while self.last_sequence < durable:
                for entry in next(stream).entries:
                    self._take(entry)
            stream.cancel()

    def _take(self, entry: pb.JournalEntry) -> None:
        assert entry.sequence == self.last_sequence + 1, f"a gap after {self.last_sequence}"
        self.last_sequence = entry.sequence
        command = entry.WhichOneof("command")
        made = any(event.WhichOneof("body") == "order_accepted" for event in entry.events)
        if command == "new_order" and made:
            order = entry.new_order
            self.orders[order.account_id, order.client_order_id] += 1
        if command == "adjust_balance" and not _rejected(entry):
            self.deposits_micros += entry.adjust_balance.amount_micros
        for event in entry.events:
            self._take_event(entry, event)

    def _take_event(self, entry: pb.JournalEntry, event: pb.Event) -> None:
        kind = event.WhichOneof("body")
        if kind == "order_accepted":
            self._sizes[entry.sequence] = entry.new_order.qty_lots
            self._happened(entry, entry.new_order.account_id, "new", entry.sequence)
        elif kind == "trade":
            for side in (event.trade.maker, event.trade.taker):
                done = side.filled_lots == self._sizes[side.order_id]
                word = "fill" if done else "partial_fill"
                self._happened(entry, side.account_id, word, side.order_id)
        elif kind == "order_canceled":
            ended = event.order_canceled
            word = "expired" if ended.reason == pb.REASON_DAY_ENDED else "canceled"
            self._happened(entry, ended.account_id, word, ended.order_id)
        elif kind == "order_replaced":
            order = event.order_replaced
            self._sizes[order.order_id] = order.qty_lots
            self._happened(entry, order.account_id, "replaced", order.old_order_id)
            self._happened(entry, order.account_id, "new", order.order_id)

    def _happened(self, entry: pb.JournalEntry, account_id: int, word: str, order_id: int) -> None:
        self._updates[account_id].append((entry.sequence, (word, order_id)))

    def updates_after(self, sequence: int, account_id: int) -> list[tuple[str, int]]:
        """Return what later entries did to an account's orders: Alpaca's word, and the order."""
        return [update for entry, update in self._updates[account_id] if entry > sequence]


def check(
    ledgers: Iterable[Ledger],
    bots: Iterable[Bot],
    replays: Sequence[Replay],
    *,
    readers: Iterable[StreamReader] = (),
    engine_target: str,
    database_url: str,
) -> int:
    """Fail if an order was lost, doubled, invented or denied, if the books do not balance, or if a
    reader has not got every update of its account once, in order.

    Returns the number of compared orders.
    """
    journal = Journal(engine_target)
    rows, cash, unbalanced = asyncio.run(_read_database(database_url, journal.last_sequence))

    doubled = [key for key, count in journal.orders.items() if count != 1]
    assert not doubled, f"made more than once: {doubled[:5]}"
    doubled = [key for key, count in Counter(key for key, _ in rows).items() if count != 1]
    assert not doubled, f"in the database more than once: {doubled[:5]}"
    stored = dict(rows)
    assert set(stored) == set(journal.orders), (
        f"journal and database differ: {sorted(set(stored) ^ set(journal.orders))[:5]}"
    )
    compared = 0
    for ledger in ledgers:
        account_id = ledger.key.account_id
        assert not ledger.unsettled, f"not settled: {sorted(ledger.unsettled)[:5]}"
        for client_order_id, order in ledger.taken.items():
            found = stored.get((account_id, client_order_id))
            assert found == order["id"], f"lost: {client_order_id} is {found}, not {order['id']}"
        for client_order_id in ledger.refused:
            assert (account_id, client_order_id) not in stored, f"denied: {client_order_id}"
        invented = {name for account, name in stored if account == account_id} - set(ledger.taken)
        assert not invented, f"never acknowledged, and there: {sorted(invented)[:5]}"
        compared += len(ledger.taken)
    for bot in bots:
        names = {name for account, name in stored if account == bot.key.account_id}
        assert bot.taken <= names, f"lost: {sorted(bot.taken - names)[:5]}"
        assert not bot.refused & names, f"denied: {sorted(bot.refused & names)[:5]}"
        compared += len(bot.taken)
    entered = sum(int(replay.result["orders_entered"]) for replay in replays)
    accounts = {account for replay in replays for account in replay.account_ids}
    found_of_replays = sum(account in accounts for account, _ in stored)
    # Each was interrupted, and may then have had one request under way.
    assert entered <= found_of_replays <= entered + len(replays)
    compared += entered
    assert cash * 1_000_000 == journal.deposits_micros, "money was made or lost"
    for reader in readers:
        expected = journal.updates_after(reader.began_after, reader.key.account_id)
        _check_updates(reader, expected)
    # Every lot bought was sold by another account, short if necessary.
    assert not unbalanced, f"positions do not add up to nothing: {unbalanced}"
    return compared


def _check_updates(reader: StreamReader, expected: list[tuple[str, int]]) -> None:
    deadline = time.monotonic() + STREAM_TIMEOUT_S
    while len(reader.received) < len(expected) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert reader.problems == []
    received = reader.received[: len(expected)]
    differ = next(
        (at for at, pair in enumerate(zip(received, expected, strict=False)) if pair[0] != pair[1]),
        len(received),
    )
    assert received == expected, (
        f"account {reader.key.account_id}: update {differ} of {len(expected)} is "
        f"{received[differ : differ + 3]}, not {expected[differ : differ + 3]}; {reader.state}"
    )


def _rejected(entry: pb.JournalEntry) -> bool:
    return any(event.WhichOneof("body") == "rejected" for event in entry.events)


async def _read_database(
    url: str, sequence: int
) -> tuple[list[tuple[tuple[int, str], str]], Decimal, dict[int, Decimal]]:
    """Return orders by account and client_order_id with their ids, the sum of all cash, and the
    sums of positions, by instrument, that are not zero."""
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        deadline = time.monotonic() + PROJECTION_TIMEOUT_S
        while (await connection.fetchval("SELECT sequence FROM projection_offsets")) < sequence:
            assert time.monotonic() < deadline, "the projection does not catch up"
            await asyncio.sleep(0.2)
        orders = await connection.fetch(
            "SELECT account_id, client_order_id, shard_id, order_id FROM orders"
            " WHERE replaces IS NULL"
        )
        cash = await connection.fetchval("SELECT sum(cash) FROM accounts")
        unbalanced = await connection.fetch(
            "SELECT instrument_id, sum(qty) FROM positions GROUP BY 1 HAVING sum(qty) <> 0"
        )
    finally:
        await connection.close()
    return (
        [
            (
                (row["account_id"], row["client_order_id"]),
                IdSpace(row["shard_id"], Kind.ORDER).format(row["order_id"]),
            )
            for row in orders
        ],
        cash,
        dict(unbalanced),
    )
