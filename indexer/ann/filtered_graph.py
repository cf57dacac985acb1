"""Searching an HNSW graph under a filter: a walk past the filter, checked and taken further."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from encoders.space import Vectors
from indexer.ann.filter_plan import FilterPlan
from indexer.ann.vector_index import (
    NO_ROW,
    Neighbors,
    SearchMode,
    Selection,
    nearest,
    no_neighbors,
)

WALK_AGAIN = 4
"""Factor by which a walk that found too few kept rows goes further."""


class Walk(Protocol):
    """Finds the nearest rows of each query in the graph, whatever the filter."""

    def __call__(self, queries: Vectors, k: int, /) -> Neighbors:
        """Return the ``k`` nearest rows of all."""
        ...


class Compare(Protocol):
    """Compares queries with every kept row."""

    def __call__(self, queries: Vectors, k: int, among: Selection, /) -> Neighbors:
        """Return the ``k`` nearest rows of ``among``."""
        ...


def search_filtered_graph(
    plan: FilterPlan,
    queries: Vectors,
    k: int,
    among: Selection,
    *,
    walk: Walk,
    compare: Compare,
) -> Neighbors:
    """Return the ``k`` nearest kept rows of each query.

    The graph is walked to the nearest rows whatever they are, and those that are kept remain. Only
    when ``k`` of them lie in the nearer half of the walk are they surely the nearest; other queries
    walk further, or are compared with every kept row once that costs less. So a filter that goes
    with the vectors cannot hide rows behind others.

    Args:
        plan: weighs walking against comparing.
        queries: ``(num_queries, dim)`` float32.
        k: neighbours wanted.
        among: the kept rows.
        walk: searches the graph.
        compare: searches the kept rows.
    """
    wanted = min(k, among.num_selected)
    best = no_neighbors(len(queries), k)
    mode: SearchMode = "exact_filtered"
    todo = np.arange(len(queries))
    walked = min(plan.neighbors_to_walk(among.num_selected, k), plan.num_rows)
    while len(todo):
        if plan.prefers_exact(among.num_selected, k, len(todo), walked):
            chosen, enough = compare(queries[todo], k, among), np.ones(len(todo), dtype=np.bool_)
        else:
            mode = "approximate"
            found = walk(queries[todo], walked)
            kept = (found.rows != NO_ROW) & among.mask[found.rows]
            enough = kept[:, : max(1, walked // 2)].sum(axis=1) >= wanted
            if walked == plan.num_rows:
                enough[:] = True
            chosen = nearest(np.where(kept, found.rows, NO_ROW)[enough], found.scores[enough], k)
        best.rows[todo[enough]], best.scores[todo[enough]] = chosen.rows, chosen.scores
        todo = todo[~enough]
        walked = min(WALK_AGAIN * walked, plan.num_rows)
    return Neighbors(best.rows, best.scores, mode)
