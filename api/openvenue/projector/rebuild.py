"""Empties the projection and projects the whole journal again."""

import asyncio

from openvenue.engine.client import open_channel
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.engine.v1 import engine_pb2_grpc as rpc
from openvenue.projector.run import follow
from openvenue.projector.settings import ProjectorSettings
from openvenue.projector.store import Store
from openvenue.settings import Settings


class ProjectorRunning(Exception):
    """A projector holds the shard: stop it first."""


async def rebuild(settings: Settings, own: ProjectorSettings) -> int:
    """Rebuilds every projected row; API keys stay. Returns the sequence number it reached.

    The rows are those that following the journal gave, because both come from the same fold. Until
    it is done, reads of the past answer 503. Raises ProjectorRunning if a projector is at work, and
    grpc.aio.AioRpcError or a connection error if engine or database are away.
    """
    async with open_channel(settings) as channel:
        status = await rpc.AdminStub(channel).GetStatus(
            pb.GetStatusRequest(omit_state_hash=True), timeout=settings.engine_reply_timeout_s
        )
    store = await Store.connect(settings.database_url.get_secret_value(), settings.shard_id)
    try:
        if not await store.lock():
            raise ProjectorRunning(
                f"a projector is at work on shard {settings.shard_id}: stop it, then rebuild"
            )
        await store.sequence()
        await store.reset()
    finally:
        await store.close()
    if status.durable_sequence:
        await follow(settings, own, asyncio.Event(), status.durable_sequence)
    return int(status.durable_sequence)
