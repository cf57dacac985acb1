"""What can be done to one item: the form in which writes wait in jobs and reach the pipeline."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

import msgspec

from encoders.media.content import Medium


class GivenSegment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where in an item a given vector belongs."""

    start_seconds: Annotated[float, msgspec.Meta(ge=0)] | None = None
    stop_seconds: Annotated[float, msgspec.Meta(ge=0)] | None = None
    text: str | None = None


class GivenVectors(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one channel shall hold of an item, encoded elsewhere."""

    space_id: str
    """The space they are in, as ``GET /v1/collections`` names it."""

    vectors: Annotated[list[list[float]], msgspec.Meta(min_length=1)]
    """Rows of any length but zero; they are stored as unit rows."""

    segments: list[GivenSegment] | None = None
    """One per row; ``None``: one row for the whole item."""


class _Operation(msgspec.Struct, frozen=True, kw_only=True, tag_field="op"):
    item_id: str


class PutBlob(_Operation, frozen=True, kw_only=True, tag="put_blob"):
    """Store an item whose original lies in the blob store."""

    sha256: str
    size_bytes: int
    mtime_ns: int
    medium: Medium
    format: str

    name: str
    """What its sender calls the file."""

    attributes: dict[str, Any] = {}


class PutVectors(_Operation, frozen=True, kw_only=True, tag="put_vectors"):
    """Store an item of which there are only vectors."""

    medium: Medium
    channels: dict[str, GivenVectors]
    attributes: dict[str, Any] = {}


class PutUrl(_Operation, frozen=True, kw_only=True, tag="put_url"):
    """Store an item whose original is to be fetched first; it waits in a job."""

    url: str
    """Its query may be a key: the catalog holds it until the operation is settled, no longer."""

    attributes: dict[str, Any] = {}


class DeleteItem(_Operation, frozen=True, kw_only=True, tag="delete"):
    """Remove an item from search; a later write or ingest brings it back."""


Operation: TypeAlias = PutBlob | PutVectors | DeleteItem

JobOperation: TypeAlias = Operation | PutUrl
"""What waits in jobs."""
