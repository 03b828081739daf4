"""What is answered instead of what was asked for: problem details, which is JSON (RFC 9457)."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..errors import ConfigError, JobError, JobFailed, JobLost, JobRaised, ServerError, ServersUnavailable
from .answers import NO_STORE
from .content import content_member
from .door import JobNotDone
from .snapshot import text

__all__ = ["defect", "problem", "problem_of"]

logger = logging.getLogger(__name__)

_MEDIA_TYPE: Final = "application/problem+json"

#: How much is told of what a worker said of an exception.
_EXCEPTION_BYTES: Final = 65536

#: What an ERROR packet for a submission means to who sent the request; others are a defect of ours.
_REFUSALS: Final = {
    "ARGUMENT_TOO_LARGE": HTTPStatus.BAD_REQUEST,
    "INVALID_ARGUMENT": HTTPStatus.BAD_REQUEST,
    "INVALID_FUNCTION_NAME": HTTPStatus.BAD_REQUEST,
    "QUEUE_ERROR": HTTPStatus.SERVICE_UNAVAILABLE,
    "SHUTDOWN": HTTPStatus.SERVICE_UNAVAILABLE,
}


def problem(status: int, detail: str, *, headers: dict[str, str] | None = None, **members: Any) -> Response:
    """An answer that tells what is wrong.

    Args:
        status: of HTTP.
        detail: what was wrong, and what was expected.
        headers: besides those of every answer.
        members: what a program may want to read besides; those that are ``None`` are left out.
    """
    content: dict[str, Any] = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": int(status)}
    content["detail"] = detail
    content |= {name: value for name, value in members.items() if value is not None}
    return JSONResponse(content, status, headers={**NO_STORE, **(headers or {})}, media_type=_MEDIA_TYPE)


def problem_of(exc: Exception) -> Response:
    """The answer where a job was not taken, or did not end with a result.

    Raises:
        Exception: `exc` itself, where it is a defect and no answer of the job server.
    """
    match exc:
        case HTTPException():
            return problem(exc.status_code, exc.detail, headers=dict(exc.headers or {}))
        case ConfigError():
            return problem(HTTPStatus.BAD_REQUEST, str(exc))
        case ServerError() if exc.code in _REFUSALS:
            # A queue that is full may have room in a moment.
            status = _REFUSALS[exc.code]
            headers = {"Retry-After": "1"} if status == HTTPStatus.SERVICE_UNAVAILABLE else {}
            return problem(status, exc.text, headers=headers, code=exc.code)
        case ServersUnavailable():
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, "the job server is not running")
        case JobError():
            return _problem_of_job(exc)
        case _:
            raise exc


async def defect(request: Request, exc: Exception) -> Response:
    """The answer where something has gone wrong that should not; the log has the rest."""
    logger.error("%s %s ended with an error that should not happen", request.method, request.url.path, exc_info=exc)
    return problem(
        HTTPStatus.INTERNAL_SERVER_ERROR, "an error that should not happen; the log of the server tells more"
    )


def _problem_of_job(exc: JobError) -> Response:
    handle = None if exc.handle is None else text(exc.handle)
    match exc:
        case JobFailed():
            return problem(HTTPStatus.BAD_GATEWAY, str(exc), handle=handle, outcome="fail")
        case JobRaised():
            told: dict[str, Any] = {"handle": handle, "outcome": "exception"}
            told |= content_member("exception", exc.data[:_EXCEPTION_BYTES])
            return problem(HTTPStatus.BAD_GATEWAY, f"job {handle} raised", **told)
        case JobNotDone():
            return problem(HTTPStatus.GATEWAY_TIMEOUT, str(exc), handle=handle)
        case JobLost():
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, str(exc), handle=handle)
        case _:
            return problem(HTTPStatus.BAD_GATEWAY, str(exc), handle=handle)
