"""Answers to failed requests of administrators."""

from http import HTTPStatus

from fastapi import FastAPI, Request, Response

from openvenue.admin.errors import (
    AdminError,
    AlreadyExists,
    DatabaseAway,
    EngineAway,
    GoesOnTrading,
    Interrupted,
    InvalidRequest,
    KeyInUse,
    KeyUsed,
    NotAdmitted,
    NotFound,
    OutcomeUnknown,
    Refused,
    TryLater,
)
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.http import problems
from openvenue.http.failures import SAFE_METHODS
from openvenue.http.problems import Problem
from openvenue.telemetry import get_logger

_NOT_FOUND = (pb.REASON_UNKNOWN_ACCOUNT, pb.REASON_UNKNOWN_INSTRUMENT)

_log = get_logger(__name__)


def install_admin_failures(app: FastAPI) -> None:
    """Make the application answer the failures of administration."""
    app.add_exception_handler(AdminError, _answer_admin_error)
    app.add_exception_handler(Exception, _answer_failure)


async def _answer_admin_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, AdminError)
    return _answer(request, problem_of(error, request.method))


async def _answer_failure(request: Request, error: Exception) -> Response:
    _log.error("request failed", route=request.url.path, exc_info=error)
    if request.method in SAFE_METHODS:
        problem = Problem(500, problems.INTERNAL, "the venue failed to answer; this is a bug")
    else:
        problem = _fate_unknown("the venue failed to answer")
    return _answer(request, problem)


def _answer(request: Request, problem: Problem) -> Response:
    return Response(
        problem.body(request.url.path),
        problem.status,
        headers=problem.headers,
        media_type=problems.MEDIA_TYPE,
    )


def problem_of(error: AdminError, method: str) -> Problem:
    """Return the problem that a failure is for a request of this method."""
    match error:
        case NotAdmitted():
            return not_admitted()
        case InvalidRequest():
            return problems.invalid(str(error))
        case NotFound():
            return problems.not_found(str(error))
        case AlreadyExists() | GoesOnTrading():
            return problems.conflict(str(error))
        case KeyUsed():
            return _key_used(error)
        case KeyInUse():
            return _key_in_use(error)
        case OutcomeUnknown():
            return _outcome_unknown(error)
        case Interrupted():
            return problems.unavailable(str(error))
        case EngineAway() if method in SAFE_METHODS:
            return problems.unavailable("the engine's administration does not answer")
        case EngineAway():
            return _fate_unknown("the engine's administration does not answer")
        case DatabaseAway() if method in SAFE_METHODS:
            return problems.unavailable("the database does not answer")
        case DatabaseAway():
            return problems.unavailable(
                "the database does not answer; the outcome is unknown: read the keys before you "
                "send this again"
            )
        case TryLater():
            return problems.unavailable(str(error))
        case Refused():
            return _of_refusal(error)
        case _:
            return problems.invalid(str(error))


def not_admitted() -> Problem:
    """401: no token, or none of the engine's; it does not say which."""
    return Problem(
        HTTPStatus.UNAUTHORIZED,
        problems.UNAUTHORIZED,
        "this takes the token of an administrator: send Authorization: Bearer TOKEN",
        headers={"www-authenticate": 'Bearer realm="OpenVenue administration"'},
    )


def _of_refusal(error: Refused) -> Problem:
    if error.reason in _NOT_FOUND:
        return problems.not_found(str(error))
    if error.reason == pb.REASON_ALREADY_EXISTS:
        return problems.conflict(str(error))
    if error.reason == pb.REASON_CAPACITY or error.reason == pb.REASON_NONE:
        return problems.unavailable(str(error))
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        problems.UNPROCESSABLE,
        str(error),
        title="Command refused",
    )


def _key_used(error: KeyUsed) -> Problem:
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        problems.UNPROCESSABLE,
        str(error),
        title="Idempotency key used",
    )


def _key_in_use(error: KeyInUse) -> Problem:
    return Problem(
        HTTPStatus.CONFLICT,
        problems.CONFLICT,
        str(error),
        title="Request under way",
        headers={"retry-after": str(error.retry_after_s)},
    )


def _outcome_unknown(error: OutcomeUnknown) -> Problem:
    return Problem(
        HTTPStatus.CONFLICT,
        problems.CONFLICT,
        str(error),
        title="Outcome unknown",
        after_sequence=error.after_sequence,
    )


def _fate_unknown(reason: str) -> Problem:
    return problems.unavailable(
        f"{reason}; the outcome is unknown: look at GET /v1/admin/audit, and for keys at GET "
        "/v1/admin/keys, before you send this again"
    )
