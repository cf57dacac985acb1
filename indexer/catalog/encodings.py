"""What encoders made of items: writing and removing the rows of `item_channels` and below."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import msgspec
import numpy as np
from sqlalchemy import Connection, Exists, bindparam, case, delete, exists, func, insert, select

from encoders.media.content import Transcript
from indexer.catalog import reading, writing
from indexer.catalog.records import ChannelVectors, ItemWrite, Outcome
from indexer.catalog.schema import item_channels, items, segments, transcripts
from indexer.catalog.takedown_blocks import require_not_taken_down
from indexer.catalog.writing import in_chunks

BYTES_PER_NUMBER = 2  # float16


def store(
    connection: Connection,
    collection: str,
    writes: Sequence[ItemWrite],
    outcomes: Sequence[Outcome],
    run_id: str | None,
) -> int:
    """Write items and outcomes and return the collection's number; see `Catalog.write`."""
    added = [write for write in writes if write.adds_encodings]
    changed = [write for write in writes if not write.adds_encodings]
    if changed:
        change_seq = writing.next_change_seq(connection, collection)
        records = [write.item for write in changed]
        require_not_taken_down(connection, collection, records)
        keys = writing.upsert_items(connection, collection, records, change_seq)
        replace_channels(connection, changed, keys)
    else:
        change_seq = reading.change_seq(connection, collection)
    if added:
        item_ids = [write.item.item_id for write in added]
        keys = writing.live_item_keys(connection, collection, item_ids)
        add_encodings(connection, added, keys)
    writing.record_outcomes(connection, collection, outcomes, run_id)
    return change_seq


def replace_channels(
    connection: Connection, writes: Sequence[ItemWrite], keys: Mapping[str, int]
) -> None:
    """Leave each item with its kept channels and the given ones, and nothing else.

    In a channel that is given, what another encoder made of the same source stays.
    """
    keys_by_names: dict[frozenset[str], list[int]] = {}
    for write in writes:
        names = write.kept_channels.union(vectors.channel for vectors in write.channels)
        keys_by_names.setdefault(names, []).append(keys[write.item.item_id])
    for names, item_keys in keys_by_names.items():
        for some in in_chunks(item_keys):
            # Segments go with their channel: ON DELETE CASCADE.
            statement = delete(item_channels).where(item_channels.c.item_key.in_(some))
            if names:
                statement = statement.where(item_channels.c.channel.not_in(sorted(names)))
            connection.execute(statement)
    _insert_channels(
        connection,
        [(keys[write.item.item_id], vectors) for write in writes for vectors in write.channels],
    )


def add_encodings(
    connection: Connection, writes: Sequence[ItemWrite], keys: Mapping[str, int]
) -> None:
    """Put vectors of further encoders beside those that items have.

    Vectors of a source that the item has no longer are left out: it changed while they were made.
    """
    given = [
        (keys[write.item.item_id], vectors)
        for write in writes
        if write.item.item_id in keys
        for vectors in write.channels
    ]
    sources: set[tuple[int, str, str]] = set()
    for some in in_chunks(sorted({item_key for item_key, _ in given})):
        statement = select(
            item_channels.c.item_key, item_channels.c.channel, item_channels.c.source_sha256
        ).where(item_channels.c.item_key.in_(some))
        sources.update(tuple(row) for row in connection.execute(statement))
    _insert_channels(
        connection,
        [
            (item_key, vectors)
            for item_key, vectors in given
            if (item_key, vectors.channel, vectors.source_sha256) in sources
        ],
    )


_SUPERSEDED = delete(item_channels).where(
    item_channels.c.item_key == bindparam("of_item"),
    item_channels.c.channel == bindparam("of_channel"),
    (item_channels.c.encoder_id == bindparam("of_encoder"))
    | (item_channels.c.source_sha256 != bindparam("of_source")),
)
_INSERTED = insert(item_channels).returning(
    item_channels.c.item_key, item_channels.c.channel, item_channels.c.item_channel_key
)


def _insert_channels(connection: Connection, given: Sequence[tuple[int, ChannelVectors]]) -> None:
    """Insert vectors of items, in place of the same encoder's and of those of another source."""
    if not given:
        return
    connection.execute(
        _SUPERSEDED,
        [
            {
                "of_item": item_key,
                "of_channel": vectors.channel,
                "of_encoder": vectors.encoder_id,
                "of_source": vectors.source_sha256,
            }
            for item_key, vectors in given
        ],
    )
    returned = connection.execute(
        _INSERTED, [_channel_row(item_key, vectors) for item_key, vectors in given]
    )
    channel_keys = {(row.item_key, row.channel): row.item_channel_key for row in returned}
    segment_rows: list[dict[str, object]] = []
    transcript_rows: list[dict[str, object]] = []
    for item_key, vectors in given:
        channel_key = channel_keys[item_key, vectors.channel]
        segment_rows.extend(_segment_rows(channel_key, vectors))
        if vectors.transcript is not None:
            transcript_rows.append(_transcript_row(channel_key, vectors.transcript))
    if segment_rows:
        connection.execute(insert(segments), segment_rows)
    if transcript_rows:
        connection.execute(insert(transcripts), transcript_rows)


