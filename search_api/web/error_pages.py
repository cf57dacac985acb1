"""Errors as pages, for whoever looks at them in a browser."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.response import Redirect

from encoders.errors import KindredError
from encoders.media.rejection import MediaRejected
from encoders.serving.errors import DeadlineExceeded, Overloaded
from search_api import problems
from search_api.errors import (
    ItemNotFound,
    MediaGone,
    NoChannel,
    NotAuthenticated,
    QuestionGone,
    UploadTooLarge,
)
from search_api.filters import FilterError
from search_api.problems import (
    RETRY_SECONDS,
    RETRY_STATUSES,
    kindred_problem,
    on_http_exception,
)
from search_api.web.rendering import page

HEADLINES: Mapping[type[KindredError], str] = {
    FilterError: "This filter does not fit",
    MediaRejected: "This file cannot be read",
    UploadTooLarge: "This file is too large",
    QuestionGone: "The file of this search is gone",
    MediaGone: "The file of this item is gone",
    ItemNotFound: "There is no such item",
    NoChannel: "Nothing here can answer that",
    Overloaded: "Kindred is busy",
    DeadlineExceeded: "This took too long",
}

STATUS_HEADLINES: Mapping[int, str] = {
    404: "There is no such page",
    413: "This file is too large",
    500: "Something went wrong",
    503: "Kindred is not ready yet",
}

API_PATHS = ("/v1", "/schema", "/metrics", "/healthz", "/readyz")
"""Below these, programs ask: they get problems, never pages."""

log = structlog.get_logger("kindred.api")


@dataclass(frozen=True, slots=True)
class ShownProblem:
    """An error as people read it."""

    status: int
    headline: str
    detail: str

    can_repeat: bool
    """The same request may succeed a moment later."""


def shown_problem(error: KindredError) -> ShownProblem:
    """Return what to say about an error raised on purpose."""
    problem = kindred_problem(error)
    headline = next(
        (HEADLINES[kind] for kind in type(error).__mro__ if kind in HEADLINES),
        STATUS_HEADLINES.get(problem.status, "This cannot be answered"),
    )
    return ShownProblem(
        problem.status, headline, _sentence(problem.detail), problem.status in RETRY_STATUSES
    )


def retry_headers(problem: ShownProblem) -> dict[str, str]:
    """Return when to ask again, for errors that pass."""
    return {"Retry-After": str(RETRY_SECONDS)} if problem.can_repeat else {}


def problem_page(problem: ShownProblem) -> Response[str]:
    """Return an error as a page of its own."""
    return page(
        "error.html",
        {"problem": problem},
        status=problem.status,
        headers=retry_headers(problem),
    )


def own_path(path: str) -> str:
    """Return ``path`` if it leads to this server, else the start page's."""
    leads_away = not path.startswith("/") or path.startswith("//") or "\\" in path
    return "/" if leads_away or not path.isprintable() else path


def on_kindred_error(request: Request[Any, Any, Any], error: KindredError) -> Response[Any]:
    """Answer an error raised on purpose with a page; without a key, with the page to log in."""
    if isinstance(error, NotAuthenticated):
        if "text/html" not in request.headers.get("accept", ""):
            return problems.on_kindred_error(request, error)
        wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        target = wanted if request.method == "GET" else "/"
        return Redirect(f"/login?{urlencode({'next': target})}", status_code=303)
    problem = shown_problem(error)
    if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.warning("cannot answer", code=error.code, error=error.message, path=request.url.path)
    return problem_page(problem)


def on_page_exception(_request: Request[Any, Any, Any], error: HTTPException) -> Response[str]:
    """Answer what Litestar itself refuses with a page."""
    status = error.status_code
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("request failed", exc_info=error)
    headline = STATUS_HEADLINES.get(status, HTTPStatus(status).phrase)
    detail = {
        HTTPStatus.NOT_FOUND: "The address may be mistyped, or what was here is gone.",
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "It is larger than what this server takes.",
    }.get(HTTPStatus(status), _sentence(error.detail) if status < 500 else _UNEXPECTED)
    return problem_page(ShownProblem(status, headline, detail, can_repeat=False))


def on_unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[str]:
    """Answer a fault of the server with a page; the log has the traceback."""
    log.error("unexpected error", path=request.url.path, exc_info=error)
    return problem_page(ShownProblem(500, STATUS_HEADLINES[500], _UNEXPECTED, can_repeat=True))


_UNEXPECTED = "The server failed; its log has the reason."

PAGE_EXCEPTION_HANDLERS: dict[type[Exception] | int, Any] = {
    KindredError: on_kindred_error,
    HTTPException: on_page_exception,
    Exception: on_unexpected,
}


def on_unrouted(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    """Answer what has no route: a page for browsers, a problem for programs."""
    accepted = request.headers.get("accept", "")
    if "text/html" in accepted and not request.url.path.startswith(API_PATHS):
        return on_page_exception(request, error)
    return on_http_exception(request, error)


def _sentence(text: str) -> str:
    """Return ``text`` beginning with a capital letter."""
    return text[:1].upper() + text[1:]
