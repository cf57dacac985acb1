"""Every error as ``application/problem+json`` (RFC 9457), from one table of statuses."""

from __future__ import annotations

import errno
import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.openapi.datastructures import ResponseSpec

from encoders.errors import (
    ConfigError,
    DependencyMissing,
    KindredError,
    ModelCorrupt,
    ModelMissing,
    SpaceMismatch,
)
from encoders.media.item import InvalidItemId
from encoders.media.rejection import MediaRejected
from encoders.serving.errors import BeingPrepared, DeadlineExceeded, EncoderUnavailable, Overloaded
from indexer.ann.edge_host import EdgeFailed
from indexer.ann.qdrant_errors import QdrantServerFailed
from indexer.catalog.database import CatalogBusy, CatalogFull
from indexer.catalog.takedown_records import TakenDown, UnknownTakedown
from indexer.errors import (
    AttributesError,
    BadVectors,
    KeyInUse,
    KeyReused,
    NoChannelForItem,
    TooManyJobs,
    VectorSpaceMismatch,
)
from indexer.live_view import UnknownChannel
from indexer.publish import AliasesBehind, NoSuchSnapshot
from indexer.runners.local import EncodeFailed
from indexer.takedown import PurgeRefused
from search_api.access.key_file import KeysUnreadable
from search_api.access.rate_limit import LimitsUnreachable, TooManyRequests
from search_api.errors import (
    InvalidRequest,
    ItemNotFound,
    JobNotFound,
    MediaGone,
    NoChannel,
    NotAllowed,
    NotAuthenticated,
    NoThumbnail,
    NotPlayable,
    NoTranscript,
    NotReady,
    QuestionGone,
    RollbackRefused,
    Superseded,
    UnknownCollection,
    UnknownModality,
    UploadTooLarge,
    UrlNotTaken,
    WrongMediaType,
)
from search_api.filters import FilterError
from search_api.model_guard import ModelSwitched
from search_api.schemas import Problem
from search_api.url_fetch import FetchFailed
from search_api.web_address import UrlRefused

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:kindred:problem:"
RETRY_SECONDS = 1
AUTHENTICATE = 'Bearer realm="kindred"'

