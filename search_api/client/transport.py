"""What both clients share: settings, requests as httpx takes them, answers and errors."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import httpx
import msgspec
import numpy as np

from encoders.space import Vectors
from search_api.client.calls import Call
from search_api.client.errors import ApiError, Unreachable, problem_of
from search_api.client.retrying import Retries
from search_api.embedding_schemas import EmbeddingsAnswer

URL_VARIABLE = "KINDRED_URL"
KEY_VARIABLE = "KINDRED_API_KEY"
DEFAULT_URL = "http://127.0.0.1:8080"
DEFAULT_TIMEOUT_SECONDS = 60.0

NOTHING_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
"""Errors after which the server has not seen the request."""

T = TypeVar("T")


def client_options(url: str | None, api_key: str | None, timeout_seconds: float) -> dict[str, Any]:
    """Return how the httpx client of either kind is made.

    Args:
        url: of the server; else the variable ``KINDRED_URL``, else this machine's port 8080.
        api_key: from ``kindred keys create``; else the variable ``KINDRED_API_KEY``, else none.
        timeout_seconds: how long to wait for a connection, and between two parts of an answer.
    """
    key = api_key or os.environ.get(KEY_VARIABLE)
    return {
        "base_url": url or os.environ.get(URL_VARIABLE) or DEFAULT_URL,
        "headers": {"Authorization": f"Bearer {key}"} if key else {},
        "timeout": timeout_seconds,
    }


@contextmanager
def sendable(call: Call[Any]) -> Iterator[dict[str, Any]]:
    """Give what httpx is told of a request; a file is open meanwhile."""
    told: dict[str, Any] = {
        "method": call.method,
        "url": call.path,
        "params": dict(call.params),
        "headers": dict(call.headers),
    }
    if call.body is not None:
        told["content"] = call.body
        told["headers"].setdefault("Content-Type", "application/json")
    if call.file is None:
        yield told
        return
    opened = call.file.open()
    try:
        told["files"] = {"file": (call.file.name, opened, "application/octet-stream")}
        told["data"] = {"request": (call.options or b"{}").decode()}
        yield told
    finally:
        call.file.close(opened)


def wait_before_next(
    retries: Retries, call: Call[Any], attempt: int, outcome: httpx.Response | httpx.TransportError
) -> float | None:
    """Return how long to wait before sending a request again; ``None``: not again.

    Args:
        retries: how patient the client is.
        call: the request.
        attempt: how often it was sent.
        outcome: the answer, or why none came.
    """
    if call.file is not None and not call.file.repeatable:
        return None
    if isinstance(outcome, httpx.Response):
        # What counts no more than once is not refused halfway: 429 is said before anything is done.
        may = call.repeatable or outcome.status_code == httpx.codes.TOO_MANY_REQUESTS
        return retries.wait_seconds(attempt, outcome) if may else None
    may = call.repeatable or isinstance(outcome, NOTHING_SENT)
    return retries.wait_seconds(attempt, None) if may else None


def decoded(call: Call[T], response: httpx.Response) -> T:
    """Return what an answer says.

    Args:
        call: what was asked.
        response: read whole.

    Raises:
        ApiError: it is an error.
        Unreachable: it is none of Kindred's.
    """
    if response.status_code not in call.answers:
        raise ApiError(problem_of(response))
    try:
        return call.decode(response)
    except msgspec.MsgspecError as error:
        raise Unreachable(
            f"{response.request.method} {response.request.url} was answered by something else than "
            f"Kindred, or by another version of it: {error}"
        ) from error


def embedded(answer: EmbeddingsAnswer) -> Vectors:
    """Return vectors that were asked for in base64: ``(num_inputs, dim)`` float32."""
    rows = [np.frombuffer(base64.b64decode(str(each.embedding)), "<f4") for each in answer.data]
    return np.stack(rows).astype(np.float32)


def unreachable(call: Call[Any], url: httpx.URL, error: httpx.TransportError) -> Unreachable:
    """Return what to raise when no answer came."""
    said = str(error) or type(error).__name__
    return Unreachable(f"{call.method} {call.path} at {url}: {said}")
