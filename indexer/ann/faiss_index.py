"""Search with FAISS, in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from encoders.space import Vectors
from indexer.ann.exact_index import search_rows
from indexer.ann.faiss_library import faiss_build, load_faiss
from indexer.ann.faiss_parts import FaissParts, k_factor_for
from indexer.ann.filter_plan import COMPARED_AGAIN, FilterPlan
from indexer.ann.filtered_graph import search_filtered_graph
from indexer.ann.filtered_lists import search_filtered_lists
from indexer.ann.half_precision import as_float32
from indexer.ann.index_entry import SearchSettings
from indexer.ann.vector_index import (
    NO_ROW,
    Neighbors,
    Rows,
    SearchMode,
    Selection,
    check_new_rows,
    check_queries,
    nearest,
    no_neighbors,
)
from indexer.durable_files import naming

__all__ = ["FaissIndex", "faiss_build", "load_faiss"]

FEW_QUERIES = 4
"""Up to so many queries are compared with scattered rows one by one; more share a copy of them."""

MAX_KEPT_PARAMETERS = 64
BYTES_PER_WRITE = 1 << 20


class FaissIndex:
    """A FAISS index of inner products over unit rows.

    Args:
        space_id: which vectors it holds.
        dim: their length; the index itself may be wider, the rest is zeros.
        index: a FAISS index.
        settings: how hard to look.
        num_threads: threads one call uses.
        stored: the vectors, for kinds of index that cannot give them back.
        cpu_microseconds: what one query costs with these settings, if that was measured.
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
        cpu_microseconds: float | None = None,
        read_only: bool = False,
    ) -> None:
        self._faiss = load_faiss()
        self.space_id = space_id
        self.dim = dim
        self._parts = FaissParts(index)
        self.index = self._parts.outer
        self._width = int(self.index.d)
        self.settings = settings or SearchSettings()
        self.num_threads = num_threads
        self.cpu_microseconds = cpu_microseconds
        self._stored = None if self._parts.keeps_vectors else stored
        self._read_only = read_only
        self._takes_selection: bool | None = None
        self._kept_parameters: dict[tuple[SearchSettings, int], Any] = {}

    @property
    def num_rows(self) -> int:
        """How many rows it holds."""
        return int(self.index.ntotal)

    @property
    def exact(self) -> bool:
        """Whether it compares a query with every row."""
        return self._parts.exact

    @property
    def keeps_vectors(self) -> bool:
        """Whether the index can give back the vectors that were added, unchanged."""
        return self._parts.keeps_vectors

    @property
    def refines(self) -> bool:
        """Whether candidates are compared again with their full vectors."""
        return self._parts.refinement is not None

    @property
    def num_lists(self) -> int | None:
        """How many inverted lists there are; ``None`` for other kinds of index."""
        return None if self._parts.lists is None else int(self._parts.lists.nlist)

    @property
    def walks_graph(self) -> bool:
        """Whether it is an HNSW graph."""
        return self._parts.graph is not None

    @property
    def full_effort(self) -> SearchSettings:
        """The settings with which nothing is left out: all lists, the whole graph, every row."""
        return SearchSettings(
            nprobe=self.num_lists,
            k_factor=max(1, self.num_rows) if self.refines else None,
            ef_search=max(1, self.num_rows) if self.walks_graph else None,
        )

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
        if self._parts.lists is not None:
            # FAISS warns on stderr below 39 per list; how well it learned is measured afterwards.
            self._parts.lists.cp.min_points_per_centroid = 1
        self._use_threads()
        self.index.train(self.padded(vectors))

    def search(self, queries: Vectors, k: int, *, among: Selection | None = None) -> Neighbors:
        """Return the ``k`` nearest rows of each query.

        Args:
            queries: ``(num_queries, dim)`` float32.
            k: at least 1.
            among: the rows that may be returned; all when ``None``.

        Raises:
            BadQuery: the queries have the wrong shape or hold NaN, or ``k`` is below 1.
        """
        queries = check_queries(queries, self.dim, k)
        num_rows = self.num_rows
        if among is not None and among.num_selected == num_rows:
            among = None
        available = num_rows if among is None else among.num_selected
        if available == 0 or len(queries) == 0:
            return no_neighbors(len(queries), k)
        if self.exact:
            return self._search_flat(self.index, queries, k, among)
        if among is None:
            return self._completed(self._search(queries, k), queries, k)
        plan = self._plan
        if plan.prefers_exact(among.num_selected, k, len(queries)):
            return self._search_exactly(queries, k, among)
        if self._parts.graph is not None:
            return search_filtered_graph(
                plan, queries, k, among, walk=self._search, compare=self._search_exactly
            )
        if self._parts.lists is not None:
            return self._search_lists(queries, k, among)
        if not self._selectable():
            return self._search_exactly(queries, k, among)
        return self._search(queries, k, self._faiss.IDSelectorBitmap(among.bitmap))

    def vectors(self, rows: Rows) -> Vectors:
        """Return the vectors of ``rows``: ``(len(rows), dim)`` float32."""
        rows = np.ascontiguousarray(rows, dtype=np.int64)
        if len(rows) and not (rows.min() >= 0 and rows.max() < self.num_rows):
            raise ValueError(
                f"rows must be in [0, {self.num_rows}), got {rows.min()}..{rows.max()}"
            )
        if self._stored is not None:
            return as_float32(self._stored[rows])
        if not len(rows):
            return np.empty((0, self.dim), np.float32)
        vectors: Vectors = self.index.reconstruct_batch(rows)[:, : self.dim]
        return np.ascontiguousarray(vectors)

    def write(self, path: Path) -> None:
        """Write the index to a file; whoever calls makes it durable.

        Raises:
            OSError: naming the file.
        """
        # Given a path, FAISS only prints that the last few KB could not be written, and what a full
        # disk cut short looks complete.
        with naming(path), path.open("wb", buffering=BYTES_PER_WRITE) as file:
            writer = self._faiss.PyCallbackIOWriter(file.write)
            self._faiss.write_index(self.index, writer)

    def padded(self, vectors: Vectors) -> Vectors:
        """Return vectors as wide as the index, float32."""
        missing = self._width - self.dim
        vectors = vectors.astype(np.float32, copy=False)
        return np.ascontiguousarray(np.pad(vectors, ((0, 0), (0, missing))) if missing else vectors)

    def _search(self, queries: Vectors, k: int, selector: Any = None) -> Neighbors:
        self._use_threads()
        parameters = self._parameters(k, selector)
        scores, rows = self.index.search(self.padded(queries), k, params=parameters)
        return nearest(rows, scores, k)

    def _parameters(self, k: int, selector: Any) -> Any:
        if selector is not None:
            return self._parts.parameters(self.settings, k, selector)
        # Making FAISS's parameter objects anew takes as long as a small search.
        key = (self.settings, k)
        if key not in self._kept_parameters:
            if len(self._kept_parameters) >= MAX_KEPT_PARAMETERS:
                self._kept_parameters.clear()
            self._kept_parameters[key] = self._parts.parameters(*key)
        return self._kept_parameters[key]

    def _search_flat(
        self, flat: Any, queries: Vectors, k: int, among: Selection | None
    ) -> Neighbors:
        """Compare with the unchanged vectors that lie in the index."""
        if among is not None and len(queries) > FEW_QUERIES:
            return self._search_exactly(queries, k, among)
        self._use_threads()
        parameters = None
        if among is not None:
            parameters = self._faiss.SearchParameters(sel=self._faiss.IDSelectorArray(among.rows))
        scores, rows = flat.search(self.padded(queries), k, params=parameters)
        return nearest(rows, scores, k, mode="exact")

    def _search_exactly(self, queries: Vectors, k: int, among: Selection | None) -> Neighbors:
        """Compare with every row that may be returned."""
        mode: SearchMode = "exact" if self.exact else "exact_filtered"
        flat = self._parts.flat
        if flat is not None and len(queries) <= FEW_QUERIES:
            found = self._search_flat(flat, queries, k, among)
        else:
            rows = np.arange(self.num_rows) if among is None else among.rows
            found = search_rows(queries, k, rows, self.vectors)
        return Neighbors(found.rows, found.scores, mode)

    def _search_lists(self, queries: Vectors, k: int, among: Selection | None) -> Neighbors:
        """Read lists until they held enough rows that may be returned."""
        self._use_threads()
        factor = k_factor_for(k, self.settings.k_factor or 1) if self.refines else 1.0
        available = self.num_rows if among is None else among.num_selected
        if among is not None:
            factor *= COMPARED_AGAIN
        num_candidates = min(int(k * factor), available)
        scores, rows, behind = search_filtered_lists(
            self._parts,
            self.padded(queries),
            max(k, num_candidates),
            among,
            self._plan.rows_to_read(k),
        )
        found = self._refined(queries, rows, k) if self.refines else nearest(rows, scores, k)
        if among is None or not behind.any():
            return found
        exact = self._search_exactly(queries[behind], k, among)
        found.rows[behind], found.scores[behind] = exact.rows, exact.scores
        return Neighbors(found.rows, found.scores, exact.mode if behind.all() else found.mode)

    def _refined(self, queries: Vectors, rows: Rows, k: int) -> Neighbors:
        """Order candidates by their scores with the full vectors."""
        scores = np.full(rows.shape, -np.inf, np.float32)
        for number, query in enumerate(queries):
            found = np.flatnonzero(rows[number] != NO_ROW)
            scores[number, found] = self.vectors(rows[number, found]) @ query
        return nearest(rows, scores, k)

    def _completed(self, found: Neighbors, queries: Vectors, k: int) -> Neighbors:
        """Look further where fewer rows were found than there are."""
        last = found.rows[:, min(k, self.num_rows) - 1]
        if last.min() == NO_ROW:
            short = np.flatnonzero(last == NO_ROW)
            look = self._search_lists if self._parts.lists is not None else self._search_exactly
            more = look(queries[short], k, None)
            found.rows[short], found.scores[short] = more.rows, more.scores
        return found

    @property
    def _plan(self) -> FilterPlan:
        lists, graph, settings = self._parts.lists, self._parts.graph, self.settings
        return FilterPlan(
            self.num_rows,
            self.dim,
            self.cpu_microseconds,
            None if lists is None else (settings.nprobe or int(lists.nprobe)) / int(lists.nlist),
            None if graph is None else settings.ef_search or int(graph.hnsw.efSearch),
        )

    def _selectable(self) -> bool:
        """Tell whether this kind takes a selection; PQ fast-scan without lists does not."""
        if self._takes_selection is None:
            everything = Selection(np.ones(self.num_rows, dtype=np.bool_)).bitmap
            try:
                self._search(
                    np.zeros((1, self.dim), np.float32), 1, self._faiss.IDSelectorBitmap(everything)
                )
            except RuntimeError:
                self._takes_selection = False
            else:
                self._takes_selection = True
        return self._takes_selection

    def _use_threads(self) -> None:
        # OpenMP keeps this number per calling thread, so setting it once elsewhere is no use.
        self._faiss.omp_set_num_threads(self.num_threads)
