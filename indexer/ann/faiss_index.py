"""Search with FAISS, in this process."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from encoders.space import Vectors
from indexer.ann.exact_index import ExactIndex
from indexer.ann.faiss_library import faiss_build, load_faiss
from indexer.ann.index_entry import SearchSettings
from indexer.ann.vector_index import (
    NO_ROW,
    Neighbors,
    Rows,
    Selection,
    check_new_rows,
    check_queries,
    nearest,
    no_neighbors,
)

__all__ = ["FaissIndex", "faiss_build", "load_faiss"]

EXACT_SURVIVORS = 5_000
"""Up to so many rows left by a filter, comparing with each is faster than an approximate index and
finds all of them.
"""


class FaissIndex:
    """A FAISS index of inner products over unit rows.

    Args:
        space_id: which vectors it holds.
        dim: their length; the index itself may be wider, the rest is zeros.
        index: a FAISS index.
        settings: how hard to look.
        num_threads: threads one call uses.
        stored: the vectors, for kinds of index that cannot give them back.
        read_only: refuse `add`: FAISS aborts the process when a memory-mapped index is added to.
    """

    def __init__(
        self,
        space_id: str,
        dim: int,
        index: Any,
        settings: SearchSettings | None = None,
        *,
        num_threads: int = 1,
        stored: NDArray[np.float16] | None = None,
        read_only: bool = False,
    ) -> None:
        self._faiss = load_faiss()
        self.space_id = space_id
        self.dim = dim
        # The downcast object is another name for the same memory, which the original owns.
        self._owner = index
        self.index = self._faiss.downcast_index(index)
        self.settings = settings or SearchSettings()
        self._num_threads = num_threads
        self._stored = None if self.keeps_vectors else stored
        self._read_only = read_only

    @property
    def num_rows(self) -> int:
        """How many rows it holds."""
        return int(self.index.ntotal)

    @property
    def exact(self) -> bool:
        """Whether it compares a query with every row."""
        return isinstance(self.index, self._faiss.IndexFlat)

    @property
    def keeps_vectors(self) -> bool:
        """Whether the index can give back the vectors that were added, unchanged."""
        return isinstance(self.index, self._faiss.IndexFlat | self._faiss.IndexRefineFlat)

    @property
    def refines(self) -> bool:
        """Whether candidates are compared again with their full vectors."""
        return isinstance(self.index, self._faiss.IndexRefine)

    @property
    def num_lists(self) -> int | None:
        """How many inverted lists there are; ``None`` for other kinds of index."""
        inner = self._innermost
        return int(inner.nlist) if isinstance(inner, self._faiss.IndexIVF) else None

    @property
    def walks_graph(self) -> bool:
        """Whether it is an HNSW graph."""
        return isinstance(self._innermost, self._faiss.IndexHNSW)

    def add(self, rows: Rows, vectors: Vectors) -> None:
        """Append vectors; the index must be trained.

        Raises:
            ValueError: the index was opened from a file, or the rows do not continue it.
        """
        if self._read_only:
            raise ValueError("an index opened from a file cannot be added to")
        check_new_rows(rows, vectors, self.num_rows, self.dim)
        self._use_threads()
        self.index.add(self.padded(vectors))

    def train(self, vectors: Vectors) -> None:
        """Let the index learn its quantisers from ``(num_rows, dim)`` vectors."""
        if self.num_lists is not None:
            # FAISS warns on stderr below 39 per list; how well it learned is measured afterwards.
            self._innermost.cp.min_points_per_centroid = 1
        self._use_threads()
        self.index.train(self.padded(vectors))

    def search(
        self,
        queries: Vectors,
        k: int,
        *,
        among: Selection | None = None,
        settings: SearchSettings | None = None,
    ) -> Neighbors:
        """Return the ``k`` nearest rows of each query.

        Args:
            queries: ``(num_queries, dim)`` float32.
            k: at least 1.
            among: the rows that may be returned; all when ``None``.
            settings: instead of the index's own, while tuning.

        Raises:
            BadQuery: the queries have the wrong shape or hold NaN, or ``k`` is below 1.
        """
        queries = check_queries(queries, self.dim, k)
        if among is not None and among.num_selected == self.num_rows:
            among = None
        available = self.num_rows if among is None else among.num_selected
        if available == 0 or len(queries) == 0:
            return no_neighbors(len(queries), k)
        if among is not None and not self.exact and self._prefers_exact(among):
            return self._search_exactly(queries, k, among)
        settings = settings or self.settings
        selector = None if among is None else self._faiss.IDSelectorBitmap(among.bitmap)
        if selector is not None:
            settings = self._widened(settings, available)
        found = self._search(queries, k, settings, selector)
        # The lists that were read may hold fewer than k rows although there are more elsewhere.
        short = (found.rows[:, min(k, available) - 1] == NO_ROW).nonzero()[0]
        if len(short) and settings.nprobe is not None:
            everything = SearchSettings(nprobe=self.num_lists, k_factor=settings.k_factor)
            again = self._search(queries[short], k, everything, selector)
            found.rows[short], found.scores[short] = again.rows, again.scores
        return found

    def vectors(self, rows: Rows) -> Vectors:
        """Return the vectors of ``rows``: ``(len(rows), dim)`` float32."""
        rows = np.ascontiguousarray(rows, dtype=np.int64)
        if len(rows) and not (rows.min() >= 0 and rows.max() < self.num_rows):
            raise ValueError(
                f"rows must be in [0, {self.num_rows}), got {rows.min()}..{rows.max()}"
            )
        if self._stored is not None:
            return self._stored[rows].astype(np.float32)
        if not len(rows):
            return np.empty((0, self.dim), np.float32)
        vectors: Vectors = self.index.reconstruct_batch(rows)[:, : self.dim]
        return np.ascontiguousarray(vectors)

    def write(self, path: Path) -> None:
        """Write the index to a file; whoever calls makes it durable."""
        self._faiss.write_index(self.index, str(path))

    def padded(self, vectors: Vectors) -> Vectors:
        """Return vectors as wide as the index, float32."""
        missing = self.index.d - self.dim
        vectors = vectors.astype(np.float32, copy=False)
        return np.ascontiguousarray(np.pad(vectors, ((0, 0), (0, missing))) if missing else vectors)

    def _search(
        self, queries: Vectors, k: int, settings: SearchSettings, selector: Any
    ) -> Neighbors:
        self._use_threads()
        parameters = self._parameters(self.index, settings, selector)
        scores, rows = self.index.search(self.padded(queries), k, params=parameters)
        return nearest(rows, scores, k)

    def _search_exactly(self, queries: Vectors, k: int, among: Selection) -> Neighbors:
        rows = among.rows
        found = ExactIndex(self.space_id, self.dim, self.vectors(rows)).search(queries, k)
        return Neighbors(np.where(found.rows == NO_ROW, NO_ROW, rows[found.rows]), found.scores)

    def _prefers_exact(self, among: Selection) -> bool:
        return among.num_selected <= EXACT_SURVIVORS or not self._takes_selection

    @cached_property
    def _takes_selection(self) -> bool:
        everything = self._faiss.IDSelectorBitmap(
            Selection(np.ones(self.num_rows, dtype=np.bool_)).bitmap
        )
        try:
            self._search(np.zeros((1, self.dim), np.float32), 1, self.settings, everything)
        except RuntimeError:
            # Some kinds, PQ fast-scan without inverted lists for one, refuse every selection.
            return False
        return True

    @cached_property
    def _innermost(self) -> Any:
        """The index that finds candidates, without transforms before it or refinement after."""
        index = self.index
        while isinstance(index, self._faiss.IndexPreTransform | self._faiss.IndexRefine):
            refines = isinstance(index, self._faiss.IndexRefine)
            index = self._faiss.downcast_index(index.base_index if refines else index.index)
        return index

    def _widened(self, settings: SearchSettings, available: int) -> SearchSettings:
        """Read more lists where a filter leaves few rows in each."""
        if settings.nprobe is None or self.num_lists is None:
            return settings
        factor = (self.num_rows / available) ** 0.5
        nprobe = min(self.num_lists, int(np.ceil(settings.nprobe * factor)))
        return SearchSettings(nprobe=nprobe, k_factor=settings.k_factor)

    def _parameters(self, index: Any, settings: SearchSettings, selector: Any) -> Any:
        """Return FAISS's own parameter object for an index and what is nested in it."""
        faiss = self._faiss
        index = faiss.downcast_index(index)
        if isinstance(index, faiss.IndexPreTransform):
            inner = self._parameters(index.index, settings, selector)
            return faiss.SearchParametersPreTransform(index_params=inner) if inner else None
        if isinstance(index, faiss.IndexRefine):
            inner = self._parameters(index.base_index, settings, selector)
            return faiss.IndexRefineSearchParameters(
                k_factor=settings.k_factor or 1, base_index_params=inner
            )
        if isinstance(index, faiss.IndexIVF):
            return faiss.SearchParametersIVF(nprobe=settings.nprobe or index.nprobe, sel=selector)
        if isinstance(index, faiss.IndexHNSW):
            ef_search = settings.ef_search or index.hnsw.efSearch
            return faiss.SearchParametersHNSW(efSearch=ef_search, sel=selector)
        return None if selector is None else faiss.SearchParameters(sel=selector)

    def _use_threads(self) -> None:
        # OpenMP keeps this number per calling thread, so setting it once elsewhere is no use.
        self._faiss.omp_set_num_threads(self._num_threads)
