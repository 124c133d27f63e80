"""Errors as problem+json (RFC 9457): a stable code and one line, never a body or a trace."""

import asyncio
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from portico.errors import (
    ConfigError,
    JournalError,
    MessageError,
    NounUnknown,
    PorticoError,
    RequestError,
)

MEDIA_TYPE = "application/problem+json"
_STOPPING = "the engine stopped before this was answered; once it runs, see whether it was done"


def problem(status: int, code: str, detail: str) -> JSONResponse:
    """One problem. code: of the error tree, or `api...` for what only /v1 can say."""
    body = {
        "type": f"urn:portico:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
    }
    return JSONResponse(body, status, media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Answer every error of this application as a problem."""
    app.add_exception_handler(PorticoError, _ours)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_middleware(Fence)


class Fence:
    """The outermost layer: what nobody foresaw is one problem, and the engine goes on; what it
    ends on its own way out is told so."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        try:
            await self._app(scope, receive, send)
        except asyncio.CancelledError:
            await problem(503, "api.stopping", _STOPPING)(scope, receive, send)
            raise
        except Exception as error:  # noqa: BLE001 - the fence of one request
            answer = problem(500, "api.internal", f"{type(error).__name__} in the engine")
            await answer(scope, receive, send)


async def _ours(request: Request, error: Exception) -> JSONResponse:
    code = error.code if isinstance(error, PorticoError) else "portico"
    return problem(_status(error), code, str(error))


def _status(error: Exception) -> int:
    if isinstance(error, JournalError):
        return 503
    if isinstance(error, ConfigError):
        return 422
    if isinstance(error, RequestError):
        return 404 if isinstance(error, NounUnknown) else 409
    return 400 if isinstance(error, MessageError) else 500


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    status = error.status_code
    code = {404: "api.not_found", 405: "api.method"}.get(status, "api.request")
    return problem(status, code, str(error.detail))


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    """All that is wrong with a request's parameters, without the values given."""
    assert isinstance(error, RequestValidationError)
    wrong = "; ".join(
        f"{'.'.join(str(part) for part in one['loc'][1:]) or 'the body'}: {one['msg']}"
        for one in error.errors()
    )
    return problem(422, "api.invalid", wrong)