STATUSES: Mapping[type[KindredError], HTTPStatus] = {
    InvalidRequest: HTTPStatus.BAD_REQUEST,
    InvalidItemId: HTTPStatus.BAD_REQUEST,
    FilterError: HTTPStatus.BAD_REQUEST,
    UnknownChannel: HTTPStatus.BAD_REQUEST,
    UnknownModality: HTTPStatus.BAD_REQUEST,
    NoChannel: HTTPStatus.BAD_REQUEST,
    AttributesError: HTTPStatus.BAD_REQUEST,
    BadVectors: HTTPStatus.BAD_REQUEST,
    NotAuthenticated: HTTPStatus.UNAUTHORIZED,
    NotAllowed: HTTPStatus.FORBIDDEN,
    UrlNotTaken: HTTPStatus.FORBIDDEN,
    UrlRefused: HTTPStatus.UNPROCESSABLE_ENTITY,
    FetchFailed: HTTPStatus.BAD_GATEWAY,
    UnknownCollection: HTTPStatus.NOT_FOUND,
    ItemNotFound: HTTPStatus.NOT_FOUND,
    JobNotFound: HTTPStatus.NOT_FOUND,
    NoThumbnail: HTTPStatus.NOT_FOUND,
    NoTranscript: HTTPStatus.NOT_FOUND,
    NotPlayable: HTTPStatus.NOT_FOUND,
    NoSuchSnapshot: HTTPStatus.NOT_FOUND,
    UnknownTakedown: HTTPStatus.NOT_FOUND,
    RollbackRefused: HTTPStatus.CONFLICT,
    PurgeRefused: HTTPStatus.CONFLICT,
    TakenDown: HTTPStatus.CONFLICT,
    KeyInUse: HTTPStatus.CONFLICT,
    Superseded: HTTPStatus.CONFLICT,
    MediaGone: HTTPStatus.GONE,
    QuestionGone: HTTPStatus.GONE,
    UploadTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    WrongMediaType: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    MediaRejected: HTTPStatus.UNPROCESSABLE_ENTITY,
    NoChannelForItem: HTTPStatus.UNPROCESSABLE_ENTITY,
    VectorSpaceMismatch: HTTPStatus.UNPROCESSABLE_ENTITY,
    EncodeFailed: HTTPStatus.UNPROCESSABLE_ENTITY,
    KeyReused: HTTPStatus.UNPROCESSABLE_ENTITY,
    TooManyRequests: HTTPStatus.TOO_MANY_REQUESTS,
    Overloaded: HTTPStatus.TOO_MANY_REQUESTS,
    TooManyJobs: HTTPStatus.TOO_MANY_REQUESTS,
    CatalogBusy: HTTPStatus.SERVICE_UNAVAILABLE,
    CatalogFull: HTTPStatus.INSUFFICIENT_STORAGE,
    LimitsUnreachable: HTTPStatus.SERVICE_UNAVAILABLE,
    KeysUnreadable: HTTPStatus.SERVICE_UNAVAILABLE,
    ModelSwitched: HTTPStatus.SERVICE_UNAVAILABLE,
    NotReady: HTTPStatus.SERVICE_UNAVAILABLE,
    BeingPrepared: HTTPStatus.SERVICE_UNAVAILABLE,
    EncoderUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    EdgeFailed: HTTPStatus.SERVICE_UNAVAILABLE,
    QdrantServerFailed: HTTPStatus.SERVICE_UNAVAILABLE,
    AliasesBehind: HTTPStatus.SERVICE_UNAVAILABLE,
    SpaceMismatch: HTTPStatus.SERVICE_UNAVAILABLE,
    ModelMissing: HTTPStatus.SERVICE_UNAVAILABLE,
    ModelCorrupt: HTTPStatus.SERVICE_UNAVAILABLE,
    DependencyMissing: HTTPStatus.SERVICE_UNAVAILABLE,
    ConfigError: HTTPStatus.SERVICE_UNAVAILABLE,
    DeadlineExceeded: HTTPStatus.GATEWAY_TIMEOUT,
}
"""What a `KindredError` means in HTTP; an error that is not listed is the server's own fault."""

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})

RETRY_STATUSES = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)

log = structlog.get_logger("kindred.api")


def problem_response(problem: Problem, headers: Mapping[str, str] | None = None) -> Response[Any]:
    """Return ``problem`` as a response."""
    sent = dict(headers or {})
    if problem.status in RETRY_STATUSES or problem.code == KeyInUse.code:
        sent.setdefault("Retry-After", str(RETRY_SECONDS))
    if problem.status == HTTPStatus.UNAUTHORIZED:
        sent["WWW-Authenticate"] = AUTHENTICATE
    return Response(
        content=msgspec.json.encode(problem),
        status_code=problem.status,
        media_type=MEDIA_TYPE,
        headers=sent,
    )


def _problem(status: int, code: str, detail: str, **fields: Any) -> Problem:
    return Problem(
        type=TYPE_PREFIX + code,
        title=HTTPStatus(status).phrase,
        status=int(status),
        detail=detail,
        code=code,
        **fields,
    )


def status_of(error: KindredError) -> HTTPStatus:
    """Return the status of ``error``: of its class, or of the nearest base in the table."""
    for kind in type(error).__mro__:
        if kind in STATUSES:
            return STATUSES[kind]
    return HTTPStatus.INTERNAL_SERVER_ERROR


INTERNALS = frozenset({"path", "traceback"})
"""Details of errors that are for the log and not for whoever asked."""


def kindred_problem(error: KindredError) -> Problem:
    """Return the problem that ``error`` is; one that is not listed gives no internals away."""
    status = status_of(error)
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return _problem(status, error.code, "the server failed; its log has the reason")
    context = {key: value for key, value in error.detail.items() if key not in INTERNALS}
    if isinstance(error, MediaRejected):
        context["reason"] = error.reason
    return _problem(status, error.code, error.message, context=context)


