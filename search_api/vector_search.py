"""Many raw vectors against one channel: ids and scores, without all that a search tells of hits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from encoders.space import MIN_LENGTH, Vectors, unit_rows
from indexer.ann.vector_index import ItemCondition, Rows, SearchMode
from indexer.live_view import LiveView
from search_api.channel_search import WIDENING
from search_api.errors import InvalidRequest
from search_api.schemas import MAX_QUERY_VECTORS


@dataclass(frozen=True, slots=True)
class VectorAnswer:
    """The nearest items of each vector, nearest first."""

    item_ids: list[list[str]]
    """As many as were asked for, or all there are."""

    scores: list[list[float]]
    """Cosine of each item's best segment, in step with ``item_ids``."""

    mode: SearchMode


def read_vectors(content: bytes, dim: int) -> Vectors:
    """Return raw float32 rows, lowest byte first, as unit rows.

    Args:
        content: ``num_rows * dim * 4`` bytes.
        dim: length of a vector.

    Raises:
        InvalidRequest: another number of bytes, too many rows, or one that is not finite or has no
            direction.
    """
    if not content or len(content) % (4 * dim):
        raise InvalidRequest(
            f"expected float32 vectors of {dim} dimensions, a multiple of {4 * dim} bytes; got "
            f"{len(content)} bytes"
        )
    given = np.frombuffer(content, "<f4").reshape(-1, dim)
    if len(given) > MAX_QUERY_VECTORS:
        raise InvalidRequest(f"{len(given)} vectors; at most {MAX_QUERY_VECTORS}")
    with np.errstate(over="ignore"):  # then it is infinite, and refused
        lengths = np.linalg.norm(given, axis=1)
    wrong = ~(np.isfinite(lengths) & (lengths >= MIN_LENGTH))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise InvalidRequest(f"vector {row} has no direction: its length is {lengths[row]}")
    return unit_rows(given)


def search_vectors(
    view: LiveView,
    channel: str,
    vectors: Vectors,
    limit: int,
    among: NDArray[np.bool_] | None,
    condition: ItemCondition | None = None,
) -> VectorAnswer:
    """Return the items nearest to each vector.

    Items with equal scores come in the order in which the index holds them.

    Args:
        view: what is searched.
        channel: a channel of the view.
        vectors: ``(num_queries, dim)`` unit rows of its space.
        limit: how many items for each.
        among: ``(num_items,)`` mask of items that may answer; ``None``: all.
        condition: what all of them satisfy, for engines that filter by themselves.
    """
    num_rows = view.channels[channel].num_rows
    if not num_rows:
        nothing: list[list[str]] = [[] for _ in vectors]
        return VectorAnswer(nothing, [[] for _ in vectors], "exact")
    num_segments = min(limit, num_rows)
    while True:
        neighbors = view.search(channel, vectors, num_segments, among, condition)
        item_rows = view.item_rows(channel, neighbors.rows)
        first = first_of_each(item_rows)
        full = first.sum(axis=1) >= limit
        # A vector whose answer ends before its last place has been told everything there is.
        if num_segments == num_rows or (full | (neighbors.rows[:, -1] < 0)).all():
            break
        num_segments = min(WIDENING * num_segments, num_rows)
    first &= first.cumsum(axis=1) <= limit
    counts = first.sum(axis=1).tolist()
    ids = iter(view.item_ids(item_rows[first]))
    scores = iter(neighbors.scores[first].tolist())
    return VectorAnswer(
        [[next(ids) for _ in range(count)] for count in counts],
        [[next(scores) for _ in range(count)] for count in counts],
        neighbors.mode,
    )


def first_of_each(item_rows: Rows) -> NDArray[np.bool_]:
    """Return where in each row an item comes up first.

    Args:
        item_rows: ``(num_queries, k)``, -1 where there is none.
    """
    order = np.argsort(item_rows, axis=1, kind="stable")
    ordered = np.take_along_axis(item_rows, order, axis=1)
    is_first = np.ones(item_rows.shape, dtype=np.bool_)
    is_first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    is_first &= ordered >= 0
    found = np.empty_like(is_first)
    np.put_along_axis(found, order, is_first, axis=1)
    return found
