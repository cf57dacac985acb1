"""Questions with known answers, asked of a new snapshot before it is served.

- *Known items*: a segment's own vector, as the catalog has it, has to find the segment's item. That
  holds index, tables and catalog together: rows mixed up, vectors gone wrong, an index that finds
  well but finds the wrong ones.
- *Overlap*: of the ten items that the live snapshot finds nearest, how many does the new one find?
  Both are searched among the items that both hold unchanged, so that what was added, removed or
  written since says nothing.
- *Named canaries* of the collection's YAML: what is like this item?

Nothing here needs a model: the questions are stored vectors.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from encoders.space import Vectors
from indexer.ann.vector_index import NO_ROW, Neighbors, Rows, Selection, VectorIndex
from indexer.embedding_store import StoredSegment
from indexer.opened_snapshot import OpenedChannel, OpenedSnapshot

NUM_CANARIES = 64
"""Questions of each kind per channel; fewer where there are fewer segments."""

NUM_TIMED = 9
"""Questions that are asked one by one for the time they take."""

K = 10

SEGMENTS_PER_ITEM = 8
"""Segments fetched for each item wanted: segments of one item resemble each other."""

SAME_SCORE = 1e-3
"""Items this close in score come in any order: twins, and float16 against float32."""

MAX_SEGMENTS_OF_ITEM = 32
"""How many segments of an item a named canary asks with."""


class ChannelCanaries(msgspec.Struct, frozen=True):
    """What the canaries of one channel found."""

    num_known: int
    """Segments asked for their own item."""

    known_item_share: float | None
    """Of these: whose item is among the first ten; ``None`` without a segment."""

    num_compared: int = 0
    """Segments asked of both snapshots."""

    overlap_at_10: float | None = None
    """Mean share of the live snapshot's nearest ten items that the new one finds; ``None`` where
    they were not compared.
    """

    not_compared: str | None = None
    """Why not."""

    live_seconds: float | None = None
    """Median processor time of a question to the live snapshot."""

    new_seconds: float | None = None
    """The same of the new one."""

    @property
    def latency_ratio(self) -> float | None:
        """Processor time of a question, new over live."""
        if not self.live_seconds or self.new_seconds is None:
            return None
        return self.new_seconds / self.live_seconds


@dataclass(frozen=True, slots=True)
class _Found:
    """The nearest items of one question."""

    scores: dict[int, float]
    """Score of each item row, best first, at most `K`."""

    bound: float
    """Items above this score are all listed; -inf when there are no others."""

    def misses(self, item_row: int, score: float) -> bool:
        """Tell whether an item of this score should be listed and is not."""
        return item_row not in self.scores and score > self.bound + SAME_SCORE


def known_items(
    new: OpenedSnapshot, channel: str, asked: Sequence[StoredSegment]
) -> ChannelCanaries:
    """Ask a snapshot for items by their own vectors.

    Args:
        new: the snapshot.
        channel: one that it has.
        asked: segments of the channel as the catalog has them.
    """
    if not asked:
        return ChannelCanaries(0, None)
    opened = new.channels[channel]
    queries = np.stack([segment.vector for segment in asked]).astype(np.float32)
    item_rows = new.item_rows([segment.item_id for segment in asked]).tolist()
    answers = _nearest_items(opened, queries, None)
    # The best score there is stands for the item's own: where many are equally near, as silence is
    # to silence, any ten of them are right.
    num_missed = sum(
        found.misses(item_row, max(found.scores.values(), default=np.inf))
        for item_row, found in zip(item_rows, answers, strict=True)
    )
    return ChannelCanaries(len(asked), 1 - num_missed / len(asked))


def sample_segment_ids(segment_ids: NDArray[np.int64]) -> list[int]:
    """Return up to `NUM_CANARIES` of a channel's segments, the same ones each time."""
    chosen = np.random.default_rng(0).permutation(len(segment_ids))[:NUM_CANARIES]
    return [int(segment_ids[row]) for row in np.sort(chosen)]


def rows_of_unchanged(live: OpenedSnapshot, new: OpenedSnapshot) -> Rows:
    """Return for each item of ``live`` its row in ``new``, -1 where it is gone or was written."""
    values = new.items.column("item_id").combine_chunks()
    found = pc.index_in(live.items.column("item_id"), value_set=values)
    rows: Rows = found.fill_null(NO_ROW).to_numpy().astype(np.int64)
    there = np.flatnonzero(rows != NO_ROW)
    before, after = (_microseconds(each.items) for each in (live, new))
    rows[there[before[there] != after[rows[there]]]] = NO_ROW
    return rows


