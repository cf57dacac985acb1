"""Deciding what has to be done for a file, before anything is decoded.

The rule is the reuse key ``(source_sha256, segmentation_id, encoder_id)``: a channel whose key is
already stored for the item stays, one whose key is stored for any other item is copied, and only
the rest is decoded and encoded. A renamed file therefore costs nothing, a changed model costs one
channel.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from encoders.config import EncoderConfig, SegmentsConfig, WhisperConfig
from encoders.encoder import EncoderIdentity
from encoders.media.content import Medium
from encoders.media.rejection import MediaRejected
from encoders.media.segmentation import segmentation_id
from encoders.media.sniff import sniff
from indexer.attributes import (
    AttributeFile,
    read_sidecar,
    sidecar_attributes,
    typed_attributes,
)
from indexer.catalog.catalog import Catalog
from indexer.catalog.records import ChannelState, ChannelVectors, ItemRecord, ItemWrite, KnownItem
from indexer.catalog.takedown_records import why_refused
from indexer.config import ChannelConfig, CollectionConfig
from indexer.errors import NoChannelForItem
from indexer.known_files import KnownFiles, content_sha256, is_untouched
from indexer.transcript_files import chosen_transcript, said_besides_words
from indexer.walk import FoundFile


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


class Plans(Protocol):
    """Says what has to be done for a file."""

    def plan(self, found: FoundFile) -> PlannedItem | Skipped:
        """Decide what to do for one file; see `Planner.plan`."""
        ...


class Planner:
    """Turns found files into planned items."""

    def __init__(
        self,
        catalog: Catalog,
        config: CollectionConfig,
        identities: Mapping[str, EncoderIdentity],
        recognizer_ids: Mapping[str, str],
        known: KnownFiles,
        attribute_file: AttributeFile | None = None,
    ) -> None:
        self._catalog = catalog
        self._config = config
        self._identities = identities
        self._recognizer_ids = recognizer_ids
        self._known = known
        self._attribute_file = attribute_file

    def plan(self, found: FoundFile) -> PlannedItem | Skipped:
        """Decide what to do for one file.

        Raises:
            MediaRejected: the file cannot be taken.
            AttributesError: its attributes do not fit the schema.
        """
        stat = _stat(found)
        known = self._known.at(found.location)
        if known and is_untouched(known, found.path):
            medium, format_, sha256 = (
                known.item.medium,
                known.item.format,
                known.item.content_sha256,
            )
        else:
            sniffed = sniff(found.path)
            medium, format_ = sniffed.medium, sniffed.format
            sha256 = self._known.sha256_of.get(found.location) or self._known.hashed(found.path)
        moved = None if known else self._known.moved_from(found, sha256)
        before = known or moved
        item_id = before.item.item_id if before else self._known.new_id(found)
        stored_sha256 = before.item.content_sha256 if before else None
        takedown_id = self._known.blocks.refusal(item_id, sha256, stored_sha256)
        if takedown_id is not None:
            return Skipped("taken_down", why_refused(takedown_id))
        found, beside = self._beside(found, medium)
        attributes = self._attributes(found, beside, item_id, before)
        item = self._record(found, stat, item_id, medium, format_, sha256, attributes)
        if known:
            # Pointed at through another folder, it is still the same file at the same place.
            item = replace(item, source=known.item.source, relative_path=known.item.relative_path)
        wanted = self._wanted(item, found.transcripts)
        if not wanted:
            return Skipped("no_channel", _no_channel(self._config, medium, format_))
        return self._planned(item, wanted, before, moved is not None)

    def plan_item(self, item: ItemRecord, given_channels: Set[str] | None = None) -> PlannedItem:
        """Decide what to do for an item that is written whole, whatever was stored before.

        Nothing of the item's earlier rows is kept in place: vectors of equal content are copied,
        so that whoever else writes the item meanwhile cannot mix two versions of it.

        Args:
            item: as it shall be.
            given_channels: of an item that has no original, the channels that are given; only
                those over its attributes are then encoded. ``None``: it has one.

        Raises:
            NoChannelForItem: this collection has no channel for it.
        """
        wanted = self._wanted(item)
        if given_channels is not None:
            wanted = [
                task
                for task in wanted
                if task.fields_text is not None and task.channel not in given_channels
            ]
        if not wanted and not given_channels:
            raise NoChannelForItem(
                _no_channel(self._config, item.medium, item.format), item_id=item.item_id
            )
        return self._planned(item, wanted, None, moved=False)

    def _beside(
        self, found: FoundFile, medium: Medium
    ) -> tuple[FoundFile, Mapping[str, Any] | None]:
        """Return a file with all its transcripts, and the attributes in its sidecar if any.

        Raises:
            AttributesError: the sidecar is not one JSON object and no transcript either.
        """
        if found.sidecar is None:
            return found, None
        values = read_sidecar(found.sidecar)
        besides_words = said_besides_words(values)
        if besides_words is None:
            return found, sidecar_attributes(values, found.sidecar)
        if medium in ("audio", "video"):
            found = replace(found, transcripts=(*found.transcripts, found.sidecar))
        # Programs that write transcripts add whatever they like: only what was asked for.
        names = besides_words.keys() & self._config.attributes.keys()
        return found, {name: besides_words[name] for name in names} or None

    def _attributes(
        self,
        found: FoundFile,
        beside: Mapping[str, Any] | None,
        item_id: str,
        before: KnownItem | None,
    ) -> dict[str, object]:
        row = None
        if self._attribute_file is not None:
            row = self._attribute_file.get(item_id, found.relative_path, found.location)
        if row is None and beside is None and before is not None:
            # A nightly run that is given no attribute file, or a file about other items, must not
            # forget what an earlier one said.
            return dict(before.item.attributes)
        values = {**(beside or {}), **(row or {})}
        return typed_attributes(values, self._config.attributes, origin=found.relative_path)

    def _record(
        self,
        found: FoundFile,
        stat: os.stat_result,
        item_id: str,
        medium: Medium,
        format_: str,
        sha256: str,
        attributes: Mapping[str, object],
    ) -> ItemRecord:
        twin = next(iter(self._known.by_content.get(sha256, ())), None)
        return ItemRecord(
            item_id=item_id,
            medium=medium,
            format=format_,
            source=found.source,
            relative_path=found.relative_path,
            location=found.location,
            content_sha256=sha256,
            size_bytes=stat.st_size,
            mtime_ns=stat.st_mtime_ns,
            duration_seconds=twin.item.duration_seconds if twin else None,
            width_px=twin.item.width_px if twin else None,
            height_px=twin.item.height_px if twin else None,
            attributes=attributes,
        )

    def _wanted(self, item: ItemRecord, transcripts: tuple[Path, ...] = ()) -> list[ChannelTask]:
        tasks = []
        for name, channel in self._config.channels_for(item.medium).items():
            text = fields_text(item.attributes, channel) if channel.fields else None
            if text == "":
                continue
            transcript = None
            if channel.recognizer is not None:
                transcript = chosen_transcript(transcripts, channel.recognizer.language)
            tasks.append(
                ChannelTask(
                    channel=name,
                    encoder=channel.encoder,
                    identity=self._identities[name],
                    segments=channel.segments,
                    segmentation_id=segmentation_id(
                        channel.segments,
                        fields=channel.fields,
                        recognizer_id=self._recognizer_ids.get(name),
                    ),
                    source_sha256=_source_sha256(item.content_sha256, text, transcript),
                    fields_text=text,
                    recognizer=channel.recognizer,
                    transcript=transcript,
                )
            )
        return tasks

    def _planned(
        self, item: ItemRecord, wanted: list[ChannelTask], before: KnownItem | None, moved: bool
    ) -> PlannedItem:
        stored = before.channels if before else {}
        kept = frozenset(task.channel for task in wanted if _is_stored(task, stored))
        tasks, reused = [], []
        for task in wanted:
            if task.channel in kept:
                continue
            twin = self._catalog.reusable(
                task.source_sha256, task.segmentation_id, task.identity.encoder_id
            )
            if twin is None:
                tasks.append(task)
            else:
                reused.append(replace(twin, channel=task.channel))
        if reused and item.medium != "text" and item.content_sha256 not in self._known.by_content:
            item = self._measured(item)
        as_before = (
            before is not None
            and frozenset(task.channel for task in wanted) == frozenset(stored)
            and not _differs(item, before.item)
        )
        missing = [task for task in wanted if task.channel not in kept]
        adds_encodings = (
            as_before
            and bool(missing)
            and all(_is_encoded_by_another(task, stored[task.channel]) for task in missing)
        )
        changed = bool(missing) or not as_before
        return PlannedItem(item, tuple(tasks), tuple(reused), kept, moved, changed, adds_encodings)

    def _measured(self, item: ItemRecord) -> ItemRecord:
        """Return an item with the length and size of equal content stored since the run began."""
        twin = self._catalog.item_of_content(item.content_sha256)
        if twin is None:
            return item
        return replace(
            item,
            duration_seconds=twin.duration_seconds,
            width_px=twin.width_px,
            height_px=twin.height_px,
        )


def _source_sha256(content: str, fields_text: str | None, transcript: Path | None) -> str:
    """Return the sha256 of what a channel encodes."""
    if fields_text is not None:
        return text_sha256(fields_text)
    if transcript is None:
        return content
    try:
        return content_sha256(transcript)
    except MediaRejected as error:
        # Else it would look as if the recording itself could not be read.
        raise MediaRejected(error.reason, f"{transcript.name}: {error.message}") from error


def _is_stored(task: ChannelTask, stored: Mapping[str, Sequence[ChannelState]]) -> bool:
    wanted = (task.identity.encoder_id, task.segmentation_id, task.source_sha256)
    return any(
        (state.encoder_id, state.segmentation_id, state.source_sha256) == wanted
        for state in stored.get(task.channel, ())
    )


def _is_encoded_by_another(task: ChannelTask, states: Sequence[ChannelState]) -> bool:
    """Tell whether only other encoders' vectors of what a task encodes are there."""
    return all(
        state.encoder_id != task.identity.encoder_id and state.source_sha256 == task.source_sha256
        for state in states
    )


