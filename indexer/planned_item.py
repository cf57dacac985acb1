"""What a plan says about one file: what to encode, what to copy, what to leave."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from encoders.config import EncoderConfig, SegmentsConfig, WhisperConfig
from encoders.encoder import EncoderIdentity
from indexer.catalog.records import ChannelVectors, ItemRecord, ItemWrite


@dataclass(frozen=True, slots=True)
class ChannelTask:
    """One channel of one item that has to be encoded."""

    channel: str
    encoder: EncoderConfig
    identity: EncoderIdentity
    segments: SegmentsConfig
    segmentation_id: str
    source_sha256: str
    fields_text: str | None = None
    """The words to encode, for channels over attributes; ``None`` where the content is encoded."""

    recognizer: WhisperConfig | None = None
    """Hears what is said, for channels of speech."""

    transcript: Path | None = None
    """A file beside the recording that says what is said, so that nobody need listen."""


@dataclass(frozen=True, slots=True)
class PlannedItem:
    """What the plan says about one file."""

    item: ItemRecord
    tasks: tuple[ChannelTask, ...]
    """Channels to decode and encode."""

    reused: tuple[ChannelVectors, ...] = ()
    """Channels copied from equal content."""

    kept_channels: frozenset[str] = frozenset()
    """Channels whose rows stay as they are."""

    moved: bool = False
    """The file lay elsewhere before."""

    changed: bool = True
    """Something about the item differs from what is stored."""

    adds_encodings: bool = False
    """All that differs is that some channels have vectors of other encoders only."""

    def write(self, encoded: tuple[ChannelVectors, ...] = ()) -> ItemWrite:
        """Return the catalog write that carries out this plan."""
        return ItemWrite(
            item=self.item,
            channels=self.reused + encoded,
            kept_channels=self.kept_channels,
            adds_encodings=self.adds_encodings,
        )


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that this collection has no channel for, or that was taken down."""

    reason: str
    detail: str
