"""A random flow of orders straight into an engine, and the database's content."""

import asyncio
import hashlib
import random
from itertools import count

import asyncpg
import grpc
from openvenue.db.channels import PROJECTION_CHANNEL
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.engine.v1 import engine_pb2_grpc as rpc
from openvenue.projector.progress import Progress
from openvenue.projector.projection import Projection
from openvenue.projector.run import Followed, all_projections, follow
from openvenue.projector.settings import ProjectorSettings
from pydantic import SecretStr

from tests.support.venue import Venue

ACCOUNTS = (1, 2, 3)
BATCH = 100

_MARKET_DATA_AT = """
SELECT least((SELECT coalesce(min(sequence), 0) FROM market_offsets),
             (SELECT coalesce(min(sequence), 0) FROM quotes_offsets))
"""


class Flow:
    """Limit orders around one price, cancels of one or many, replacements, three accounts.

    Some orders are post-only, and most have one of the ways to prevent trades with their account.
    Stop, stop-limit and trailing stop orders wait for prices among those of the others, so that
    trades reach most.
    """

    def __init__(self, venue: Venue, seed: int) -> None:
        self._admin = venue.admin
        self._channel = grpc.insecure_channel(
            f"127.0.0.1:{venue.engine_port}", options=[("grpc.use_local_subchannel_pool", 1)]
        )
        self._dice = random.Random(seed)
        self._numbers = count(1)
        self._open: list[tuple[int, int]] = []  # (account, order id), also ended ones

    def __enter__(self) -> "Flow":
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def send(self, requests: int) -> int:
        """Send this many requests; return a sequence number after which they make no entry."""
        stub = rpc.TradingStub(self._channel)
        sequence = 0
        for sent in range(0, requests + BATCH, BATCH):
            # The engine triggers orders before it takes the last request, which does nothing.
            batch = (
                [self._request() for _ in range(BATCH)] if sent < requests else [self._nothing()]
            )
            response = stub.Submit(pb.SessionRequest(requests=batch), timeout=30)
            for reply in response.replies:
                sequence = max(sequence, reply.sequence)
                if reply.HasField("order"):
                    self._open.append((reply.order.account_id, reply.order.order_id))
        return sequence

    def status(self) -> pb.EngineStatus:
        status: pb.EngineStatus = rpc.AdminStub(self._channel).GetStatus(
            pb.GetStatusRequest(), timeout=10
        )
        return status

    def accounts(self) -> list[pb.Account]:
        return list(self._admin.call("ListAccounts", pb.ListAccountsRequest()).accounts)

    def open_orders(self) -> list[pb.Order]:
        stub = rpc.TradingStub(self._channel)
        found: list[pb.Order] = []
        for account_id in ACCOUNTS:
            query = pb.ListOpenOrders(account_id=account_id, limit=500)
            while True:
                request = pb.SessionRequest(requests=[pb.Request(list_open_orders=query)])
                (reply,) = stub.Submit(request, timeout=30).replies
                if not reply.order_list.orders:
                    break
                found += reply.order_list.orders
                query.before_order_id = found[-1].order_id
        return found

    def _nothing(self) -> pb.Request:
        cancel = pb.CancelOrder(account_id=ACCOUNTS[0], order_id=1 << 40)
        return pb.Request(request_id=next(self._numbers), cancel_order=cancel)

    def _request(self) -> pb.Request:
        dice = self._dice
        number = next(self._numbers)
        kind = dice.random()
        if kind < 0.01:
            side = dice.choice((pb.SIDE_UNSPECIFIED, pb.SIDE_BUY, pb.SIDE_SELL))
            return pb.Request(
                request_id=number,
                cancel_orders=pb.CancelOrders(account_id=dice.choice(ACCOUNTS), side=side),
            )
        if kind < 0.2 and self._open:
            account_id, order_id = dice.choice(self._open[-200:])
            return pb.Request(
                request_id=number,
                cancel_order=pb.CancelOrder(account_id=account_id, order_id=order_id),
            )
        if kind < 0.35 and self._open:
            account_id, order_id = dice.choice(self._open[-200:])
            return pb.Request(
                request_id=number,
                replace_order=pb.ReplaceOrder(
                    account_id=account_id,
                    order_id=order_id,
                    qty_lots=dice.randint(1, 50),
                    client_order_id=f"replace-{number}",
                ),
            )
        if kind < 0.45:
            return pb.Request(request_id=number, new_order=self._stop_order(number))
        time_in_force = dice.choice((pb.TIME_IN_FORCE_GTC, pb.TIME_IN_FORCE_IOC))
        return pb.Request(
            request_id=number,
            new_order=pb.NewOrder(
                account_id=dice.choice(ACCOUNTS),
                instrument_id=1,
                side=dice.choice((pb.SIDE_BUY, pb.SIDE_SELL)),
                type=pb.ORDER_TYPE_LIMIT,
                time_in_force=time_in_force,
                self_trade_prevention=dice.choice(pb.SelfTradePrevention.values()),
                post_only=time_in_force == pb.TIME_IN_FORCE_GTC and dice.random() < 0.2,
                qty_lots=dice.randint(1, 50),
                limit_price_ticks=10_000 + dice.randint(-10, 10),
                client_order_id=f"new\\{number}\\N ö",
            ),
        )

    def _stop_order(self, number: int) -> pb.NewOrder:
        dice = self._dice
        side = dice.choice((pb.SIDE_BUY, pb.SIDE_SELL))
        order_type = dice.choice((pb.ORDER_TYPE_STOP, pb.ORDER_TYPE_STOP_LIMIT))
        stop_price_ticks = 10_000 + dice.randint(-15, 15)
        limit_price_ticks = stop_price_ticks + dice.randint(0, 10)
        if side == pb.SIDE_SELL:
            limit_price_ticks = (
                0 if order_type == pb.ORDER_TYPE_STOP else stop_price_ticks - dice.randint(0, 10)
            )
        order = pb.NewOrder(
            account_id=dice.choice(ACCOUNTS),
            instrument_id=1,
            side=side,
            type=order_type,
            time_in_force=dice.choice((pb.TIME_IN_FORCE_GTC, pb.TIME_IN_FORCE_DAY)),
            self_trade_prevention=dice.choice(pb.SelfTradePrevention.values()),
            qty_lots=dice.randint(1, 50),
            client_order_id=f"stop-{number}",
        )
        if dice.random() < 0.3:
            order.type = pb.ORDER_TYPE_TRAILING_STOP
            order.trail.ticks = dice.randint(1, 8)
            order.trail.protection_ppm = 1_000 if side == pb.SIDE_BUY else 0
        else:
            order.limit_price_ticks = limit_price_ticks
            order.stop_price_ticks = stop_price_ticks
        return order


