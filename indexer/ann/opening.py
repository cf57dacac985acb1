"""Opening an index again, memory-mapped, or where the folder says that it lies on a server.

The files must have been checked against their recorded sha256 before they are opened: FAISS loads a
damaged index without complaint and ends the process in the middle of a search.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from encoders.errors import KindredError
from indexer.ann.edge_host import EdgePoints
from indexer.ann.exact_index import ExactIndex
from indexer.ann.faiss_index import FaissIndex
from indexer.ann.faiss_library import load_faiss
from indexer.ann.gpu_index import CPU, GpuIndex
from indexer.ann.index_entry import IndexEntry
from indexer.ann.qdrant_generation import GENERATION_FILE, read_generation
from indexer.ann.qdrant_index import Points, QdrantIndex
from indexer.ann.qdrant_points import SEARCH_PATIENCE, ServerPoints
from indexer.ann.qdrant_server import QdrantServer
from indexer.ann.vector_index import VectorIndex

FAISS_FILE = "index.faiss"
EXACT_FILE = "index.npy"
VECTORS_FILE = "vectors.npy"
EDGE_FOLDER = "qdrant"

MOST_EFFORT = 1 << 16
"""So much may be looked at however few rows there are; what tuning tries ends far below."""


@dataclass(frozen=True, slots=True)
class IndexDevice:
    """Where FAISS searches."""

    name: str = CPU
    """``cpu`` or ``cuda:N``"""

    float16: bool = False
    """On a GPU: half the memory, rounded scores."""


ON_PROCESSOR = IndexDevice()


class IndexMismatch(KindredError):
    """An index file is none, or does not hold what its entry in the manifest says."""

    code = "index_mismatch"


def open_index(
    folder: Path,
    entry: IndexEntry,
    space_id: str,
    *,
    num_threads: int = 1,
    device: IndexDevice = ON_PROCESSOR,
) -> VectorIndex:
    """Open an index for searching; its vectors stay on disk and are shared between processes.

    Args:
        folder: where its files lie.
        entry: what the manifest says about it.
        space_id: where its vectors belong.
        num_threads: threads one search uses.
        device: where FAISS searches; other engines search on the processor.

    Raises:
        ConfigError: the device is not there, or FAISS keeps no such kind of index on it.
        IndexMismatch: a file cannot be read, holds another number of rows or dimensions than
            ``entry`` says, or ``entry`` asks for more effort than there can be.
        DependencyMissing: it needs FAISS or Qdrant Edge, which is not installed.
        EdgeFailed: Qdrant Edge cannot open its files.
        QdrantServerFailed: its server does not answer, or holds something else.
    """
    _require_possible(folder, entry)
    if entry.engine == "exact":
        return ExactIndex(space_id, entry.dim, _vectors(folder / EXACT_FILE, entry))
    if entry.engine == "qdrant":
        return _qdrant_index(folder, entry, space_id)
    stored = _vectors(folder / VECTORS_FILE, entry) if entry.vectors_file else None
    index = _faiss_index(folder / FAISS_FILE, entry, space_id, num_threads, stored)
    return index if device.name == CPU else GpuIndex(index, device.name, float16=device.float16)


def _require_possible(folder: Path, entry: IndexEntry) -> None:
    """Refuse settings for which a search would take room without end."""
    most = max(entry.num_rows, MOST_EFFORT)
    for name, value in msgspec.structs.asdict(entry.search).items():
        if value is not None and value > most:
            raise IndexMismatch(
                f"{folder}: {name} is {value}, but there are {entry.num_rows} rows",
                folder=str(folder),
                expected=most,
                got=value,
            )


def _faiss_index(
    path: Path,
    entry: IndexEntry,
    space_id: str,
    num_threads: int,
    stored: NDArray[np.float16] | None,
) -> FaissIndex:
    faiss = load_faiss()
    try:
        # Of the two mapping modes only this one leaves flat and refined indexes on disk too.
        raw = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
    except (RuntimeError, MemoryError, OSError) as error:
        raise _unreadable(path, error) from error
    if (raw.ntotal, raw.d) != (entry.num_rows, entry.padded_dim):
        raise _mismatch(path, (entry.num_rows, entry.padded_dim), (raw.ntotal, raw.d))
    if raw.metric_type != faiss.METRIC_INNER_PRODUCT or not raw.is_trained:
        raise IndexMismatch(f"{path}: not a trained index of inner products", file=str(path))
    return FaissIndex(
        space_id,
        entry.dim,
        raw,
        entry.search,
        num_threads=num_threads,
        stored=stored,
        cpu_microseconds=entry.cpu_microseconds,
        read_only=True,
    )


def _qdrant_index(folder: Path, entry: IndexEntry, space_id: str) -> QdrantIndex:
    stored = _vectors(folder / VECTORS_FILE, entry)
    points: Points | None = None
    if (folder / GENERATION_FILE).exists():
        server = QdrantServer(read_generation(folder), SEARCH_PATIENCE)
        points = ServerPoints(server, entry.num_rows)
    elif entry.num_rows:
        points = EdgePoints(folder / EDGE_FOLDER, entry.dim, entry.num_rows)
    return QdrantIndex(space_id, entry, points, stored)


def _vectors(path: Path, entry: IndexEntry) -> NDArray[np.float16]:
    # A file without rows has nothing to map.
    try:
        vectors = np.load(path, mmap_mode="r" if entry.num_rows else None, allow_pickle=False)
    except Exception as error:  # the header is read by Python's own tokenizer and parser, too
        raise _unreadable(path, error) from error
    if not (isinstance(vectors, np.ndarray) and vectors.dtype == np.float16):
        raise IndexMismatch(f"{path}: not an array of float16", file=str(path))
    if not vectors.flags.c_contiguous:
        raise IndexMismatch(f"{path}: its rows do not lie one after another", file=str(path))
    if vectors.shape != (entry.num_rows, entry.dim):
        raise _mismatch(path, (entry.num_rows, entry.dim), vectors.shape)
    found: NDArray[np.float16] = vectors
    return found


def _unreadable(path: Path, error: Exception) -> IndexMismatch:
    reason = (str(error).splitlines() or [type(error).__name__])[-1]
    return IndexMismatch(f"{path}: cannot be read: {reason}", file=str(path))


def _mismatch(path: Path, expected: tuple[int, ...], got: tuple[int, ...]) -> IndexMismatch:
    return IndexMismatch(
        f"{path}: expected {expected[0]} rows of {expected[1]} dimensions, "
        f"got {got[0]} of {got[1]}",
        file=str(path),
        expected=list(expected),
        got=[int(number) for number in got],
    )
