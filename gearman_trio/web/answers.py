"""Answers and questions of the JSON interface, in the one form that all of them have."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final, TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

__all__ = ["MAX_PAGE", "NO_STORE", "PAGE", "json_answer", "page_answer", "whole_number"]

T = TypeVar("T")

#: How many rows a page of a table has unless `limit` says otherwise, and how many it may have.
PAGE: Final = 100
MAX_PAGE: Final = 1000

#: Of every answer: what it says is true now.
NO_STORE: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def json_answer(content: Any, status: int = HTTPStatus.OK) -> Response:
    """A value."""
    return JSONResponse(content, status, headers=NO_STORE)


def page_answer(request: Request, name: str, rows: list[T], value: Callable[[T], dict[str, Any]]) -> Response:
    """Some rows of a table, with how many there are in all."""
    limit = whole_number(request, "limit", default=PAGE, least=1, most=MAX_PAGE)
    offset = whole_number(request, "offset", default=0, least=0, most=2**63)
    content = {name: [value(row) for row in rows[offset : offset + limit]], "total": len(rows), "offset": offset}
    return json_answer(content)


def whole_number(request: Request, name: str, *, default: int, least: int, most: int) -> int:
    """A parameter of the query.

    Raises:
        HTTPException: 400, it is no whole number from `least` to `most`.
    """
    given = request.query_params.get(name)
    if given is None:
        return default
    # Longer ones are slow to read, and none of them is allowed.
    if not (given.isascii() and given.isdigit() and len(given) < 20) or not least <= int(given) <= most:
        raise HTTPException(
            HTTPStatus.BAD_REQUEST, f"{name}: expected a whole number from {least} to {most}, got {given[:50]!r}"
        )
    return int(given)
