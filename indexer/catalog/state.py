"""One state of the catalog, held open while snapshots and live views are made from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, distinct, func, select

from indexer.catalog import reading
from indexer.catalog.reading import ITEM_COLUMNS, ROWS_PER_FETCH, item_record
from indexer.catalog.records import ItemRecord
from indexer.catalog.schema import item_channels, items
from indexer.embedding_store import CatalogEmbeddingStore, EmbeddingStore


@dataclass(frozen=True, slots=True)
class ItemChange:
    """What became of an item."""

    item_key: int
    """Its number inside the catalog, which segments refer to."""

    item_id: str

    item: ItemRecord | None
    """The item as it is now; ``None`` if it was deleted."""


@dataclass(frozen=True, slots=True)
class ChannelCoverage:
    """How much of a channel the current encoder has done."""

    current_items: int
    """Live items whose vectors come from the encoder asked about."""

    current_segments: int
    """Segments of these items."""

    other_items: int
    """Live items with vectors of other encoders only, for instance of an older model."""


class CatalogState:
    """The catalog as it was at one moment."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def embeddings(self) -> EmbeddingStore:
        """The vectors of this state."""
        return CatalogEmbeddingStore(self._connection)

    def change_seq(self, collection: str) -> int:
        """Return the number of a collection's latest change."""
        return reading.change_seq(self._connection, collection)

    def max_item_key(self, collection: str) -> int:
        """Return the largest number of any item, 0 where there is none."""
        statement = select(func.max(items.c.item_key)).where(items.c.collection == collection)
        return int(self._connection.scalar(statement) or 0)

    def changes(self, collection: str, after_seq: int = 0) -> Iterator[ItemChange]:
        """Yield every item written or deleted after ``after_seq``, in the order of the ids."""
        statement = (
            select(*ITEM_COLUMNS, items.c.item_key, items.c.deleted)
            .where(items.c.collection == collection, items.c.change_seq > after_seq)
            .order_by(items.c.item_id)
            .execution_options(yield_per=ROWS_PER_FETCH)
        )
        for row in self._connection.execute(statement):
            record = None if row.deleted else item_record(row)
            yield ItemChange(row.item_key, row.item_id, record)

    def coverage(self, collection: str, channel: str, encoder_id: str) -> ChannelCoverage:
        """Count the live items of a channel by whether ``encoder_id`` made their vectors."""
        is_current = item_channels.c.encoder_id == encoder_id
        statement = (
            select(
                func.count(distinct(item_channels.c.item_key)),
                func.count().filter(is_current),
                func.sum(item_channels.c.num_segments).filter(is_current),
            )
            .join_from(items, item_channels)
            .where(
                items.c.collection == collection,
                items.c.deleted.is_(False),
                item_channels.c.channel == channel,
            )
        )
        num_items, current_items, current_segments = self._connection.execute(statement).one()
        return ChannelCoverage(
            int(current_items), int(current_segments or 0), int(num_items - current_items)
        )
