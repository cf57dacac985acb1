"""What can be read from the catalog; each function runs inside one read transaction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

import msgspec
import numpy as np
from sqlalchemy import Connection, bindparam, func, select

from encoders.media.content import Medium, Segment, Transcript, Utterance
from indexer.catalog.locations import UPLOADED, stored_location
from indexer.catalog.records import (
    ChannelState,
    ChannelVectors,
    CollectionRow,
    Counts,
    Failure,
    ItemRecord,
    KnownItem,
)
from indexer.catalog.schema import (
    collections,
    item_channels,
    items,
    outcomes,
    segments,
    transcripts,
)

ROWS_PER_FETCH = 2_048

ITEM_COLUMNS = (
    items.c.item_id,
    items.c.medium,
    items.c.format,
    items.c.source,
    items.c.relative_path,
    items.c.location,
    items.c.content_sha256,
    items.c.size_bytes,
    items.c.mtime_ns,
    items.c.duration_seconds,
    items.c.width_px,
    items.c.height_px,
    items.c.attributes_json,
    items.c.created_at,
    items.c.updated_at,
)
"""The columns of `item_record`, in the order of `ItemRecord`'s fields."""

_ATTRIBUTES = 12
_END = len(ITEM_COLUMNS)


def item_record(row: Sequence[Any]) -> ItemRecord:
    """Return the item at the front of a row that starts with `ITEM_COLUMNS`, as it is kept."""
    values = list(row[:_END])
    values[_ATTRIBUTES] = msgspec.json.decode(values[_ATTRIBUTES])
    record = ItemRecord(*values)
    location = stored_location(record)
    return record if location == record.location else replace(record, location=location)


def change_seq(connection: Connection, collection: str) -> int:
    """Return the number of the latest write; 0 where there was none or is no such collection."""
    found = connection.scalar(
        select(collections.c.change_seq).where(collections.c.name == collection)
    )
    return int(found or 0)


def all_collections(connection: Connection) -> list[CollectionRow]:
    """Return every registered collection, by name."""
    statement = select(
        collections.c.name,
        collections.c.config_json,
        collections.c.config_digest,
        collections.c.change_seq,
    ).order_by(collections.c.name)
    return [CollectionRow(*row) for row in connection.execute(statement)]


def live_item(connection: Connection, collection: str, item_id: str) -> ItemRecord | None:
    """Return an item, ``None`` if it is unknown or deleted."""
    statement = select(*ITEM_COLUMNS).where(
        items.c.collection == collection, items.c.item_id == item_id, items.c.deleted.is_(False)
    )
    row = connection.execute(statement).one_or_none()
    return None if row is None else item_record(row)


def live_items(
    connection: Connection,
    collection: str,
    after_item_id: str | None,
    limit: int,
    medium: Medium | None,
) -> list[ItemRecord]:
    """Return up to ``limit`` items in the order of their ids, after ``after_item_id``."""
    statement = select(*ITEM_COLUMNS).where(
        items.c.collection == collection, items.c.deleted.is_(False)
    )
    if after_item_id is not None:
        statement = statement.where(items.c.item_id > after_item_id)
    if medium is not None:
        statement = statement.where(items.c.medium == medium)
    statement = statement.order_by(items.c.item_id).limit(limit)
    return [item_record(row) for row in connection.execute(statement)]


def known_items(connection: Connection, collection: str) -> Iterator[KnownItem]:
    """Yield every live item with the state of its channels, in the order of the ids."""
    statement = (
        select(
            *ITEM_COLUMNS,
            item_channels.c.channel,
            item_channels.c.encoder_id,
            item_channels.c.segmentation_id,
            item_channels.c.source_sha256,
            item_channels.c.num_segments,
        )
        .join_from(items, item_channels, isouter=True)
        .where(items.c.collection == collection, items.c.deleted.is_(False))
        .order_by(items.c.item_id)
        .execution_options(yield_per=ROWS_PER_FETCH)
    )
    for _, group in groupby(connection.execute(statement), key=lambda row: row[0]):
        rows = list(group)
        channels: dict[str, list[ChannelState]] = {}
        for row in rows:
            if row[_END]:
                channels.setdefault(row[_END], []).append(ChannelState(*row[_END + 1 :]))
        yield KnownItem(item_record(rows[0]), channels)


_HELD = (
    select(item_channels)
    .where(
        item_channels.c.source_sha256 == bindparam("source_sha256"),
        item_channels.c.segmentation_id == bindparam("segmentation_id"),
        item_channels.c.encoder_id == bindparam("encoder_id"),
    )
    .limit(1)
)
"""Kept, since it is asked for each channel of each file: building it takes longer than asking."""


def reusable(
    connection: Connection, source_sha256: str, segmentation_id: str, encoder_id: str
) -> ChannelVectors | None:
    """Return stored vectors of equal content, cut and encoded in the same way."""
    key = {
        "source_sha256": source_sha256,
        "segmentation_id": segmentation_id,
        "encoder_id": encoder_id,
    }
    held = connection.execute(_HELD, key).one_or_none()
    if held is None:
        return None
    rows = connection.execute(
        select(
            segments.c.start_seconds, segments.c.stop_seconds, segments.c.text, segments.c.vector
        )
        .where(segments.c.item_channel_key == held.item_channel_key)
        .order_by(segments.c.ordinal)
    ).all()
    vectors = np.frombuffer(b"".join(row.vector for row in rows), dtype="<f2")
    return ChannelVectors(
        channel=held.channel,
        encoder_id=encoder_id,
        space_id=held.space_id,
        segmentation_id=segmentation_id,
        source_sha256=source_sha256,
        segments=tuple(Segment(*row[:3]) for row in rows),
        vectors=vectors.reshape(len(rows), held.dim).astype(np.float32),
        transcript=_transcript_of(connection, held.item_channel_key),
    )