def _channel_row(item_key: int, vectors: ChannelVectors) -> dict[str, object]:
    return {
        "item_key": item_key,
        "channel": vectors.channel,
        "encoder_id": vectors.encoder_id,
        "space_id": vectors.space_id,
        "segmentation_id": vectors.segmentation_id,
        "source_sha256": vectors.source_sha256,
        "dim": vectors.vectors.shape[1],
        "num_segments": len(vectors.segments),
    }


def require_finite(writes: Sequence[ItemWrite]) -> None:
    """Refuse vectors that cannot be compared.

    Raises:
        ValueError: naming item and channel.
    """
    for write in writes:
        for vectors in write.channels:
            if not np.isfinite(vectors.vectors).all():
                raise ValueError(
                    f"item {write.item.item_id!r}, channel {vectors.channel!r}: vectors hold NaN "
                    "or infinity"
                )


def _segment_rows(item_channel_key: int, vectors: ChannelVectors) -> Iterator[dict[str, object]]:
    stored = np.ascontiguousarray(vectors.vectors, dtype="<f2")
    for ordinal, segment in enumerate(vectors.segments):
        yield {
            "item_channel_key": item_channel_key,
            "ordinal": ordinal,
            "start_seconds": segment.start_seconds,
            "stop_seconds": segment.stop_seconds,
            "text": segment.text,
            "vector": stored[ordinal].tobytes(),
        }


def _transcript_row(item_channel_key: int, transcript: Transcript) -> dict[str, object]:
    return {
        "item_channel_key": item_channel_key,
        "language": transcript.language,
        "origin": transcript.origin,
        "utterances_json": msgspec.json.encode(transcript.utterances).decode(),
    }


def forget_encoders(connection: Connection, collection: str, encoder_ids: Collection[str]) -> int:
    """Remove what some encoders made of a collection's items."""
    of_collection = select(items.c.item_key).where(items.c.collection == collection)
    removed = connection.execute(
        delete(item_channels).where(
            item_channels.c.encoder_id.in_(sorted(encoder_ids)),
            item_channels.c.item_key.in_(of_collection),
        )
    )
    return removed.rowcount


def _needed_too(needed: Collection[str]) -> Exists:
    """Return whether one of some encoders was at the same channel of the same item."""
    other = item_channels.alias()
    return exists().where(
        other.c.item_key == item_channels.c.item_key,
        other.c.channel == item_channels.c.channel,
        other.c.encoder_id.in_(sorted(needed)),
    )


def beside(
    connection: Connection, collection: str, needed: Collection[str]
) -> list[tuple[str, str, int, int, int]]:
    """Return what other encoders than those ``needed`` made of live items.

    Returns:
        By channel and encoder: these two, the number of items, of those the number of which no
        needed encoder made anything in the channel, and the bytes of the vectors.
    """
    statement = (
        select(
            item_channels.c.channel,
            item_channels.c.encoder_id,
            func.count(),
            func.sum(case((_needed_too(needed), 0), else_=1)),
            func.sum(item_channels.c.num_segments * item_channels.c.dim * BYTES_PER_NUMBER),
        )
        .join_from(items, item_channels)
        .where(
            items.c.collection == collection,
            items.c.deleted.is_(False),
            item_channels.c.encoder_id.not_in(sorted(needed)),
        )
        .group_by(item_channels.c.channel, item_channels.c.encoder_id)
        .order_by(item_channels.c.channel, item_channels.c.encoder_id)
    )
    return [(row[0], row[1], *map(int, row[2:])) for row in connection.execute(statement)]


def drop_beside(connection: Connection, collection: str, needed: Collection[str]) -> int:
    """Remove what other encoders made where a needed one was, too, and return of how many."""
    of_collection = select(items.c.item_key).where(items.c.collection == collection)
    removed = connection.execute(
        delete(item_channels).where(
            item_channels.c.encoder_id.not_in(sorted(needed)),
            item_channels.c.item_key.in_(of_collection),
            _needed_too(needed),
        )
    )
    return removed.rowcount