def projected_tables() -> list[str]:
    """Return the names of the tables of all projections."""
    followed = all_projections(ProjectorSettings())
    return [table for each in followed for table in each.projection.tables]


async def checksums(database_url: str) -> dict[str, str]:
    """Return a digest of every projected table's rows in the order of their keys."""
    connection = await asyncpg.connect(database_url.replace("+asyncpg", ""))
    try:
        digests = {}
        for table in projected_tables():
            digest = hashlib.sha256()
            for row in await connection.fetch(f"SELECT t::text FROM {table} AS t ORDER BY 1"):
                digest.update(row[0].encode())
            digests[table] = digest.hexdigest()
        return digests
    finally:
        await connection.close()


async def project_into(database_url: str, venue: Venue, until_sequence: int) -> None:
    """Project a venue's journal, up to a sequence number, into any database."""
    settings = venue.settings.model_copy(update={"database_url": SecretStr(database_url)})
    own = ProjectorSettings(rest_max_ms=0)
    async with asyncio.timeout(60):
        await follow(all_projections(own), settings, own, asyncio.Event(), until_sequence)


async def project_alone(
    projection: Projection, venue: Venue, until_sequence: int, own: ProjectorSettings
) -> None:
    """Project a venue's journal into its database by one projection."""
    followed = [Followed(projection, Progress(projection.name))]
    async with asyncio.timeout(60):
        await follow(followed, venue.settings, own, asyncio.Event(), until_sequence)


async def projected_sequence(database_url: str) -> int:
    connection = await asyncpg.connect(database_url.replace("+asyncpg", ""))
    try:
        sequence: int | None = await connection.fetchval("SELECT sequence FROM projection_offsets")
        return sequence or 0
    finally:
        await connection.close()


async def wait_until_projected(database_url: str, sequence: int, timeout_s: float = 30.0) -> None:
    """Wait for the notification of the ledger that it is at `sequence`, and for market data
    and quotes."""
    reached = asyncio.Event()
    connection = await asyncpg.connect(database_url.replace("+asyncpg", ""))

    def notified(_connection: object, _pid: int, _channel: str, payload: str) -> None:
        if int(payload) >= sequence:
            reached.set()

    try:
        await connection.add_listener(PROJECTION_CHANNEL, notified)
        if await projected_sequence(database_url) < sequence:
            await asyncio.wait_for(reached.wait(), timeout_s)
        async with asyncio.timeout(timeout_s):
            while await connection.fetchval(_MARKET_DATA_AT) < sequence:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    finally:
        await connection.close()
