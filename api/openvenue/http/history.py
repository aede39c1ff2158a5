"""Reads of the database that never show less than what the account was told."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.http import problems
from openvenue.http.engine_calls import engine_answer, not_answered
from openvenue.http.worker import Worker
from openvenue.queries.projection import ProjectionLag
from openvenue.telemetry import get_logger

_log = get_logger(__name__)


@asynccontextmanager
async def history_of(worker: Worker, account_id: int) -> AsyncIterator[AsyncConnection]:
    """Lend a connection that sees all that `account_id` has been told.

    Raises Problem 503 where the projection lags too far behind, or the database is away.
    """
    account = await account_of(worker, account_id)
    try:
        async with worker.database.connect() as connection:
            await worker.gate.pass_at(connection, account.updated_sequence)
            yield connection
    except ProjectionLag as error:
        raise problems.unavailable(f"{error}; ask again") from error
    except (SQLAlchemyError, OSError) as error:
        _log.warning("history not read", reason=str(error))
        raise problems.unavailable("the history cannot be read at the moment") from error


async def account_of(worker: Worker, account_id: int) -> pb.Account:
    """Return the account as the engine holds it. Raises Problem 403, 429 or 503."""
    query = pb.GetAccount(account_id=account_id)
    reply = await engine_answer(worker, pb.Request(get_account=query))
    if reply.HasField("account"):
        return reply.account
    raise not_answered(reply)
