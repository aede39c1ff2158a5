"""API keys of accounts. A key's secret is shown once, when it is made."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Request, Response

from openvenue.admin import documents
from openvenue.admin.errors import InvalidRequest
from openvenue.admin.keys import WantedLimits, overlap_of
from openvenue.admin_server.bodies import LimitsRequest, NewKeyRequest, RotationRequest
from openvenue.admin_server.documentation import accepts, answers
from openvenue.admin_server.services import AdminOf, ServicesOf, json_response
from openvenue.http.json_body import decode_body

_KEYS_MAX = 500
_ACCOUNT_NUMBER_MAX = (1 << 32) - 1

router = APIRouter(prefix="/v1/admin/keys", tags=["keys"])


class KeysPage(msgspec.Struct):
    """Keys, the oldest first, also revoked ones. `next_after` continues; null: the last."""

    keys: list[documents.Key]
    next_after: str | None


@router.get("", openapi_extra=answers(KeysPage))
async def list_keys(
    services: ServicesOf,
    account_id: Annotated[
        int | None, Query(ge=1, le=_ACCOUNT_NUMBER_MAX, description="Only this account's.")
    ] = None,
    after: Annotated[
        str | None, Query(max_length=64, pattern="^[!-~]+$", description="Keys made after it.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=_KEYS_MAX)] = _KEYS_MAX,
) -> Response:
    """List the venue's keys, without their secrets."""
    found = await services.keys.listed(account_id, after=after, limit=limit + 1)
    page = [documents.key(key) for key in found[:limit]]
    return json_response(KeysPage(page, page[-1].key_id if len(found) > limit else None))


@router.post(
    "",
    status_code=201,
    openapi_extra={**accepts(NewKeyRequest), **answers(documents.CreatedKey, 404, 413, status=201)},
)
async def create_key(admin: AdminOf, services: ServicesOf, request: Request) -> Response:
    """Make a key. Sending it again makes another: revoke the one whose secret did not arrive."""
    wanted = decode_body(await request.body(), NewKeyRequest)
    if not 1 <= wanted.account_id <= _ACCOUNT_NUMBER_MAX:
        raise InvalidRequest(f"{{account_id}} must be from 1 to {_ACCOUNT_NUMBER_MAX}")
    limits = _limits(wanted)
    made = await services.keys.create(admin, wanted.account_id, wanted.label, wanted.scopes, limits)
    return json_response(documents.created_key(made), 201)


@router.patch(
    "/{key_id}",
    openapi_extra={**accepts(LimitsRequest), **answers(documents.ChangedKey, 404, 413)},
)
async def change_key(services: ServicesOf, key_id: str, request: Request) -> Response:
    """Change a key's limits; what is absent stays. It is in force within a second."""
    wanted = _limits(decode_body(await request.body(), LimitsRequest))
    if not wanted:
        raise InvalidRequest("give {expires_in}, {allow_from} or {rate_limit}")
    return json_response(documents.changed_key(key_id, await services.keys.change(key_id, wanted)))


@router.post(
    "/{key_id}/rotate",
    status_code=201,
    openapi_extra={
        **accepts(RotationRequest),
        **answers(documents.CreatedKey, 404, 413, status=201),
    },
)
async def rotate_key(services: ServicesOf, key_id: str, request: Request) -> Response:
    """Make a key like this one, which ends by itself after `overlap`."""
    wanted = decode_body(await request.body(), RotationRequest)
    overlap = overlap_of(wanted.overlap)
    made = await services.keys.rotate(key_id, overlap, wanted.expires_in)
    return json_response(documents.created_key(made), 201)


@router.post("/{key_id}/claim", status_code=204, openapi_extra=answers(None, 404, status=204))
async def claim_key(services: ServicesOf, key_id: str) -> Response:
    """Take a key without a shard for this venue."""
    await services.keys.claim(key_id)
    return Response(status_code=204)


@router.delete("/{key_id}", status_code=204, openapi_extra=answers(None, 404, status=204))
async def revoke_key(services: ServicesOf, key_id: str) -> Response:
    """Revoke a key for good; requests with it are refused at once."""
    await services.keys.revoke(key_id)
    return Response(status_code=204)


def _limits(wanted: NewKeyRequest | LimitsRequest) -> WantedLimits:
    rate = wanted.rate_limit
    limits = WantedLimits(wanted.expires_in, wanted.allow_from, None if rate is None else str(rate))
    limits.check()
    return limits
