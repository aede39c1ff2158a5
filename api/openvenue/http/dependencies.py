"""What routes ask for: the worker, the account that is asking, and how they answer."""

from typing import Annotated, Any

import msgspec
from fastapi import Depends, Request, Response
from fastapi.security import APIKeyHeader

from openvenue.http.protocol import mark_keyed
from openvenue.http.worker import Worker

_key_id = APIKeyHeader(name="APCA-API-KEY-ID", scheme_name="KeyId", auto_error=False)
_secret = APIKeyHeader(name="APCA-API-SECRET-KEY", scheme_name="SecretKey", auto_error=False)


def _worker(request: Request) -> Worker:
    worker: Worker = request.app.state.worker
    return worker


async def _account_id(
    request: Request,
    _key: Annotated[str | None, Depends(_key_id)],
    _secret: Annotated[str | None, Depends(_secret)],
) -> int:
    account_id = await _worker(request).authenticator.account_of(request.scope["headers"])
    mark_keyed(request.scope)
    return account_id


WorkerOf = Annotated[Worker, Depends(_worker)]
AccountId = Annotated[int, Depends(_account_id)]


def json_response(document: Any, status: int = 200) -> Response:
    """Return a document made of `resources` as the response."""
    return Response(msgspec.json.encode(document), status, media_type="application/json")