def transcript(connection: Connection, collection: str, item_id: str) -> Transcript | None:
    """Return what is said in an item; ``None`` where nobody listened or it is not there.

    Of several channels of speech the first by name counts, and there what was heard last.
    """
    statement = (
        select(transcripts.c.item_channel_key)
        .join_from(items, item_channels)
        .join(transcripts)
        .where(
            items.c.collection == collection,
            items.c.item_id == item_id,
            items.c.deleted.is_(False),
        )
        .order_by(item_channels.c.channel, item_channels.c.item_channel_key.desc())
        .limit(1)
    )
    held = connection.scalar(statement)
    return None if held is None else _transcript_of(connection, held)


def _transcript_of(connection: Connection, item_channel_key: int) -> Transcript | None:
    statement = select(
        transcripts.c.utterances_json, transcripts.c.language, transcripts.c.origin
    ).where(transcripts.c.item_channel_key == item_channel_key)
    row = connection.execute(statement).one_or_none()
    if row is None:
        return None
    utterances = msgspec.json.decode(row.utterances_json, type=tuple[Utterance, ...])
    return Transcript(utterances, row.language, row.origin)


def item_of_content(connection: Connection, content_sha256: str) -> ItemRecord | None:
    """Return a live item of any collection with this content and something encoded of it."""
    statement = (
        select(*ITEM_COLUMNS)
        .join_from(item_channels, items)
        # The channels' index answers this; items have none by content.
        .where(
            item_channels.c.source_sha256 == content_sha256,
            items.c.content_sha256 == content_sha256,
        )
        .limit(1)
    )
    row = connection.execute(statement).one_or_none()
    return None if row is None else item_record(row)


def failures(connection: Connection, collection: str) -> list[Failure]:
    """Return the locations whose latest outcome is a failure, by location."""
    statement = (
        select(
            outcomes.c.location,
            outcomes.c.item_id,
            outcomes.c.reason,
            outcomes.c.detail,
            outcomes.c.attempts,
            outcomes.c.first_seen,
            outcomes.c.last_seen,
        )
        .where(outcomes.c.collection == collection, outcomes.c.state == "failed")
        .order_by(outcomes.c.location)
    )
    return [Failure(*row) for row in connection.execute(statement)]


def counts(connection: Connection, collection: str) -> Counts:
    """Count live items, their segments and the failures of a collection."""
    live = (items.c.collection == collection) & items.c.deleted.is_(False)
    num_items = connection.scalar(select(func.count()).select_from(items).where(live))
    # Once for each channel, however many encoders were there.
    by_channel = (
        select(func.max(item_channels.c.num_segments).label("num_segments"))
        .join_from(items, item_channels)
        .where(live)
        .group_by(item_channels.c.item_key, item_channels.c.channel)
        .subquery()
    )
    num_segments = connection.scalar(select(func.sum(by_channel.c.num_segments)))
    num_failed = connection.scalar(
        select(func.count())
        .select_from(outcomes)
        .where(outcomes.c.collection == collection, outcomes.c.state == "failed")
    )
    return Counts(int(num_items or 0), int(num_segments or 0), int(num_failed or 0))


def num_changed_since(connection: Connection, collection: str, after_seq: int) -> int:
    """Count the items written or deleted after ``after_seq``."""
    statement = (
        select(func.count())
        .select_from(items)
        .where(items.c.collection == collection, items.c.change_seq > after_seq)
    )
    return int(connection.scalar(statement) or 0)


def num_segments_since(connection: Connection, collection: str, after_seq: int) -> int:
    """Count the segments of items written after ``after_seq``."""
    statement = (
        select(func.sum(item_channels.c.num_segments))
        .join_from(items, item_channels)
        .where(items.c.collection == collection, items.c.change_seq > after_seq)
    )
    return int(connection.scalar(statement) or 0)


def blob_contents(connection: Connection, prefix: str) -> set[str]:
    """Return the sha256 of live items that were uploaded or lie below ``prefix``."""
    is_below = items.c.location.startswith(prefix, autoescape=True)
    statement = select(items.c.content_sha256).where(
        items.c.deleted.is_(False), is_below | (items.c.source == UPLOADED)
    )
    return set(connection.scalars(statement))


def integrity_problem(connection: Connection) -> str | None:
    """Return the first thing wrong with the database, ``None`` if it holds together."""
    if connection.dialect.name == "sqlite":
        for row in connection.exec_driver_sql("PRAGMA integrity_check(1)"):
            if row[0] != "ok":
                return str(row[0])
        for row in connection.exec_driver_sql("PRAGMA foreign_key_check"):
            return f"{row[0]} row {row[1]} refers to a missing row of {row[2]}"
    counted = (
        select(func.count())
        .where(segments.c.item_channel_key == item_channels.c.item_channel_key)
        .scalar_subquery()
    )
    torn = connection.execute(
        select(items.c.item_id, item_channels.c.channel, item_channels.c.num_segments, counted)
        .join_from(item_channels, items)
        .where(item_channels.c.num_segments != counted)
        .limit(1)
    ).one_or_none()
    if torn is None:
        return None
    return f"item {torn[0]!r}, channel {torn[1]!r}: {torn[2]} segments expected, {torn[3]} stored"
