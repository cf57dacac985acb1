"""Kindred's index as a server opens it, and the libraries it is compared with, behind one face."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from encoders.space import Vectors
from indexer.ann.building import build_index
from indexer.ann.faiss_index import FaissIndex
from indexer.ann.index_entry import SearchSettings
from indexer.ann.opening import FAISS_FILE, VECTORS_FILE, open_index
from indexer.ann.vector_index import NO_ROW, Rows, VectorIndex
from indexer.config import IndexConfig

Setting: TypeAlias = dict[str, int]
"""Search parameters by name; empty for an engine's own."""

SPACE = "benchmark"
LINKS = 16
EF_CONSTRUCTION = 200
"""Graphs of all peers are made alike, as hnswlib's own defaults are."""

EF_SEARCH = (
    *(10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128),
    *(160, 192, 224, 256, 320, 384, 448, 512, 640, 768, 1024),
)
INSTALL_EXTRA = "pip install 'kindred-search[ann-peers]'"


class Engine(Protocol):
    """A built index that can be asked."""

    name: str

    def ladder(self) -> Sequence[Sequence[Setting]]:
        """Return what to try: rows of settings, each from cheap to dear."""
        ...

    def search(self, queries: Vectors, k: int, setting: Setting) -> Rows:
        """Return ``(num_queries, k)`` row numbers, with one thread; -1 where there is none."""
        ...


class KindredIndex:
    """What ``kindred reindex`` builds and a server opens: written, memory-mapped, own settings.

    Args:
        stored: ``(num_rows, dim)`` float16
        folder: where its files go.
        config: engine, factory and recall to reach; a collection's defaults when not given.
    """

    def __init__(
        self, stored: NDArray[np.float16], folder: Path, config: IndexConfig | None = None
    ) -> None:
        built = build_index(stored, SPACE, config or IndexConfig())
        folder.mkdir(parents=True, exist_ok=True)
        built.write(folder / FAISS_FILE)
        if built.entry.vectors_file:
            np.save(folder / VECTORS_FILE, stored)
        self.entry = built.entry
        self.recall_when_built = built.recall_at_10
        del built
        self.index: VectorIndex = open_index(folder, self.entry, SPACE)
        self.name = f"kindred {config.factory if config else 'auto'}"

    def ladder(self) -> Sequence[Sequence[Setting]]:
        """Return settings around those that it was tuned with; its own is the empty one."""
        index = self.index
        if not isinstance(index, FaissIndex) or index.exact:
            return [[{}]]
        factors = [{"k_factor": n} for n in (2, 4, 8, 16, 32)] if index.refines else [{}]
        if index.num_lists is not None:
            probes = [n for n in _NPROBE if n <= index.num_lists]
            return [[{"nprobe": probe} | factor for factor in factors] for probe in probes]
        if index.walks_graph:
            return [[{"ef_search": ef} | factor for factor in factors] for ef in EF_SEARCH]
        return [factors]

    def search(self, queries: Vectors, k: int, setting: Setting) -> Rows:
        """Search as a server does; an empty ``setting`` leaves the index its own."""
        if not setting:
            return self.index.search(queries, k).rows
        assert isinstance(self.index, FaissIndex)
        self.index.settings = SearchSettings(**setting)
        try:
            return self.index.search(queries, k).rows
        finally:
            self.index.settings = self.entry.search


_NPROBE = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)


class _Hnswlib:
    name = "hnswlib"

    def __init__(self, vectors: Vectors, folder: Path) -> None:
        library = importlib.import_module("hnswlib")
        self._index = library.Index(space="ip", dim=vectors.shape[1])
        path = folder / "index.bin"
        if path.is_file():
            self._index.load_index(str(path), max_elements=len(vectors))
        else:
            self._index.init_index(len(vectors), ef_construction=EF_CONSTRUCTION, M=LINKS)
            self._index.add_items(vectors, num_threads=1)
            self._index.save_index(str(path))

    def ladder(self) -> Sequence[Sequence[Setting]]:
        return [_widths()]

    def search(self, queries: Vectors, k: int, setting: Setting) -> Rows:
        self._index.set_ef(setting["ef"])
        rows: Rows = self._index.knn_query(queries, k, num_threads=1)[0].astype(np.int64)
        return rows


