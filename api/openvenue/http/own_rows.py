"""Rows that the account's owner writes: configuration and watchlists."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncConnection

from openvenue.http.history import answering_for_database
from openvenue.http.worker import Worker


@asynccontextmanager
async def own_rows(worker: Worker) -> AsyncIterator[AsyncConnection]:
    """Lend a connection for the length of a transaction, which is committed at the block's end.

    Raises Problem 503 if the database is down.
    """
    with answering_for_database("the database cannot be reached at the moment: ask again"):
        async with worker.database.connect() as pooled:
            # Two writers of one row follow each other; neither fails.
            connection = await pooled.execution_options(isolation_level="READ COMMITTED")
            async with connection.begin():
                yield connection
