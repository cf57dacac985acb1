"""What goes in and out of takedowns over HTTP."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

MAX_ITEM_IDS = 1_000
MAX_REASON_CHARS = 2_000
MAX_NAME_CHARS = 200


class TakedownRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``POST /v1/takedown``."""

    item_ids: Annotated[list[str], msgspec.Meta(min_length=1, max_length=MAX_ITEM_IDS)]
    """Unknown ones are blocked too."""

    same_content: bool = False
    """Take down items with equal bytes as well, which else are only listed."""

    purge: bool = False
    """Erase now what else goes with older snapshots; takes as long as a reindex."""

    reason: Annotated[str, msgspec.Meta(max_length=MAX_REASON_CHARS)] | None = None
    requested_by: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME_CHARS)] = "HTTP API"
    collection: str | None = None


class TakenDownItemOut(msgspec.Struct, frozen=True, kw_only=True):
    """An item of a takedown."""

    item_id: str
    content_sha256: str | None
    """Of its bytes; they are refused under any id. ``None`` for an id that was unknown."""

    state: Literal["removed", "same_content", "deleted_before", "unknown"]
    """``same_content``: not named, but its bytes are those of one that was."""


class ErasureOut(msgspec.Struct, frozen=True, kw_only=True):
    """Something that does not hold the items any more."""

    what: str
    at: str


class ErasedByOut(msgspec.Struct, frozen=True, kw_only=True):
    """When the last file that holds the items goes."""

    snapshots: list[str]
    further_snapshots: int
    """How many must be published until then."""

    expected: str | None
    """When that is if they come as often as so far; ``None``: too few to tell."""

    sentence: str


class ReceiptOut(msgspec.Struct, frozen=True, kw_only=True):
    """A takedown as it stands now."""

    takedown_id: str
    collection: str
    requested_at: str
    requested_by: str
    reason: str | None
    items: list[TakenDownItemOut]
    content_sha256s: list[str]
    """Contents that are refused."""

    unknown: list[str]
    """Ids that there was no item of."""

    same_content: list[str]
    """Items with equal bytes that were there and stayed."""

    erased: list[ErasureOut]
    held_by: list[str]
    """What still holds the items, hidden from every answer."""

    erased_by: ErasedByOut | None
    """``None``: nothing holds them any more, or the takedown was lifted."""

    erased_at: str | None
    lifted_at: str | None
    lifted_by: str | None
