"""Deciding what has to be done for a file, before anything is decoded.

The rule is the reuse key ``(source_sha256, segmentation_id, encoder_id)``: a channel whose key is
already stored for the item stays, one whose key is stored for any other item is copied, and only
the rest is decoded and encoded. A renamed file therefore costs nothing, a changed model costs one
channel.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Set
from dataclasses import replace
from typing import Any, Protocol

from encoders.encoder import EncoderIdentity
from encoders.media.content import Medium
from encoders.media.rejection import MediaRejected
from encoders.media.sniff import sniff
from indexer.attributes import (
    AttributeFile,
    read_sidecar,
    sidecar_attributes,
    typed_attributes,
)
from indexer.catalog.catalog import Catalog
from indexer.catalog.records import ItemRecord, KnownItem
from indexer.catalog.takedown_records import why_refused
from indexer.config import CollectionConfig
from indexer.errors import NoChannelForItem
from indexer.known_files import KnownFiles, is_untouched
from indexer.planned_item import ChannelTask, PlannedItem, Skipped
from indexer.transcript_files import said_besides_words
from indexer.walk import FoundFile
from indexer.wanted_channels import WantedChannels, is_encoded_by_another, is_stored


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
        self._wanted = WantedChannels(config, identities, recognizer_ids)
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
        wanted = self._wanted.of(item, found.transcripts)
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
        wanted = self._wanted.of(item)
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

    def _planned(
        self, item: ItemRecord, wanted: list[ChannelTask], before: KnownItem | None, moved: bool
    ) -> PlannedItem:
        stored = before.channels if before else {}
        kept = frozenset(task.channel for task in wanted if is_stored(task, stored))
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
            and all(is_encoded_by_another(task, stored[task.channel]) for task in missing)
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
