"""What a collection answers from right now: its live snapshot and everything written since."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from encoders.encoder import EncoderIdentity
from encoders.errors import KindredError
from encoders.space import Vectors
from indexer.ann.opening import ON_PROCESSOR, IndexDevice
from indexer.ann.vector_index import NO_ROW, ItemCondition, Neighbors, Rows
from indexer.catalog.catalog import Catalog
from indexer.channel_view import ChannelInfo, ChannelView, SegmentColumns
from indexer.config import CollectionConfig
from indexer.data_dir import DataDir
from indexer.delta import Delta
from indexer.opened_snapshot import OpenedSnapshot
from indexer.publish import PointerStamp, live_snapshot_path, pointer_stamp
from indexer.snapshot import Snapshot

# A delta is read anew from the catalog when more than half of it, and more than this, is hidden.
HIDDEN_ITEMS_BEFORE_REREAD = 1_000


__all__ = [
    "CatalogBehindSnapshot",
    "ChannelInfo",
    "LiveCollection",
    "LiveView",
    "SegmentColumns",
    "UnknownChannel",
]


class UnknownChannel(KindredError):
    """A channel that the collection does not have."""

    code = "unknown_channel"


class CatalogBehindSnapshot(KindredError):
    """The live snapshot holds later changes than the catalog, as after restoring an old backup."""

    code = "catalog_behind_snapshot"


class LiveView:
    """One state of a collection. Immutable: later writes make another view.

    Item rows and segment rows are numbers inside this view only: the snapshot's rows first, then
    the delta's.
    """

    def __init__(
        self,
        snapshot: OpenedSnapshot | None,
        delta: Delta,
        live: NDArray[np.bool_],
        identities: Mapping[str, EncoderIdentity],
        change_seq: int,
    ) -> None:
        self.snapshot = snapshot
        self.delta = delta
        self.live = live
        """``(num_rows of items,)``: False where an item was deleted or replaced."""

        self.change_seq = change_seq
        """The number of the last change in here."""

        self._channels = {
            name: ChannelView(
                name,
                identity,
                snapshot.channels.get(name) if snapshot else None,
                delta.channels[name],
                delta.first_row,
            )
            for name, identity in identities.items()
        }

    @property
    def snapshot_id(self) -> str | None:
        """The snapshot below this view, ``None`` before the first."""
        return self.snapshot.manifest.snapshot_id if self.snapshot else None

    @property
    def through_seq(self) -> int:
        """The last change inside the snapshot; 0 without one."""
        return self.snapshot.manifest.through_seq if self.snapshot else 0

    @property
    def num_delta_items(self) -> int:
        """How many items changed since the snapshot, deleted ones included."""
        return len(self.delta.rows_by_id)

    @property
    def num_delta_segments(self) -> int:
        """How many vectors are searched beside the snapshot, hidden ones included."""
        return sum(channel.num_rows for channel in self.delta.channels.values())

    @cached_property
    def items(self) -> pa.Table:
        """Items as `item_table.items_schema` describes them: the snapshot's, then the delta's."""
        if self.snapshot is None:
            return self.delta.items
        return pa.concat_tables([self.snapshot.items, self.delta.items])

    @cached_property
    def channels(self) -> Mapping[str, ChannelInfo]:
        """The collection's channels, in the order of its configuration."""
        return {name: channel.info for name, channel in self._channels.items()}

    @cached_property
    def filters_itself(self) -> bool:
        """Whether an engine below this view can filter on what is stored about items."""
        channels = self.snapshot.channels.values() if self.snapshot else ()
        return any(channel.filters_itself for channel in channels)

    def search(
        self,
        channel: str,
        queries: Vectors,
        k: int,
        among: NDArray[np.bool_] | None = None,
        condition: ItemCondition | None = None,
    ) -> Neighbors:
        """Return the nearest segments of live items.

        Args:
            channel: where to look.
            queries: ``(num_queries, dim)`` float32 unit rows of the channel's space.
            k: how many segments.
            among: mask over the rows of `items`: which may be found; all live ones when ``None``.
            condition: what all of ``among`` satisfy, for engines that filter by themselves.

        Returns:
            Neighbours whose rows are segment rows of this view.

        Raises:
            UnknownChannel: there is no such channel.
            BadQuery: the queries have the wrong shape or hold NaN, or ``k`` is below 1.
        """
        if among is not None and among.shape != self.live.shape:
            raise ValueError(f"among must be {self.live.shape}, got {among.shape}")
        return self._channel(channel).search(queries, k, self.live, among, condition)

    def search_exactly(
        self, channel: str, queries: Vectors, k: int, among: NDArray[np.bool_] | None = None
    ) -> Neighbors:
        """Return what `search` would if it compared each query with every segment; slow."""
        return self._channel(channel).search_exactly(queries, k, self.live, among)

    def num_selected(self, channel: str, among: NDArray[np.bool_] | None = None) -> int:
        """Count the segments of a channel whose items are live and, if given, in ``among``."""
        return self._channel(channel).num_selected(self.live, among)

    def segments(self, channel: str, rows: Rows) -> SegmentColumns:
        """Return item, times and words of segment rows, in the order given."""
        return self._channel(channel).segments(np.asarray(rows, dtype=np.int64))

    def item_rows(self, channel: str, rows: Rows) -> Rows:
        """Return the item row of each segment row, -1 for -1; any shape."""
        return self._channel(channel).item_rows(rows)

    def item_ids(self, item_rows: Rows) -> list[str]:
        """Return the ids of items.

        Args:
            item_rows: ``(n,)`` rows of `items`.
        """
        first = self.delta.first_row
        if self.snapshot is not None and (item_rows < first).all():
            # Of one table: taking from two together copies them first.
            items = self.snapshot.items
        else:
            items = self.items
        ids: list[str] = items.column("item_id").take(pa.array(item_rows)).to_pylist()
        return ids

    def segment_rows(self, channel: str, item_row: int) -> Rows:
        """Return the rows of an item's segments in a channel, in order."""
        return self._channel(channel).rows_of_item(item_row)

    def vectors(self, channel: str, rows: Rows) -> Vectors:
        """Return the vectors of segment rows: ``(len(rows), dim)`` float32."""
        return self._channel(channel).vectors(np.asarray(rows, dtype=np.int64))

    def check(self) -> None:
        """Ask the engines that are not in this process whether they are there.

        Raises:
            KindredError: one is not.
        """
        if self.snapshot is not None:
            self.snapshot.check()

    def item_row(self, item_id: str) -> int | None:
        """Return the row of a live item, ``None`` if there is none of this id."""
        if item_id in self.delta.rows_by_id:
            return self.delta.rows_by_id[item_id]
        if self.snapshot is None:
            return None
        row = int(self.snapshot.item_rows([item_id])[0])
        return None if row == NO_ROW else row

    def _channel(self, name: str) -> ChannelView:
        if name not in self._channels:
            raise UnknownChannel(
                f"no channel {name!r}; there are: {', '.join(self._channels)}",
                channel=name,
                channels=list(self._channels),
            )
        return self._channels[name]