def on_kindred_error(request: Request[Any, Any, Any], error: KindredError) -> Response[Any]:
    """Answer an error raised on purpose."""
    problem = kindred_problem(error)
    if problem.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("request failed", code=error.code, error=error.message, path=request.url.path)
    elif problem.status > HTTPStatus.INTERNAL_SERVER_ERROR and not (
        isinstance(error, BeingPrepared) or request.url.path == "/readyz"
    ):
        log.warning("cannot answer", code=error.code, error=error.message, path=request.url.path)
    wait = error.detail.get("wait_seconds")
    headers = {"Retry-After": str(math.ceil(wait))} if isinstance(wait, float) else {}
    return problem_response(problem, headers)


def on_http_exception(_request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    """Answer what Litestar itself refuses: no such route, wrong method, body that does not fit."""
    status = HTTPStatus(error.status_code)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("request failed", exc_info=error)
        return problem_response(_internal_problem())
    code = status.phrase.lower().replace(" ", "_").replace("-", "_")
    errors = error.extra if isinstance(error.extra, list) else []
    detail = error.detail
    if errors == [MISSING_BODY]:
        errors, detail = [], "the request has no body"
    elif isinstance(error, ValidationException) and errors:
        detail = "; ".join(_validation_line(entry) for entry in errors)
    headers = {key: value for key, value in (error.headers or {}).items() if key != "content-type"}
    return problem_response(_problem(status, code, detail, errors=errors), headers)


MISSING_BODY = {"message": "'data'", "key": "data", "source": "body"}
"""How Litestar says that a body was expected and none came."""


def _validation_line(entry: Mapping[str, Any]) -> str:
    key = entry.get("key")
    return f"{key}: {entry.get('message')}" if key else str(entry.get("message"))


def on_recursion(_request: Request[Any, Any, Any], _error: RecursionError) -> Response[Any]:
    """Answer JSON nested so deeply that the decoder gave up."""
    return problem_response(
        _problem(HTTPStatus.BAD_REQUEST, "bad_request", "the JSON is nested too deeply")
    )


def on_unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """Answer a fault of the server without giving internals away; the log has the traceback."""
    log.error("unexpected error", path=request.url.path, exc_info=error)
    return problem_response(_internal_problem())


def on_os_error(request: Request[Any, Any, Any], error: OSError) -> Response[Any]:
    """Answer what the system refused: a full disk by name, all else as a fault of the server."""
    if error.errno not in DISK_FULL:
        return on_unexpected(request, error)
    log.error("the disk is full", path=request.url.path, file=error.filename)
    status = HTTPStatus.INSUFFICIENT_STORAGE
    return problem_response(_problem(status, CatalogFull.code, "the server's disk is full"))


def _internal_problem() -> Problem:
    return _problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "internal_error",
        "the server failed; its log has the reason",
    )


EXCEPTION_HANDLERS: dict[type[Exception] | int, Any] = {
    KindredError: on_kindred_error,
    HTTPException: on_http_exception,
    RecursionError: on_recursion,
    OSError: on_os_error,
    Exception: on_unexpected,
}

_DESCRIPTIONS: Mapping[int, str] = {
    400: "The request does not fit what is documented.",
    401: "There is no API key, or one that is not accepted.",
    403: "The API key does not open this.",
    404: "There is no such thing.",
    409: "What was asked for cannot be done now; the detail says what stays as it was.",
    415: "The body is of a type that this route does not take.",
    410: "The file of the item is gone or has changed.",
    413: "The body is too large.",
    416: "The range lies outside the file.",
    422: "The content cannot be taken: not media, nothing that a channel takes, or another space.",
    429: "Too much waits already, or the key sent too much; try again.",
    503: "The server cannot answer yet; try again.",
    504: "The answer took too long.",
    507: "The server's disk is full; nothing was stored.",
}


def problem_responses(*statuses: int, needs_key: bool = True) -> dict[int, ResponseSpec]:
    """Return the OpenAPI entries for errors of a route.

    Args:
        statuses: what it may answer.
        needs_key: it does not let everybody in.
    """
    if needs_key:
        statuses = (*statuses, 401, 403, 429, 503)
    return {
        status: ResponseSpec(
            data_container=Problem,
            description=_DESCRIPTIONS[status],
            media_type=MEDIA_TYPE,
            generate_examples=False,
        )
        for status in sorted(set(statuses))
    }
