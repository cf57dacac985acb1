"""What enters and leaves the routes that change items."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

import msgspec

from encoders.media.content import Medium
from indexer.catalog.job_records import JobState
from indexer.item_operations import GivenVectors
from search_api.schemas import Problem
from search_api.web_address import MAX_URL_CHARS

MAX_STORED_TEXT_CHARS = 2_000_000
MAX_OPERATIONS = 1000

Attributes = Annotated[
    dict[str, Any],
    msgspec.Meta(description="Those of the collection's schema must have its types."),
]


class _Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class ItemContent(_Request, frozen=True, kw_only=True):
    """What an item is: words, or vectors that were made elsewhere."""

    text: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_STORED_TEXT_CHARS)] | None = None
    """Cut and encoded as a text file is."""

    medium: Medium | None = None
    """What the vectors are of; given with ``channels`` only."""

    channels: Annotated[dict[str, GivenVectors], msgspec.Meta(min_length=1)] | None = None
    """By channel; the item has no file then, and a later model cannot encode it anew."""

    url: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_URL_CHARS)] | None = None
    """Where its file is fetched from, by a job; not taken unless it is switched on."""

    attributes: Attributes = {}

    def __post_init__(self) -> None:
        given = [n for n in ("text", "channels", "url") if getattr(self, n) is not None]
        if len(given) != 1:
            raise ValueError(
                "an item takes exactly one of text, channels, url, or a file; got "
                + (" and ".join(given) or "none")
            )
        if self.text is not None and not self.text.strip():
            raise ValueError("text holds no words")
        if (self.medium is None) != (self.channels is None):
            raise ValueError("medium and channels are given together")


class PutItem(ItemContent, frozen=True, kw_only=True):
    """``PUT /v1/items/{id}`` as JSON."""

    collection: str | None = None
    """``None``: the collection that this server is configured with."""


class PutFileOptions(_Request, frozen=True, kw_only=True):
    """The ``request`` part of ``PUT /v1/items/{id}`` with a file."""

    attributes: Attributes = {}
    collection: str | None = None


class ItemWritten(msgspec.Struct, frozen=True, kw_only=True):
    """An item that is stored, durably, and found from now on."""

    item_id: str
    created: bool
    """There was no such item before."""

    change_seq: int
    """Number of this change; a reader that knows it has read the item."""

    segments: dict[str, int]
    """How many vectors each channel holds of it."""


class PutOperation(ItemContent, frozen=True, kw_only=True, tag_field="op", tag="put"):
    """Store an item."""

    item_id: str


class DeleteOperation(_Request, frozen=True, kw_only=True, tag_field="op", tag="delete"):
    """Remove an item."""

    item_id: str


BatchOperation: TypeAlias = PutOperation | DeleteOperation


class DocumentedBatch(_Request, frozen=True, kw_only=True):
    """``POST /v1/items/batch``: what it takes."""

    operations: Annotated[
        list[BatchOperation], msgspec.Meta(min_length=1, max_length=MAX_OPERATIONS)
    ]
    collection: str | None = None


class BatchRequest(_Request, frozen=True, kw_only=True):
    """`DocumentedBatch` as it is read: each operation by itself, so that one cannot fail others."""

    operations: Annotated[list[msgspec.Raw], msgspec.Meta(min_length=1, max_length=MAX_OPERATIONS)]
    collection: str | None = None


class OperationResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one operation."""

    item_id: str
    status: int
    """As if it had been a request of its own; 409: a later write of the item came first."""

    change_seq: int | None = None
    segments: dict[str, int] = {}
    error: Problem | None = None


class BatchAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """``POST /v1/items/batch``: what became of each operation, in order."""

    results: list[OperationResult]


class JobOut(msgspec.Struct, frozen=True, kw_only=True):
    """``GET /v1/jobs/{id}``."""

    job_id: str
    state: JobState
    """``failed``: none of its operations succeeded."""

    operations: int
    settled: int
    """How many of them are over."""

    reason: str | None
    detail: str | None
    created_at: str
    finished_at: str | None
    results: list[OperationResult]
    """Of those that are over, in order."""


class JobAccepted(msgspec.Struct, frozen=True, kw_only=True):
    """A job that was accepted; it is carried out whatever happens to the server."""

    job_id: str
    operations: int
