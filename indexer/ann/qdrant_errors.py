"""What went wrong at a Qdrant server, in words that say what to do."""

from __future__ import annotations

from typing import Any

from encoders.errors import KindredError
from indexer.ann.qdrant_generation import Generation

TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})

# What gRPC calls the answers that HTTP numbers; see the gRPC documentation of status codes.
_HTTP_STATUS = {
    "INVALID_ARGUMENT": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}


class QdrantServerFailed(KindredError):
    """A Qdrant server cannot be reached, refuses, or holds something else than it should."""

    code = "qdrant_server_failed"


def http_status(error: Exception) -> int | None:
    """Return what an error of the client means as an HTTP status; ``None`` without an answer."""
    status = getattr(error, "status_code", None)
    if isinstance(status, int):
        return status
    if type(error).__name__ == "ResourceExhaustedResponse":
        return 429
    code = getattr(error, "code", None)
    return _HTTP_STATUS.get(code().name, 400) if callable(code) else None


def server_failure(generation: Generation, doing: str, error: Exception) -> QdrantServerFailed:
    """Return an error of the client as one that names the server and what to do."""
    status = http_status(error)
    said = _said(error)
    return QdrantServerFailed(
        f"Qdrant at {generation.url}, {doing}: {said}; {_advice(generation, status, said)}",
        url=generation.url,
        collection=generation.collection,
        status=status,
    )


def _advice(generation: Generation, status: int | None, said: str) -> str:
    if status in (401, 403):
        variable = generation.api_key_variable
        if variable is None:
            return "it wants a key: name the variable that holds it as api_key_variable"
        return f"check that the key in {variable} is right and may write"
    if status == 404:
        return "what is asked for is not there: reindex, or roll back to a snapshot that is"
    if status == 409:
        return "a collection of that name exists already: rename or remove it"
    if status == 504 or "timed out" in said.lower():
        return "it took too long: look whether it is overloaded, then run it again"
    if status is None or status == 503:
        return "check that it runs, and that the url and its port are right"
    return "look into the server's log"


def _said(error: Any) -> str:
    """Return the error in one line."""
    details = getattr(error, "details", None)
    text = str(details()) if callable(details) else str(getattr(error, "source", error))
    content = getattr(error, "content", None)
    if isinstance(content, bytes):
        text = f"{error.status_code} {content[:200].decode(errors='replace')}"
    return " ".join(text.split()) or type(error).__name__
