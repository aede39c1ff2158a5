"""Reads of the database that never show less than what the account was told."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from sqlalchemy.ext.asyncio import AsyncConnection

from openvenue.db.alchemy import DATABASE_ERRORS, is_away
from openvenue.documents import resources
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.http import problems
from openvenue.http.engine_calls import engine_answer, not_answered
from openvenue.http.worker import Worker
from openvenue.queries import orders as order_queries
from openvenue.queries.projection import ProjectionLag
from openvenue.reasons import reason_of
from openvenue.telemetry import get_logger

_log = get_logger(__name__)


@contextmanager
def answering_for_database(detail: str) -> Iterator[None]:
    """Raise Problem 503 with this detail if the database turns out to be down in the block."""
    try:
        yield
    except DATABASE_ERRORS as error:
        if not is_away(error):
            raise  # A fault of ours, with its traceback.
        _log.warning("database not asked", reason=reason_of(error))
        raise problems.unavailable(detail) from error


@asynccontextmanager
async def history_of(
    worker: Worker, account_id: int, *, priced: bool = False
) -> AsyncIterator[AsyncConnection]:
    """Lend a connection that sees everything that `account_id` was told.

    If `priced`, it sees the market data up to there, too. Raises Problem 503 if a projection lags
    too far behind, or the database is down.
    """
    account = await account_of(worker, account_id)
    with answering_for_database("the history cannot be read at the moment"):
        try:
            gate = worker.priced_gate if priced else worker.gate
            passed = gate.passed(worker.database.connect, account.updated_sequence)
            async with passed as connection:
                yield connection
        except ProjectionLag as error:
            raise problems.unavailable(f"{error}; ask again") from error


async def past_order(
    worker: Worker,
    account_id: int,
    *,
    order_id: int | None = None,
    client_order_id: str | None = None,
) -> resources.Order | None:
    """Return an order that the account was told of, by either id, or None if there is none.

    Raises Problem 503 as `history_of` does.
    """
    async with history_of(worker, account_id) as connection:
        row = await order_queries.find_order(
            connection,
            worker.settings.shard_id,
            account_id,
            order_id=order_id,
            client_order_id=client_order_id,
        )
    if row is None:
        return None
    return worker.views.order_row(row, await worker.instruments.of_id(row.instrument_id))


async def account_of(worker: Worker, account_id: int) -> pb.Account:
    """Return the account as the engine holds it. Raises Problem 403, 429 or 503."""
    query = pb.GetAccount(account_id=account_id)
    reply = await engine_answer(worker, pb.Request(get_account=query))
    if reply.HasField("account"):
        return reply.account
    raise not_answered(reply)
