"""What the catalog remembers of a takedown, and the errors that name one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Self, cast

from encoders.errors import KindredError

TargetState = Literal["removed", "same_content", "deleted_before", "unknown"]
"""What a takedown found under an id: an item; one that was not named but has the content of a named
one; an item that had been deleted; nothing.
"""


class TakenDown(KindredError):
    """A write of something that was taken down."""

    code = "taken_down"

    @classmethod
    def of(cls, refused: Mapping[str, str]) -> Self:
        """Return the error for items, each with the takedown that forbids it."""
        first, takedown_id = next(iter(refused.items()))
        more = f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
        return cls(
            f"item {first!r}{more} cannot be stored: {why_refused(takedown_id)}",
            refused=dict(refused),
        )

    @property
    def refused(self) -> Mapping[str, str]:
        """The takedown that forbids it, by item id."""
        return cast("Mapping[str, str]", self.detail["refused"])


class UnknownTakedown(KindredError):
    """There is no takedown of this id."""

    code = "unknown_takedown"


@dataclass(frozen=True, slots=True)
class TakenDownItem:
    """One item of a takedown."""

    item_id: str

    content_sha256: str | None
    """Of its bytes, in hex; ``None`` if it had none, or there never was such an item."""

    state: TargetState


@dataclass(frozen=True, slots=True)
class Erasure:
    """Something that does not hold the items of a takedown any more."""

    what: str

    at: str
    """UTC, ISO 8601."""


@dataclass(frozen=True, slots=True)
class Takedown:
    """What was asked for, what it found, and what has been erased since."""

    takedown_id: str
    collection: str
    requested_at: str
    requested_by: str
    reason: str | None
    items: tuple[TakenDownItem, ...]

    same_content: tuple[str, ...]
    """Items of equal content that were there and stayed."""

    erasures: tuple[Erasure, ...]

    erased_at: str | None = None
    """When nothing held the items any more; ``None``: something still does."""

    lifted_at: str | None = None
    lifted_by: str | None = None

    @property
    def item_ids(self) -> list[str]:
        """The ids that are blocked."""
        return [item.item_id for item in self.items]

    @property
    def contents(self) -> list[str]:
        """The sha256 of the contents that are blocked, each once."""
        return sorted({item.content_sha256 for item in self.items if item.content_sha256})


@dataclass(frozen=True, slots=True)
class Blocks:
    """What a collection does not take in, each with the takedown that says so."""

    by_item: Mapping[str, str] = field(default_factory=dict)
    by_content: Mapping[str, str] = field(default_factory=dict)

    def refusal(self, item_id: str, content_sha256: str, stored_sha256: str | None) -> str | None:
        """Return the takedown that forbids to store an item, ``None`` if it may be stored.

        Args:
            item_id: of the item.
            content_sha256: of its bytes, in hex.
            stored_sha256: of the bytes it has now; ``None`` if it is not there.
        """
        if item_id in self.by_item:
            return self.by_item[item_id]
        if content_sha256 == stored_sha256:
            return None
        return self.by_content.get(content_sha256)


def why_refused(takedown_id: str) -> str:
    """Return, for people, why something is not taken in and what would allow it."""
    lift = f"kindred takedown --lift {takedown_id}"
    return f"it was taken down ({takedown_id}); `{lift}` allows it again"