class LiveCollection:
    """Keeps a view of a collection current. Safe to use from several threads.

    Args:
        catalog: where writes are read from.
        data_dir: where snapshots lie.
        config: the collection.
        identities: the encoder of each channel; delta vectors of other encoders are left out.
        num_threads: threads one search uses.
        device: where FAISS searches.
    """

    def __init__(
        self,
        catalog: Catalog,
        data_dir: DataDir,
        config: CollectionConfig,
        identities: Mapping[str, EncoderIdentity],
        *,
        num_threads: int = 1,
        device: IndexDevice = ON_PROCESSOR,
    ) -> None:
        self._catalog = catalog
        self._data_dir = data_dir
        self._config = config
        self._identities = {name: identities[name] for name in config.channels}
        self._num_threads = num_threads
        self._device = device
        self._lock = threading.Lock()
        """Held while a view takes the place of another."""

        self._opening = threading.Lock()
        """Held while a snapshot is opened; never asked for with the other one in hand."""

        self._failure: KindredError | None = None
        """Why the live snapshot could not be opened the last time."""

        self._pointer: PointerStamp | None = None
        self._view: LiveView | None = None

    @property
    def latest(self) -> LiveView | None:
        """The current view, ``None`` before the first."""
        return self._view

    def view(self) -> LiveView:
        """Return the current view, making the first one if need be."""
        if self._view is None:
            self.refresh()
        view = self._view
        assert view is not None
        return view

    def refresh(self) -> bool:
        """Take in what was written and published since the last time; cheap if nothing was.

        One call at a time opens a new snapshot, which takes as long as that is large. Other calls
        wait for it only if there is no view yet; else they take in what was written and return.

        Returns:
            Whether there is a new view.

        Raises:
            SnapshotCorrupt: the live snapshot is damaged. So too `SnapshotUnreadable`,
                `SpaceMismatch`, `CatalogBehindSnapshot` and what opening an index raises. A view
                made before stays, and keeps taking in writes.
        """
        with self._lock:
            is_new = self._take_in_writes()
            is_first = self._view is None
        if pointer_stamp(self._data_dir, self._config.name) == self._pointer and not is_first:
            return is_new
        if not self._opening.acquire(blocking=is_first):
            if self._failure is not None:
                raise self._failure
            return is_new
        try:
            return self._follow_pointer() or is_new
        finally:
            self._opening.release()

    def _take_in_writes(self) -> bool:
        """Add what was written to the view there is; the caller holds the lock of views."""
        if self._view is None or self._catalog.change_seq(self._config.name) == (
            self._view.change_seq
        ):
            return False
        self._view = self._next_view(self._view)
        return True

    def _follow_pointer(self) -> bool:
        """Make a view of the live snapshot, if there is none; the caller is alone in opening."""
        pointer = pointer_stamp(self._data_dir, self._config.name)
        if self._view is not None and pointer == self._pointer:
            return False
        try:
            # Without the lock: whoever writes meanwhile finds what was written in the view before.
            view = self._first_view(self._opened_snapshot())
        except KindredError as error:
            self._failure = error
            raise
        with self._lock:
            # Nothing that the view before has taken in may be missing.
            self._view = view
            self._take_in_writes()
            self._pointer, self._failure = pointer, None
        return True

    def _opened_snapshot(self) -> OpenedSnapshot | None:
        path = live_snapshot_path(self._data_dir, self._config.name)
        if path is None:
            return None
        snapshot = Snapshot.open(path, verify=True, identities=self._identities)
        # Asked after the pointer was read: a write published in between is in both.
        change_seq = self._catalog.change_seq(self._config.name)
        if snapshot.manifest.through_seq > change_seq:
            raise CatalogBehindSnapshot(
                f"snapshot {snapshot.manifest.snapshot_id} holds changes up to "
                f"{snapshot.manifest.through_seq}, the catalog ends at {change_seq}: was it "
                "restored from an older backup? reindex to go on from the catalog",
                snapshot=snapshot.manifest.through_seq,
                catalog=change_seq,
            )
        return OpenedSnapshot(
            snapshot,
            self._config.attributes,
            self._identities,
            num_threads=self._num_threads,
            device=self._device,
        )

    def _first_view(self, snapshot: OpenedSnapshot | None) -> LiveView:
        """Return a view of a snapshot and everything after it, read from the catalog."""
        num_items = snapshot.num_items if snapshot else 0
        delta = Delta.empty(num_items, self._config, self._identities)
        after_seq = snapshot.manifest.through_seq if snapshot else 0
        return self._extended(snapshot, delta, np.ones(num_items, dtype=np.bool_), after_seq)

    def _next_view(self, view: LiveView) -> LiveView:
        """Return ``view`` with the writes since added."""
        num_hidden = int(np.count_nonzero(~view.live[view.delta.first_row :]))
        if num_hidden > max(HIDDEN_ITEMS_BEFORE_REREAD, view.delta.items.num_rows // 2):
            return self._first_view(view.snapshot)
        return self._extended(view.snapshot, view.delta, view.live, view.change_seq)

    def _extended(
        self,
        snapshot: OpenedSnapshot | None,
        delta: Delta,
        live: NDArray[np.bool_],
        after_seq: int,
    ) -> LiveView:
        with self._catalog.state() as state:
            change_seq = state.change_seq(self._config.name)
            extended, changes = delta.extended(state, after_seq, self._config, self._identities)
        num_items = extended.first_row + extended.items.num_rows
        now_live = np.ones(num_items, dtype=np.bool_)
        now_live[: len(live)] = live
        changed = [change.item_id for change in changes]
        earlier = [delta.rows_by_id.get(item_id) for item_id in changed]
        now_live[[row for row in earlier if row is not None]] = False
        if snapshot is not None:
            rows = snapshot.item_rows(changed)
            now_live[rows[rows != NO_ROW]] = False
        return LiveView(snapshot, extended, now_live, self._identities, change_seq)
