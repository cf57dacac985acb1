"""A snapshot opened for searching: indexes, items and segments, all of it memory-mapped."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from encoders.encoder import EncoderIdentity
from indexer.ann.opening import ON_PROCESSOR, IndexDevice, open_index
from indexer.ann.qdrant_index import QdrantIndex
from indexer.ann.vector_index import NO_ROW, Rows, VectorIndex
from indexer.config import AttributeType
from indexer.item_table import items_schema
from indexer.manifest import Manifest
from indexer.snapshot import Snapshot
from indexer.snapshot_files import mapped_items, mapped_segments, require_fitting_tables

# Looking ids up one by one takes 30 µs each; a hash table over all of them takes 0.1 s a million.
IDS_LOOKED_UP_SINGLY = 1_000


@dataclass(frozen=True, slots=True, eq=False)
class OpenedChannel:
    """One channel: row -> vector, item, times, words."""

    index: VectorIndex

    filters_itself: bool
    """Whether the engine can filter on what is stored about items."""

    item_rows: NDArray[np.int64]
    """Ascending: segments of one item are adjacent."""

    start_seconds: NDArray[np.float64]
    stop_seconds: NDArray[np.float64]
    text: pa.ChunkedArray

    def texts(self, rows: Rows) -> list[str | None]:
        """Return the words of some rows."""
        # Arrow's own take would first copy a column of several chunks into one.
        chunks = self.text.chunks
        starts = np.cumsum([0, *(len(chunk) for chunk in chunks)])
        numbers = np.searchsorted(starts, rows, side="right") - 1
        return [
            chunks[number][row - starts[number]].as_py()
            for number, row in zip(numbers.tolist(), rows.tolist(), strict=True)
        ]


class OpenedSnapshot:
    """Everything a live view reads of a snapshot.

    Args:
        snapshot: a snapshot whose files were verified.
        attributes: the collection's attribute schema now; columns are brought to it.
        identities: the collection's encoders; only their channels are opened.
        num_threads: threads one search uses.
        device: where FAISS searches.

    Raises:
        SnapshotCorrupt: a table is none, or tables do not fit together.
        IndexMismatch: an index is none, or does not hold what the manifest says. So too what else
            `open_index` raises.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        attributes: Mapping[str, AttributeType],
        identities: Mapping[str, EncoderIdentity],
        *,
        num_threads: int = 1,
        device: IndexDevice = ON_PROCESSOR,
    ) -> None:
        self.manifest: Manifest = snapshot.manifest
        items = mapped_items(snapshot.path)
        self.channels = {
            name: _open_channel(snapshot, name, num_threads, device)
            for name in identities
            if name in snapshot.manifest.channels
        }
        item_rows = {name: channel.item_rows for name, channel in self.channels.items()}
        require_fitting_tables(snapshot.path, snapshot.manifest, items, item_rows)
        self.items = _with_schema(items, items_schema(attributes))

    @property
    def num_items(self) -> int:
        """How many items it holds."""
        return int(self.items.num_rows)

    def check(self) -> None:
        """Ask the engines that are not in this process whether they are there.

        Raises:
            KindredError: one is not.
        """
        for channel in self.channels.values():
            if isinstance(channel.index, QdrantIndex):
                channel.index.check()

    def item_rows(self, item_ids: Sequence[str]) -> NDArray[np.int64]:
        """Return the row of each item, -1 for those that are not in here."""
        column = self.items.column("item_id")
        if len(item_ids) > IDS_LOOKED_UP_SINGLY:
            found = pc.index_in(pa.array(item_ids, pa.string()), value_set=column)
            rows: NDArray[np.int64] = found.fill_null(NO_ROW).to_numpy().astype(np.int64)
            return rows
        return np.fromiter((self._item_row(column, one) for one in item_ids), dtype=np.int64)

    def _item_row(self, column: pa.ChunkedArray, item_id: str) -> int:
        # Ids are ASCII, so Python compares them as the catalog sorted them.
        row = bisect_left(range(len(column)), item_id, key=lambda at: column[at].as_py())
        return row if row < len(column) and column[row].as_py() == item_id else NO_ROW


def _open_channel(
    snapshot: Snapshot, name: str, num_threads: int, device: IndexDevice
) -> OpenedChannel:
    entry = snapshot.manifest.channels[name]
    folder = snapshot.channel_folder(name)
    segments = mapped_segments(folder)
    return OpenedChannel(
        index=open_index(
            folder, entry.index, entry.space_id, num_threads=num_threads, device=device
        ),
        filters_itself=bool(entry.index.payload),
        item_rows=segments.column("item_row").to_numpy(),
        start_seconds=segments.column("start_seconds").to_numpy(),
        stop_seconds=segments.column("stop_seconds").to_numpy(),
        text=segments.column("text"),
    )


def _with_schema(items: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return items with the columns of ``schema``, null where the snapshot has none.

    A snapshot keeps serving while the collection's attributes change; a column that is new or of
    another type has no values until the next snapshot.
    """
    if items.schema == schema:
        return items
    columns: Iterable[pa.ChunkedArray | pa.Array] = (
        items.column(field.name)
        if field.name in items.schema.names and items.schema.field(field.name).type == field.type
        else pa.nulls(items.num_rows, field.type)
        for field in schema
    )
    return pa.Table.from_arrays(list(columns), schema=schema)
