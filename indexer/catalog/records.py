"""The values that go into the catalog and come out of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from encoders.media.content import Medium, Segment, Transcript
from encoders.space import Vectors

OutcomeState: TypeAlias = Literal["encoded", "unchanged", "moved", "failed", "skipped", "removed"]


@dataclass(frozen=True, slots=True)
class ItemRecord:
    """One piece of content: what it is, where it lies, what is said about it."""

    item_id: str
    medium: Medium

    format: str
    """What its bytes are, as sniffed: ``png``, ``flac``, ``html``."""

    source: str
    """The folder or list it was found through."""

    relative_path: str
    """Where it lies inside ``source``, with forward slashes."""

    location: str
    """Path or URL to read it from now; may change while the item stays the same."""

    content_sha256: str
    size_bytes: int

    mtime_ns: int
    """Modification time when it was last read, so that an untouched file need not be hashed."""

    duration_seconds: float | None = None
    """Length of sound or video; ``None`` for still images and text."""

    width_px: int | None = None
    height_px: int | None = None

    attributes: Mapping[str, object] = field(default_factory=dict)
    """JSON-ready values; those named in the collection's schema have its types."""

    created_at: str = ""
    """When the catalog first saw it, UTC, ISO 8601. Filled by the catalog."""

    updated_at: str = ""
    """When the catalog last wrote it, UTC, ISO 8601. Filled by the catalog."""


@dataclass(frozen=True, slots=True, eq=False)
class ChannelVectors:
    """What one channel holds of one item."""

    channel: str
    encoder_id: str
    space_id: str

    segmentation_id: str
    """How the content was cut: an equal id gives equal segments."""

    source_sha256: str
    """sha256 of what was encoded: the file's bytes, or the text of the fields."""

    segments: tuple[Segment, ...]

    vectors: Vectors
    """``(len(segments), dim)`` float32; the catalog keeps them as float16."""

    transcript: Transcript | None = None
    """What was heard, for channels of speech; ``None`` for all others."""

    def __post_init__(self) -> None:
        if self.vectors.ndim != 2 or len(self.vectors) != len(self.segments):
            raise ValueError(
                f"channel {self.channel!r}: {len(self.segments)} segments need "
                f"({len(self.segments)}, dim) vectors, got {self.vectors.shape}"
            )


@dataclass(frozen=True, slots=True, eq=False)
class ItemWrite:
    """One item as it shall be from now on."""

    item: ItemRecord

    channels: tuple[ChannelVectors, ...] = ()
    """Replace what the item had in these channels; what another encoder made of the same source
    stays beside it.
    """

    kept_channels: frozenset[str] = frozenset()
    """Channels whose rows stay as they are; rows of all others are removed."""

    adds_encodings: bool = False
    """Nothing but vectors of further encoders: the item is not changed, so nobody who serves from
    other encoders takes it for a new one.
    """

    def __post_init__(self) -> None:
        names = [vectors.channel for vectors in self.channels]
        twice = {name for name in names if names.count(name) > 1} | (
            self.kept_channels & set(names)
        )
        if twice:
            raise ValueError(
                f"item {self.item.item_id!r}: {', '.join(sorted(twice))} given twice; a channel is "
                "either replaced once or kept"
            )


@dataclass(frozen=True, slots=True)
class ItemDeletion:
    """One item that shall be gone."""

    item_id: str


Change: TypeAlias = ItemWrite | ItemDeletion

Applied: TypeAlias = Literal["created", "replaced", "deleted", "absent"]
"""What a change did; ``absent``: there was nothing to delete."""


@dataclass(frozen=True, slots=True)
class ChannelState:
    """What is known of an item's vectors in one channel, without reading them."""

    encoder_id: str
    segmentation_id: str
    source_sha256: str
    num_segments: int


@dataclass(frozen=True, slots=True)
class KnownItem:
    """A live item and the state of its channels."""

    item: ItemRecord
    channels: Mapping[str, Sequence[ChannelState]]
    """By name; one state for each encoder whose vectors are there."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one location in a run."""

    location: str
    item_id: str | None
    state: OutcomeState

    reason: str | None = None
    """Short stable word for programs: ``truncated``, ``too_many_pixels``."""

    detail: str | None = None
    """The same for people, with the numbers."""

    content_sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """A location whose latest outcome is a failure."""

    location: str
    item_id: str | None
    reason: str | None
    detail: str | None

    attempts: int
    """How often in a row it has failed."""

    first_seen: str
    """When this row of failures began, UTC, ISO 8601."""

    last_seen: str


@dataclass(frozen=True, slots=True)
class Counts:
    """How much a collection holds."""

    items: int
    """Live items."""

    segments: int
    """Segments of live items over all channels."""

    failed: int
    """Locations whose latest outcome is a failure."""


@dataclass(frozen=True, slots=True)
class CollectionRow:
    """A collection as the catalog knows it."""

    name: str
    config_json: str
    config_digest: str
    change_seq: int
