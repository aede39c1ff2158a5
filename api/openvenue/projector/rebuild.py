"""Empties the projections and projects the whole journal again."""

from openvenue.engine.client import open_channel
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.engine.v1 import engine_pb2_grpc as rpc
from openvenue.journal.reader import JournalReader
from openvenue.projector.run import all_projections, project
from openvenue.projector.settings import ProjectorSettings
from openvenue.projector.store import Store
from openvenue.settings import Settings


async def rebuild(settings: Settings, own: ProjectorSettings) -> int:
    """Rebuild every projected row; API keys stay. Returns the sequence number it reached.

    The rows equal those from following the journal, because both come from the same fold. A running
    projector stands by meanwhile and continues afterwards; until then, reads of history answer 503.
    Raises grpc.aio.AioRpcError or a connection error if engine or database are down; with
    OUT_OF_RANGE, before anything was changed, if the engine lacks the first entries.
    """
    # Before deleting rows: the engine may no longer have the first entries.
    async with JournalReader(settings, 1) as reader:
        await reader.read(settings.engine_reply_timeout_s)
    async with open_channel(settings) as channel:
        status = await rpc.AdminStub(channel).GetStatus(
            pb.GetStatusRequest(), timeout=settings.engine_reply_timeout_s
        )
    store = await Store.connect(settings.database_url.get_secret_value(), settings.shard_id)
    try:
        await store.take_over()
        for followed in all_projections(own, quotes=settings.quotes_history):
            await store.reset(followed.projection)
            await project(followed, store, settings, own, status.durable_sequence)
    finally:
        await store.close()
    return int(status.durable_sequence)
