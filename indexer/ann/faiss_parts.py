"""What a FAISS index is made of: transforms, a refinement, and the index that finds candidates."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from encoders.space import Vectors
from indexer.ann.faiss_library import load_faiss
from indexer.ann.index_entry import SearchSettings


class FaissParts:
    """A FAISS index, taken apart once; each part is downcast to its own class.

    Args:
        index: whatever `index_factory` or `read_index` returned. It owns the parts and is kept.
    """

    def __init__(self, index: Any) -> None:
        faiss = load_faiss()
        self._owner = index
        self.outer: Any = faiss.downcast_index(index)
        self.transforms: list[Any] = []
        self.refinement: Any = None
        """What candidates are compared with again; ``None`` without one."""

        inner = self.outer
        while isinstance(inner, faiss.IndexPreTransform | faiss.IndexRefine):
            if isinstance(inner, faiss.IndexRefine):
                self.refinement = faiss.downcast_index(inner.refine_index)
                inner = faiss.downcast_index(inner.base_index)
            else:
                self.transforms += [inner.chain.at(i) for i in range(inner.chain.size())]
                inner = faiss.downcast_index(inner.index)
        self.inner: Any = inner
        """The index that finds candidates."""

        self.lists: Any = inner if isinstance(inner, faiss.IndexIVF) else None
        self.graph: Any = inner if isinstance(inner, faiss.IndexHNSW) else None
        self.exact = isinstance(self.outer, faiss.IndexFlat)
        self.refines = isinstance(self.outer, faiss.IndexRefine)
        self.keeps_vectors = isinstance(self.outer, faiss.IndexFlat | faiss.IndexRefineFlat)

    @cached_property
    def flat(self) -> Any:
        """The unchanged float32 vectors as a flat index inside this one; ``None`` without them."""
        faiss = load_faiss()
        if self.keeps_vectors:
            return self.outer if self.exact else self.refinement
        if isinstance(self.outer, faiss.IndexHNSWFlat):
            return faiss.downcast_index(self.outer.storage)
        return None

    @cached_property
    def list_sizes(self) -> NDArray[np.int64]:
        """How many rows each inverted list holds: ``(num_lists,)``."""
        stored = self.lists.invlists
        return np.array([stored.list_size(number) for number in range(self.lists.nlist)], np.int64)

    @cached_property
    def list_numbers(self) -> NDArray[np.int32]:
        """The inverted list of each row: ``(num_rows,)``."""
        faiss = load_faiss()
        numbers = np.empty(self.lists.ntotal, np.int32)
        stored = self.lists.invlists
        for number in range(self.lists.nlist):
            size = stored.list_size(number)
            if size:
                numbers[faiss.rev_swig_ptr(stored.get_ids(number), size)] = number
        return numbers

    def transformed(self, queries: Vectors) -> Vectors:
        """Return queries as the inner index takes them."""
        for transform in self.transforms:
            queries = transform.apply(queries)
        return queries

    def parameters(self, settings: SearchSettings, k: int, selector: Any = None) -> Any:
        """Return FAISS's own parameter object for a search of ``k`` rows."""
        return self._parameters(self.outer, settings, k, selector)

    def _parameters(self, index: Any, settings: SearchSettings, k: int, selector: Any) -> Any:
        faiss = load_faiss()
        index = faiss.downcast_index(index)
        if isinstance(index, faiss.IndexPreTransform):
            inner = self._parameters(index.index, settings, k, selector)
            return faiss.SearchParametersPreTransform(index_params=inner) if inner else None
        if isinstance(index, faiss.IndexRefine):
            inner = self._parameters(index.base_index, settings, k, selector)
            return faiss.IndexRefineSearchParameters(
                k_factor=k_factor_for(k, settings.k_factor or 1), base_index_params=inner
            )
        if isinstance(index, faiss.IndexIVF):
            nprobe = max(settings.nprobe or index.nprobe, self._lists_for(k))
            return faiss.SearchParametersIVF(nprobe=nprobe, sel=selector)
        if isinstance(index, faiss.IndexHNSW):
            ef_search = max(settings.ef_search or index.hnsw.efSearch, k)
            return faiss.SearchParametersHNSW(efSearch=ef_search, sel=selector)
        return None if selector is None else faiss.SearchParameters(sel=selector)

    def _lists_for(self, k: int) -> int:
        """Return how many lists hold about twice ``k`` rows."""
        num_lists = int(self.lists.nlist)
        return min(num_lists, -(-2 * k * num_lists // max(1, int(self.lists.ntotal))))


TUNED_K = 10
"""Settings are tuned for so many neighbours."""

K_FACTOR_BEYOND = 4.0


def k_factor_for(k: int, tuned: int) -> float:
    """Return how many candidates per neighbour to compare again when ``k`` are wanted.

    As many candidates as were tuned for are always compared, which keeps the recall of the first
    10; a long answer does not need that many for each of its rows.
    """
    return max(tuned * TUNED_K / k, min(float(tuned), K_FACTOR_BEYOND), 1.0)
