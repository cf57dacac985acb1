"""Requests as values: what both clients send, and what they make of the answer."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Generic, TypeAlias, TypeVar
from urllib.parse import quote

import httpx
import msgspec
import numpy as np
from numpy.typing import NDArray

from encoders.media.content import Medium
from search_api.embedding_schemas import EmbeddingsAnswer, EmbeddingsRequest
from search_api.schemas import (
    BatchSearchRequest,
    BatchSearchResponse,
    CollectionList,
    FailureList,
    Health,
    ItemOut,
    ItemPage,
    MediaSearchRequest,
    Query,
    RollbackOut,
    RollbackRequest,
    SearchRequest,
    SearchResponse,
    SnapshotList,
    TranscriptOut,
    VectorSearchResponse,
)
from search_api.takedown_schemas import ReceiptOut, TakedownRequest
from search_api.write_schemas import (
    BatchAnswer,
    DocumentedBatch,
    ItemWritten,
    JobAccepted,
    JobOut,
    PutFileOptions,
    PutItem,
)

T = TypeVar("T")

File: TypeAlias = Path | bytes | IO[bytes]
"""A path, the bytes themselves, or a file that is open for reading and sent from its beginning."""


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request."""

    method: str
    path: str
    answers: Mapping[int, Any]
    """By status of success, the type that the answer is decoded as; ``None``: it has no body."""

    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    """JSON, if ``headers`` do not say otherwise."""

    file: Upload | None = None
    options: bytes | None = None
    """JSON that goes with the file."""

    repeatable: bool = True
    """Sending it again does no more than sending it once."""

    def decode(self, response: httpx.Response) -> T:
        """Return the answer of a request that succeeded.

        Raises:
            msgspec.MsgspecError: the answer is not what this version of the client knows.
        """
        kind = self.answers[response.status_code]
        decoded: T = None if kind is None else msgspec.json.decode(response.content, type=kind)  # type: ignore[assignment]
        return decoded


class Upload:
    """A file to be sent, as often as it takes.

    Args:
        file: what is sent.
        name: what it is called; its path's or its file's name where that is left out.
    """

    def __init__(self, file: File, name: str | None = None) -> None:
        self._file = file
        self.name = name or _name_of(file)

    @property
    def repeatable(self) -> bool:
        """Whether it can be read again."""
        return isinstance(self._file, Path | bytes) or self._file.seekable()

    def open(self) -> IO[bytes] | bytes:
        """Return what to read from; what was opened here is closed with `close`."""
        return self._file.open("rb") if isinstance(self._file, Path) else self._file

    def close(self, opened: IO[bytes] | bytes) -> None:
        """Close what `open` opened; a file that the caller opened stays open."""
        if isinstance(self._file, Path) and not isinstance(opened, bytes):
            opened.close()


def search(
    text: str | None,
    item_id: str | None,
    options: Mapping[str, Any],
) -> Call[SearchResponse]:
    """Ask in words, or for what is like an item."""
    request = SearchRequest(query=Query(text=text, item_id=item_id), **options)
    return Call("POST", "/v1/search", {200: SearchResponse}, body=msgspec.json.encode(request))


def search_file(file: File, name: str | None, options: Mapping[str, Any]) -> Call[SearchResponse]:
    """Ask with a file."""
    return Call(
        "POST",
        "/v1/search/media",
        {200: SearchResponse},
        file=Upload(file, name),
        options=msgspec.json.encode(MediaSearchRequest(**options)),
    )


def search_batch(searches: Sequence[SearchRequest]) -> Call[BatchSearchResponse]:
    """Ask many times at once."""
    request = BatchSearchRequest(searches=list(searches))
    return Call(
        "POST",
        "/v1/search/batch",
        {200: BatchSearchResponse},
        body=msgspec.json.encode(request),
    )


def search_vectors(
    vectors: NDArray[np.float32],
    channel: str,
    limit: int,
    filter: Mapping[str, Any] | None,
    collection: str | None,
) -> Call[VectorSearchResponse]:
    """Ask with raw vectors."""
    written = None if filter is None else msgspec.json.encode(filter).decode()
    return Call(
        "POST",
        "/v1/search/batch",
        {200: VectorSearchResponse},
        _params(channel=channel, limit=str(limit), filter=written, collection=collection),
        {"Content-Type": "application/octet-stream"},
        body=np.ascontiguousarray(vectors, dtype="<f4").tobytes(),
    )


def embed(request: EmbeddingsRequest) -> Call[EmbeddingsAnswer]:
    """Encode words."""
    return Call(
        "POST", "/v1/embeddings", {200: EmbeddingsAnswer}, body=msgspec.json.encode(request)
    )


def item(item_id: str, collection: str | None) -> Call[ItemOut]:
    """Read an item."""
    return Call("GET", _item_path(item_id), {200: ItemOut}, _params(collection=collection))


