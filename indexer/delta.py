"""What changed since a snapshot: new and replaced items in memory, deletions as marks.

A delta only grows. An item written twice has two rows in it, of which the live view hides the
older, so taking in one more write reads that write only and copies no vector.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from encoders.encoder import EncoderIdentity
from encoders.space import Vectors
from indexer.catalog.state import CatalogState, ItemChange
from indexer.config import CollectionConfig
from indexer.item_table import item_batch, items_schema

MIN_CAPACITY = 64


class GrowingArray:
    """An array whose rows are appended in place; views taken before stay as they are."""

    def __init__(self, shape: tuple[int, ...], dtype: type[np.generic]) -> None:
        self._buffer: NDArray[Any] = np.empty((0, *shape), dtype=dtype)

    def extended(self, num_rows: int, block: NDArray[Any]) -> NDArray[Any]:
        """Return the first ``num_rows`` rows followed by ``block``, without copying the former."""
        stop = num_rows + len(block)
        if stop > len(self._buffer):
            capacity = max(MIN_CAPACITY, 2 * len(self._buffer), stop)
            grown = np.empty((capacity, *self._buffer.shape[1:]), dtype=self._buffer.dtype)
            grown[:num_rows] = self._buffer[:num_rows]
            self._buffer = grown
        self._buffer[num_rows:stop] = block
        return self._buffer[:stop]


@dataclass(frozen=True, slots=True, eq=False)
class DeltaChannel:
    """The segments of one channel that are not in the snapshot."""

    item_rows: NDArray[np.int64]
    """Ascending rows of the live view's item table."""

    start_seconds: NDArray[np.float64]
    stop_seconds: NDArray[np.float64]

    texts: list[str | None]
    """May be longer than the arrays: a later delta appends to the same list."""

    vectors: Vectors

    buffers: tuple[GrowingArray, GrowingArray, GrowingArray, GrowingArray]
    """Where the arrays grow: item rows, starts, stops, vectors."""

    @classmethod
    def empty(cls, dim: int) -> Self:
        """Return a channel without segments."""
        buffers = (
            GrowingArray((), np.int64),
            GrowingArray((), np.float64),
            GrowingArray((), np.float64),
            GrowingArray((dim,), np.float32),
        )
        return cls(
            np.empty(0, np.int64), np.empty(0), np.empty(0), [], np.empty((0, dim), np.float32),
            buffers,
        )  # fmt: skip

    @property
    def num_rows(self) -> int:
        """How many segments there are, hidden ones included."""
        return len(self.item_rows)


@dataclass(frozen=True, slots=True, eq=False)
class Delta:
    """Every change after a snapshot, up to one number."""

    first_row: int
    """Row of its first item in the live view: the number of items in the snapshot."""

    items: pa.Table
    """New and replaced items, in the order they came."""

    rows_by_id: Mapping[str, int | None]
    """For each item that changed its latest row in the live view, ``None`` if it was deleted."""

    channels: Mapping[str, DeltaChannel]

    @classmethod
    def empty(
        cls, first_row: int, config: CollectionConfig, identities: Mapping[str, EncoderIdentity]
    ) -> Self:
        """Return a delta without changes."""
        channels = {name: DeltaChannel.empty(one.dim) for name, one in identities.items()}
        return cls(first_row, items_schema(config.attributes).empty_table(), {}, channels)

    def extended(
        self,
        state: CatalogState,
        after_seq: int,
        config: CollectionConfig,
        identities: Mapping[str, EncoderIdentity],
    ) -> tuple[Delta, list[ItemChange]]:
        """Return this delta with every change after ``after_seq`` added, and these changes.

        Only the newest delta may be extended; those before stay readable.
        """
        changes = list(state.changes(config.name, after_seq))
        written = [change for change in changes if change.item is not None]
        first_new = self.first_row + self.items.num_rows
        rows_by_id = dict(self.rows_by_id)
        rows_by_id.update({change.item_id: None for change in changes if change.item is None})
        rows_by_id.update(
            {change.item_id: first_new + number for number, change in enumerate(written)}
        )
        rows_by_key = {change.item_key: first_new + at for at, change in enumerate(written)}
        batch = item_batch((change.item for change in written if change.item), config.attributes)
        items = pa.concat_tables([self.items, pa.Table.from_batches([batch])]).combine_chunks()
        channels = dict(self.channels)
        if written:
            for name, identity in identities.items():
                channels[name] = self._extended_channel(
                    name, identity, state, after_seq, config.name, rows_by_key
                )
        return Delta(self.first_row, items, rows_by_id, channels), changes

    def _extended_channel(
        self,
        name: str,
        identity: EncoderIdentity,
        state: CatalogState,
        after_seq: int,
        collection: str,
        rows_by_key: Mapping[int, int],
    ) -> DeltaChannel:
        channel = self.channels[name]
        rows, starts, stops, vectors = channel.buffers
        blocks = state.embeddings.blocks(
            collection, name, identity.encoder_id, dim=identity.dim, after_seq=after_seq
        )
        # An extension that failed halfway may have left words beyond the arrays' end.
        del channel.texts[channel.num_rows :]
        for block in blocks:
            num_rows = channel.num_rows
            channel.texts.extend(block.texts)
            item_rows = np.fromiter(
                (rows_by_key[key] for key in block.item_keys.tolist()), dtype=np.int64
            )
            channel = DeltaChannel(
                item_rows=rows.extended(num_rows, item_rows),
                start_seconds=starts.extended(num_rows, block.start_seconds),
                stop_seconds=stops.extended(num_rows, block.stop_seconds),
                texts=channel.texts,
                vectors=vectors.extended(num_rows, block.vectors),
                buffers=channel.buffers,
            )
        return channel