def _differs(item: ItemRecord, stored: ItemRecord) -> bool:
    return (
        item.location,
        item.relative_path,
        item.content_sha256,
        item.size_bytes,
        item.mtime_ns,
        dict(item.attributes),
    ) != (
        stored.location,
        stored.relative_path,
        stored.content_sha256,
        stored.size_bytes,
        stored.mtime_ns,
        dict(stored.attributes),
    )


def fields_text(attributes: Mapping[str, object], channel: ChannelConfig) -> str:
    """Return the words of a channel over attributes, or an empty string when there are none."""
    parts: list[str] = []
    for name in channel.fields:
        value = attributes.get(name)
        if isinstance(value, str):
            parts.append(value)
        elif isinstance(value, list):
            parts.extend(str(entry) for entry in value)
    return ". ".join(part.strip() for part in parts if part.strip())


def text_sha256(text: str) -> str:
    """Return the sha256 of a text's UTF-8 bytes, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def _stat(found: FoundFile) -> os.stat_result:
    if found.problem is not None:
        raise MediaRejected("unreadable", found.problem)
    try:
        found.location.encode("utf-8")
        return found.path.stat()
    except UnicodeEncodeError as error:
        raise MediaRejected("unreadable", "the file name is not UTF-8; rename the file") from error
    except FileNotFoundError as error:
        if found.path.is_symlink():
            raise MediaRejected("unreadable", "a link to a file that is not there") from error
        raise MediaRejected("vanished", "the file was there when the run began") from error
    except OSError as error:
        raise MediaRejected("unreadable", str(error)) from error


def _no_channel(config: CollectionConfig, medium: Medium, format_: str) -> str:
    return f"collection {config.name!r} has no channel for {medium} ({format_})"