def item_page(
    after: str | None, limit: int, medium: Medium | None, collection: str | None
) -> Call[ItemPage]:
    """Read some items."""
    params = _params(after=after, limit=str(limit), medium=medium, collection=collection)
    return Call("GET", "/v1/items", {200: ItemPage}, params)


def transcript(item_id: str, collection: str | None) -> Call[TranscriptOut]:
    """Read what is said in an item."""
    path = f"{_item_path(item_id)}/transcript"
    return Call("GET", path, {200: TranscriptOut}, _params(collection=collection))


def media(item_id: str, collection: str | None) -> Call[None]:
    """Read the file of an item; its answer is streamed, not decoded."""
    path = f"{_item_path(item_id)}/media"
    return Call("GET", path, {200: None}, _params(collection=collection))


def put(item_id: str, content: PutItem, *, respond_async: bool) -> Call[ItemWritten | JobAccepted]:
    """Store words or vectors."""
    return Call(
        "PUT",
        _item_path(item_id),
        _WRITTEN,
        headers=_write_headers(respond_async),
        body=msgspec.json.encode(content),
    )


def put_file(
    item_id: str, file: File, name: str | None, options: PutFileOptions, *, respond_async: bool
) -> Call[ItemWritten | JobAccepted]:
    """Store a file."""
    return Call(
        "PUT",
        _item_path(item_id),
        _WRITTEN,
        headers=_write_headers(respond_async),
        file=Upload(file, name),
        options=msgspec.json.encode(options),
    )


def delete(item_id: str, collection: str | None) -> Call[None]:
    """Delete an item."""
    return Call(
        "DELETE",
        _item_path(item_id),
        {204: None},
        _params(collection=collection),
        _write_headers(respond_async=False),
    )


def batch(request: DocumentedBatch, *, respond_async: bool) -> Call[BatchAnswer | JobAccepted]:
    """Store and delete many items."""
    return Call(
        "POST",
        "/v1/items/batch",
        {200: BatchAnswer, 202: JobAccepted},
        headers=_write_headers(respond_async),
        body=msgspec.json.encode(request),
    )


def job(job_id: str, collection: str | None) -> Call[JobOut]:
    """Read a job."""
    path = f"/v1/jobs/{quote(job_id, safe='')}"
    return Call("GET", path, {200: JobOut}, _params(collection=collection))


def take_down(request: TakedownRequest) -> Call[ReceiptOut]:
    """Take items down for good."""
    return Call(
        "POST",
        "/v1/takedown",
        {200: ReceiptOut},
        body=msgspec.json.encode(request),
        repeatable=False,
    )


def receipt(takedown_id: str, collection: str | None) -> Call[ReceiptOut]:
    """Read the receipt of a takedown."""
    path = f"/v1/takedowns/{quote(takedown_id, safe='')}"
    return Call("GET", path, {200: ReceiptOut}, _params(collection=collection))


def roll_back(request: RollbackRequest) -> Call[RollbackOut]:
    """Serve an earlier snapshot."""
    return Call(
        "POST",
        "/v1/rollback",
        {200: RollbackOut},
        body=msgspec.json.encode(request),
        repeatable=False,
    )


def collections() -> Call[CollectionList]:
    """List the collections."""
    return Call("GET", "/v1/collections", {200: CollectionList})


def snapshots(collection: str | None) -> Call[SnapshotList]:
    """List the snapshots."""
    return Call("GET", "/v1/snapshots", {200: SnapshotList}, _params(collection=collection))


def failures(collection: str | None) -> Call[FailureList]:
    """List what could not be taken in."""
    return Call("GET", "/v1/failures", {200: FailureList}, _params(collection=collection))


def ready() -> Call[Health]:
    """Ask whether searches can be answered; an answer that they cannot is not asked again."""
    return Call("GET", "/readyz", {200: Health}, repeatable=False)


_WRITTEN: Mapping[int, Any] = {200: ItemWritten, 201: ItemWritten, 202: JobAccepted}


def _write_headers(respond_async: bool) -> dict[str, str]:
    """Return headers under which a write is carried out once however often it is sent."""
    headers = {"Idempotency-Key": secrets.token_urlsafe(24)}
    return headers | ({"Prefer": "respond-async"} if respond_async else {})


def _item_path(item_id: str) -> str:
    return f"/v1/items/{quote(item_id, safe='')}"


def _params(**given: str | None) -> dict[str, str]:
    return {name: value for name, value in given.items() if value is not None}


def _name_of(file: File) -> str:
    if isinstance(file, Path):
        return file.name
    name = "" if isinstance(file, bytes) else getattr(file, "name", "")
    return Path(name).name if isinstance(name, str) and name else "file"