def compared(
    live: OpenedSnapshot,
    new: OpenedSnapshot,
    channel: str,
    new_rows: Rows,
    measured: ChannelCanaries,
) -> ChannelCanaries:
    """Return ``measured`` with what a comparison of a channel with the live snapshot says.

    Args:
        live: what is served now.
        new: what shall be served.
        channel: one that ``new`` has.
        new_rows: see `rows_of_unchanged`.
        measured: what is known of the channel so far.
    """
    before, after = live.manifest.channels.get(channel), new.manifest.channels[channel]
    if before is None or channel not in live.channels:
        return _not_compared(measured, "the live snapshot has no such channel")
    if before.encoder_id != after.encoder_id:
        return _not_compared(
            measured, f"its encoder changed from {before.encoder_id} to {after.encoder_id}"
        )
    live_channel, new_channel = live.channels[channel], new.channels[channel]
    live_mask = new_rows[live_channel.item_rows] != NO_ROW
    asking = np.flatnonzero(live_mask)
    if not len(asking):
        return _not_compared(measured, "no item of it is as it was in the live snapshot")
    is_unchanged = np.zeros(new.num_items, dtype=np.bool_)
    is_unchanged[new_rows[new_rows != NO_ROW]] = True
    chosen = np.sort(np.random.default_rng(1).permutation(asking)[:NUM_CANARIES])
    queries = live_channel.index.vectors(chosen)
    was = _nearest_items(live_channel, queries, live_mask)
    now = _nearest_items(new_channel, queries, is_unchanged[new_channel.item_rows])
    live_seconds, new_seconds = _median_seconds(
        (live_channel.index, new_channel.index), queries[:NUM_TIMED]
    )
    return msgspec.structs.replace(
        measured,
        num_compared=len(chosen),
        overlap_at_10=float(
            np.mean([_overlap(one, other, new_rows) for one, other in zip(was, now, strict=True)])
        ),
        live_seconds=live_seconds,
        new_seconds=new_seconds,
    )


def _not_compared(measured: ChannelCanaries, reason: str) -> ChannelCanaries:
    return msgspec.structs.replace(measured, not_compared=reason)


def nearest_other_items(opened: OpenedSnapshot, channel: str, item_row: int) -> list[int] | None:
    """Return the rows of the ten items most like one; ``None`` if it has no segment to ask with."""
    searched = opened.channels[channel]
    start, stop = np.searchsorted(searched.item_rows, [item_row, item_row + 1])
    rows = np.arange(start, min(stop, start + MAX_SEGMENTS_OF_ITEM), dtype=np.int64)
    if not len(rows):
        return None
    best: dict[int, float] = {}
    others = searched.item_rows != item_row
    for found in _nearest_items(searched, searched.index.vectors(rows), others):
        for row, score in found.scores.items():
            best[row] = max(score, best.get(row, -np.inf))
    return sorted(best, key=lambda row: -best[row])[:K]


def _microseconds(items: pa.Table) -> NDArray[np.int64]:
    """Return when each item was written."""
    written: NDArray[np.int64] = items.column("updated_at").cast(pa.int64()).to_numpy()
    return written


def _overlap(was: _Found, now: _Found, new_rows: Rows) -> float:
    """Return the share of what was found that is found now."""
    if not was.scores:
        return 1.0
    lost = sum(now.misses(int(new_rows[row]), score) for row, score in was.scores.items())
    return 1 - lost / len(was.scores)


def _nearest_items(
    channel: OpenedChannel, queries: Vectors, mask: NDArray[np.bool_] | None
) -> list[_Found]:
    """Return the nearest items of each query, among the segments of ``mask``."""
    # Without a mask the search goes the way that most questions go.
    among = None if mask is None or mask.all() else Selection(mask)
    found = channel.index.search(queries, K * SEGMENTS_PER_ITEM, among=among)
    return [_items_of(channel, found, number) for number in range(len(queries))]


def _items_of(channel: OpenedChannel, found: Neighbors, number: int) -> _Found:
    scores: dict[int, float] = {}
    rows = found.rows[number]
    is_row = rows != NO_ROW
    item_rows = channel.item_rows[rows[is_row]].tolist()
    for item_row, score in zip(item_rows, found.scores[number][is_row].tolist(), strict=True):
        if item_row not in scores and len(scores) == K:
            return _Found(scores, score)
        scores.setdefault(item_row, score)
    # Fewer segments than asked for: there are no others.
    return _Found(scores, float(found.scores[number][-1]) if is_row.all() else -np.inf)


def _median_seconds(indexes: Sequence[VectorIndex], queries: Vectors) -> list[float]:
    """Return the processor time of a question to each index, asked in turns."""
    seconds: list[list[float]] = [[] for _ in indexes]
    for query in queries:
        for index, taken in zip(indexes, seconds, strict=True):
            started = time.thread_time()
            index.search(query[np.newaxis], K)
            taken.append(time.thread_time() - started)
    return [statistics.median(taken) for taken in seconds]