class _Usearch:
    name = "usearch f16"

    def __init__(self, vectors: Vectors, folder: Path) -> None:
        library = importlib.import_module("usearch.index")
        # The rows are float16 already, so its half-size graph loses nothing.
        self._index = library.Index(
            ndim=vectors.shape[1],
            metric="ip",
            dtype="f16",
            connectivity=LINKS,
            expansion_add=EF_CONSTRUCTION,
        )
        path = folder / "index.usearch"
        if path.is_file():
            self._index.load(str(path))
        else:
            self._index.add(np.arange(len(vectors)), vectors, threads=1)
            self._index.save(str(path))

    def ladder(self) -> Sequence[Sequence[Setting]]:
        return [_widths()]

    def search(self, queries: Vectors, k: int, setting: Setting) -> Rows:
        self._index.expansion_search = setting["ef"]
        found = self._index.search(queries, k, threads=1).keys
        return np.atleast_2d(found).astype(np.int64)


class _Voyager:
    name = "voyager"

    def __init__(self, vectors: Vectors, folder: Path) -> None:
        library = importlib.import_module("voyager")
        path = folder / "index.voy"
        if path.is_file():
            self._index = library.Index.load(str(path))
            return
        # Of unit rows the cosine is the inner product, without the extra dimension that its
        # space of inner products adds.
        self._index = library.Index(
            library.Space.Cosine,
            vectors.shape[1],
            M=LINKS,
            ef_construction=EF_CONSTRUCTION,
            max_elements=len(vectors),
        )
        self._index.add_items(vectors, num_threads=1)
        self._index.save(str(path))

    def ladder(self) -> Sequence[Sequence[Setting]]:
        return [_widths()]

    def search(self, queries: Vectors, k: int, setting: Setting) -> Rows:
        found, _ = self._index.query(queries, k, num_threads=1, query_ef=setting["ef"])
        rows: Rows = found.astype(np.int64)
        return rows


class _QdrantEdge:
    name = "qdrant-edge"
    POINTS_PER_CALL = 4_096

    def __init__(self, vectors: Vectors, folder: Path) -> None:
        self._library: Any = importlib.import_module("qdrant_edge")
        path = folder / "shard"
        made = folder / "complete"
        if made.is_file():
            self._shard = self._library.EdgeShard.load(str(path))
            return
        path.mkdir()
        self._shard = self._library.EdgeShard.create(str(path), self._config(vectors.shape[1]))
        for start in range(0, len(vectors), self.POINTS_PER_CALL):
            block = vectors[start : start + self.POINTS_PER_CALL]
            points = [
                self._library.Point(start + number, row, None) for number, row in enumerate(block)
            ]
            self._shard.update(self._library.UpdateOperation.upsert_points(points))
        self._shard.optimize()
        self._shard.flush()
        made.touch()

    def _config(self, dim: int) -> Any:
        library = self._library
        graph = library.HnswIndexConfig(
            m=LINKS, ef_construct=EF_CONSTRUCTION, full_scan_threshold=10, max_indexing_threads=1
        )
        return library.EdgeConfig(
            vectors=library.EdgeVectorParams(dim, library.Distance.Dot, hnsw_config=graph),
            # One graph over everything, as the others have it, however little that is.
            optimizers=library.EdgeOptimizersConfig(default_segment_number=1, indexing_threshold=1),
            max_search_threads=1,
            wal_enabled=False,
        )

    def ladder(self) -> Sequence[Sequence[Setting]]:
        return [_widths()]

    def search(self, queries: Vectors, k: int, setting: Setting) -> Rows:
        library = self._library
        parameters = library.SearchParams(hnsw_ef=setting["ef"])
        requests = [
            library.QueryRequest(
                limit=k, query=library.Query.Nearest(query), params=parameters, with_payload=False
            )
            for query in queries
        ]
        if len(requests) == 1:
            answers = [self._shard.query(requests[0])]
        else:
            answers = self._shard.query_batch(library.QueryBatchRequest(requests))
        rows = np.full((len(queries), k), NO_ROW, np.int64)
        for row, answer in zip(rows, answers, strict=True):
            row[: len(answer)] = [point.id for point in answer]
        return rows


def _widths() -> list[Setting]:
    return [{"ef": width} for width in EF_SEARCH]


PEERS: dict[str, Callable[[Vectors, Path], Engine]] = {
    "hnswlib": _Hnswlib,
    "usearch": _Usearch,
    "voyager": _Voyager,
    "qdrant-edge-py": _QdrantEdge,
}
"""By the distribution that has to be installed; each is opened again where its folder holds it."""


def installed(wanted: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Return the versions of the distributions that are here, and the names of those missing."""
    versions: dict[str, str] = {}
    for name in wanted:
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions, [name for name in wanted if name not in versions]
