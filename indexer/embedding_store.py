"""Where the vectors of segments are read from when indexes are made.

The catalog keeps them beside the segment rows. Whatever shall take the bulk of them later, a Lance
dataset for instance, has to offer the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from indexer.catalog.schema import item_channels, items, segments

ROWS_PER_BLOCK = 4_096


@dataclass(frozen=True, slots=True, eq=False)
class SegmentBlock:
    """Some segments of one channel, rows in step."""

    item_keys: NDArray[np.int64]
    """Which item of the catalog each belongs to; rows of one item are adjacent."""

    segment_ids: NDArray[np.int64]

    start_seconds: NDArray[np.float64]
    """NaN for still images and text."""

    stop_seconds: NDArray[np.float64]

    texts: list[str | None]

    vectors: NDArray[np.float16]
    """``(num_rows, dim)``"""


@dataclass(frozen=True, slots=True, eq=False)
class StoredSegment:
    """One segment, whose it is and where it points."""

    item_id: str

    vector: NDArray[np.float16]
    """``(dim,)``"""


class EmbeddingStore(Protocol):
    """Reads segments with their vectors."""

    def blocks(
        self, collection: str, channel: str, encoder_id: str, *, dim: int, after_seq: int = 0
    ) -> Iterator[SegmentBlock]:
        """Yield the segments of live items, in the order of item ids and then of time.

        Args:
            collection: which one.
            channel: which one.
            encoder_id: only vectors this encoder made.
            dim: length of these vectors.
            after_seq: only items changed after this number.
        """
        ...

    def some(
        self, collection: str, segment_ids: Sequence[int], *, through_seq: int
    ) -> list[StoredSegment]:
        """Return those of some segments that belong to live items not changed since.

        Args:
            collection: which one.
            segment_ids: a few; those that are gone are left out.
            through_seq: only items last changed up to this number.
        """
        ...


class CatalogEmbeddingStore:
    """The vectors in the catalog, as of one read transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def blocks(
        self, collection: str, channel: str, encoder_id: str, *, dim: int, after_seq: int = 0
    ) -> Iterator[SegmentBlock]:
        """Yield the segments of live items; see `EmbeddingStore.blocks`."""
        statement = (
            select(
                item_channels.c.item_key,
                segments.c.segment_id,
                segments.c.start_seconds,
                segments.c.stop_seconds,
                segments.c.text,
                segments.c.vector,
            )
            .join_from(items, item_channels)
            .join(segments)
            .where(
                items.c.collection == collection,
                items.c.deleted.is_(False),
                item_channels.c.channel == channel,
                item_channels.c.encoder_id == encoder_id,
            )
            .order_by(items.c.item_id, segments.c.ordinal)
            .execution_options(yield_per=ROWS_PER_BLOCK)
        )
        if after_seq:
            statement = statement.where(items.c.change_seq > after_seq)
        for rows in self._connection.execute(statement).partitions():
            keys, ids, starts, stops, texts, blobs = zip(*rows, strict=True)
            yield SegmentBlock(
                item_keys=np.array(keys, dtype=np.int64),
                segment_ids=np.array(ids, dtype=np.int64),
                # None becomes NaN.
                start_seconds=np.array(starts, dtype=np.float64),
                stop_seconds=np.array(stops, dtype=np.float64),
                texts=list(texts),
                vectors=np.frombuffer(b"".join(blobs), dtype="<f2").reshape(len(rows), dim),
            )

    def some(
        self, collection: str, segment_ids: Sequence[int], *, through_seq: int
    ) -> list[StoredSegment]:
        """Return those of some segments that are still there; see `EmbeddingStore.some`."""
        statement = (
            select(items.c.item_id, segments.c.vector)
            .join_from(items, item_channels)
            .join(segments)
            .where(
                items.c.collection == collection,
                items.c.deleted.is_(False),
                items.c.change_seq <= through_seq,
                segments.c.segment_id.in_(segment_ids),
            )
            .order_by(segments.c.segment_id)
        )
        return [
            StoredSegment(item_id, np.frombuffer(vector, dtype="<f2"))
            for item_id, vector in self._connection.execute(statement)
        ]
