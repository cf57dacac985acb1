"""Searching inverted lists under a filter: lists are read until enough kept rows were seen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from encoders.space import Vectors
from indexer.ann.faiss_library import load_faiss
from indexer.ann.faiss_parts import FaissParts
from indexer.ann.vector_index import Rows, Selection

NO_LIST = -1

BEHIND = 2.0
"""How many times rarer kept rows have to be around a query for it to count as behind the filter."""


def search_filtered_lists(
    parts: FaissParts, queries: Vectors, k: int, among: Selection | None, wanted_rows: int
) -> tuple[NDArray[np.float32], Rows, NDArray[np.bool_]]:
    """Return ``k`` candidates of each query from the lists nearest to it that hold kept rows.

    A fixed number of lists would hold few kept rows where the filter goes with the vectors, for
    instance none at all when a query stands among rows that are ruled out. Here lists without a
    kept row are passed over, and reading ends when those read hold ``wanted_rows`` kept ones.

    Args:
        parts: of an index with inverted lists.
        queries: ``(num_queries, width)`` as wide as the whole index.
        k: candidates wanted.
        among: the kept rows; all when ``None``.
        wanted_rows: kept rows to see.

    Returns:
        Estimated scores and row numbers, ``(num_queries, k)`` each, -1 where there is none; and
        ``(num_queries,)`` which queries stand where next to nothing is kept. Their nearest kept
        rows lie on the rim of what is ruled out, all about equally far, so that neither the order
        of lists nor quantised codes can tell them apart: compare those queries exactly.
    """
    inner = parts.lists
    queries = parts.transformed(queries)
    faiss = load_faiss()
    if among is None:
        counts, num_kept, selector = parts.list_sizes, int(inner.ntotal), None
    else:
        counts = among.counts(parts.list_numbers, int(inner.nlist))
        num_kept, selector = among.num_selected, faiss.IDSelectorBitmap(among.bitmap)
    wanted_rows = min(wanted_rows, num_kept)
    scores, lists, behind = _lists_to_read(parts, queries, counts, wanted_rows, num_kept)
    parameters = faiss.SearchParametersIVF(nprobe=lists.shape[1], sel=selector)
    estimates = np.empty((len(queries), k), np.float32)
    rows = np.empty((len(queries), k), np.int64)
    queries = np.ascontiguousarray(queries)
    # The wrapper of this name takes no parameters, so the arrays are handed over as pointers.
    inner.search_preassigned_c(
        len(queries),
        faiss.swig_ptr(queries),
        k,
        faiss.swig_ptr(lists),
        faiss.swig_ptr(scores),
        faiss.swig_ptr(estimates),
        faiss.swig_ptr(rows),
        False,
        parameters,
    )
    return estimates, rows, behind


def _lists_to_read(
    parts: FaissParts,
    queries: Vectors,
    counts: NDArray[np.int64],
    wanted_rows: int,
    num_kept: int,
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.bool_]]:
    """Return scores and numbers of the lists to read, and which queries are behind the filter.

    Lists come nearest first, as many as each query needs, -1 beyond.

    Args:
        parts: of an index with inverted lists.
        queries: as its lists take them.
        counts: ``(num_lists,)`` kept rows of each list.
        wanted_rows: kept rows to see.
        num_kept: kept rows there are.
    """
    num_lists = len(counts)
    sizes = parts.list_sizes
    share = num_kept / max(1, int(sizes.sum()))
    # Twice what an even spread would need is mostly enough; otherwise all lists are ordered.
    width = min(num_lists, 8 + 2 * wanted_rows * num_lists // max(1, num_kept))
    while True:
        scores, lists = parts.lists.quantizer.search(queries, width)
        kept = np.where(lists == NO_LIST, 0, counts[lists])
        seen = np.cumsum(kept, axis=1)
        if width == num_lists or (seen[:, -1] >= wanted_rows).all():
            break
        width = num_lists
    read = (kept > 0) & (seen - kept < wanted_rows)
    rows = np.where(lists == NO_LIST, 0, sizes[lists])
    near = np.cumsum(rows, axis=1) - rows < wanted_rows
    expected = share * (rows * near).sum(axis=1)
    behind = BEHIND * (kept * near).sum(axis=1) < expected
    # The lists to read come first, in the order they had.
    order = np.argsort(~read, axis=1, kind="stable")[:, : max(1, int(read.sum(axis=1).max()))]
    lists = np.where(read, lists, NO_LIST)
    return (
        np.ascontiguousarray(np.take_along_axis(scores, order, 1)),
        np.ascontiguousarray(np.take_along_axis(lists, order, 1)),
        behind,
    )
