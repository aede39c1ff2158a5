"""Answers to failed requests: every failure is a problem document."""

from collections.abc import Callable
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from openvenue.engine.errors import EngineError
from openvenue.http import problems
from openvenue.http.problems import Problem
from openvenue.security.principal import NotAuthenticated
from openvenue.telemetry import get_logger

SAFE_METHODS = ("GET", "HEAD")

_log = get_logger(__name__)


def install_failure_handlers(app: FastAPI, methods_at: Callable[[str], set[str]]) -> None:
    """Make the application answer failures; `methods_at` returns the methods of a path."""

    async def answer_http_exception(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return await _answer_problem(request, _problem_of(error, methods_at, request.scope["path"]))

    app.add_exception_handler(Problem, _answer_problem)
    app.add_exception_handler(NotAuthenticated, _answer_not_authenticated)
    app.add_exception_handler(EngineError, _answer_engine_error)
    app.add_exception_handler(RequestValidationError, _answer_validation_error)
    app.add_exception_handler(HTTPException, answer_http_exception)
    app.add_exception_handler(Exception, _answer_failure)


def stopped(method: str) -> Problem:
    """Return the problem of a request whose answer the stopping worker no longer waits for."""
    if method in SAFE_METHODS:
        return problems.unavailable("the worker stopped; nothing was changed: ask again")
    return problems.fate_unknown("the worker stopped", None)


async def _answer_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return Response(
        error.body(request.url.path),
        error.status,
        headers=error.headers,
        media_type=problems.MEDIA_TYPE,
    )


async def _answer_not_authenticated(request: Request, error: Exception) -> Response:
    assert isinstance(error, NotAuthenticated)
    return await _answer_problem(request, problems.of_authentication(error))


async def _answer_engine_error(request: Request, error: Exception) -> Response:
    return await _answer_problem(request, problems.unavailable(str(error)))


async def _answer_validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    details = "; ".join(
        f"{'.'.join(str(part) for part in fault['loc'][1:])}: {fault['msg']}"
        for fault in error.errors()
    )
    return await _answer_problem(request, problems.invalid(details))


def _problem_of(error: HTTPException, methods_at: Callable[[str], set[str]], path: str) -> Problem:
    """Return the problem of a request that no route takes."""
    if error.status_code not in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
        return problems.bad_request(str(error.detail))
    if methods := methods_at(path):
        # The router knows only the methods of its first matching route, and no hot route.
        return problems.method_not_allowed(methods)
    without_slash = path.rstrip("/")
    if without_slash != path and methods_at(without_slash):
        return problems.not_found(f"endpoint not found: leave out the slash after {without_slash}")
    return problems.not_found("endpoint not found.")


async def _answer_failure(request: Request, error: Exception) -> Response:
    """Answer for a fault of ours: a request that changes orders may have reached the engine."""
    _log.error("request failed", route=request.url.path, exc_info=error)
    if request.method in SAFE_METHODS:
        problem = Problem(500, problems.INTERNAL, "the venue failed to answer; this is a bug")
    else:
        problem = problems.fate_unknown("the venue failed to answer", None)
    return await _answer_problem(request, problem)
