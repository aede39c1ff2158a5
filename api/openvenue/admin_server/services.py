"""What the routes of administration use, and how a request gets it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec
from fastapi import Depends, Path, Request, Response

from openvenue.admin.client import Admin
from openvenue.admin.database import AdminDatabase
from openvenue.admin.errors import AdminError, NotAdmitted
from openvenue.admin.keys import Keys
from openvenue.admin_server.drop_copy import DropCopies
from openvenue.admin_server.settings import AdminSettings
from openvenue.admin_server.tokens import Administrator, Tokens
from openvenue.http import problems
from openvenue.http.failures import SAFE_METHODS
from openvenue.settings import Settings

DATABASE_NAME = "openvenue-admin"
_ACCOUNT_MAX = (1 << 32) - 1


@dataclass(slots=True)
class Services:
    """The process's state, which all requests share."""

    settings: Settings
    own: AdminSettings
    tokens: Tokens
    database: AdminDatabase
    keys: Keys
    drop_copies: DropCopies
    scans: int = 0
    numbering: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while an account or instrument gets its number: two requests must not get the same."""

    @asynccontextmanager
    async def scanning(self) -> AsyncIterator[None]:
        """Take one of the few places for reading the journal. Raises Problem 429."""
        if self.scans >= self.own.scans_max:
            raise problems.too_many(f"{self.scans} requests are reading the journal")
        self.scans += 1
        try:
            yield
        finally:
            self.scans -= 1


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


async def admitted(request: Request) -> None:
    """Let an administrator in, readers for what changes nothing. Raises NotAdmitted, Problem."""
    try:
        administrator = await _services(request).tokens.admit(request.headers.raw)
    except NotAdmitted:
        raise
    except AdminError as error:
        raise problems.unavailable(
            "the engine does not answer whose token this is; nothing happened"
        ) from error
    request.state.administrator = administrator
    if request.method not in SAFE_METHODS:
        administrator.require_change(request.method)


def _administrator(request: Request) -> Administrator:
    administrator: Administrator = request.state.administrator
    return administrator


def _admin(request: Request) -> Admin:
    return _administrator(request).admin


AdministratorOf = Annotated[Administrator, Depends(_administrator)]
ServicesOf = Annotated[Services, Depends(_services)]
AdminOf = Annotated[Admin, Depends(_admin)]
AccountId = Annotated[int, Path(ge=1, le=_ACCOUNT_MAX)]


def json_response(document: Any, status: int = 200) -> Response:
    """Return a document as the response."""
    return encoded_response(msgspec.json.encode(document), status)


def encoded_response(document: bytes, status: int = 200) -> Response:
    """Return JSON as the response."""
    return Response(document, status, media_type="application/json")
