"""Making an index from stored vectors: which kind, trained, filled, and tuned to a recall."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import sqrt
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from encoders.errors import ConfigError
from indexer.ann.exact_index import ExactIndex
from indexer.ann.faiss_index import FaissIndex
from indexer.ann.faiss_library import load_faiss
from indexer.ann.index_entry import CurvePoint, IndexEntry, SearchSettings
from indexer.ann.vector_index import VectorIndex
from indexer.config import IndexConfig
from indexer.recall import RecallSample, held_out_rows, recall, recall_sample

FLAT_BELOW_ROWS = 20_000
"""Where ``auto`` changes from comparing with every row to inverted lists."""

ROWS_PER_BLOCK = 16_384
TRAINING_ROWS_PER_LIST = 64
MIN_TRAINING_ROWS = 20_000
MAX_TRAINING_ROWS = 1_000_000
NUM_HELD_OUT = 512

MIN_ROWS_WITHOUT_HELD_OUT = 4 * NUM_HELD_OUT
"""Below this the held-out rows are trained with too: there is too little else to learn from."""

K_FACTORS = (4, 8, 16, 32, 64)

# A larger k_factor that gains less than this is not worth its cost: the lists read are the limit.
WORTHWHILE_GAIN = 0.002


@dataclass(frozen=True, slots=True, eq=False)
class BuiltIndex:
    """An index that is ready to be written."""

    index: VectorIndex
    entry: IndexEntry

    recall_at_10: float | None
    """Against exact search, on rows not tuned with, and not trained with unless there are few;
    ``None`` below two rows.
    """

    def write(self, path: Path) -> None:
        """Write a FAISS index to a file; the exact engine searches the vectors' own file."""
        if isinstance(self.index, FaissIndex):
            self.index.write(path)


def chosen_factory(factory: str, num_rows: int, dim: int) -> str:
    """Return the FAISS factory string for a channel; ``auto`` depends on its size.

    An empty channel is flat: no other kind can be trained with nothing.
    """
    if num_rows == 0:
        return "Flat"
    if factory != "auto":
        return factory
    if num_rows < FLAT_BELOW_ROWS:
        return "Flat"
    # Residuals from the list's centre ("r") cost nothing in speed and double what four bits say.
    num_lists = round(4 * sqrt(num_rows))
    return f"IVF{num_lists},PQ{padded_dim(dim) // 4}x4fsr,RFlat"


def padded_dim(dim: int) -> int:
    """Return ``dim`` rounded up to a multiple of 8."""
    return -(-dim // 8) * 8


def width(factory: str, dim: int) -> int:
    """Return how many dimensions an index needs: quantisers work on groups of 8."""
    quantised = any(part in factory for part in ("PQ", "SQ", "RaBitQ"))
    return padded_dim(dim) if quantised else dim


def build_index(
    vectors: NDArray[np.float16],
    space_id: str,
    config: IndexConfig,
    *,
    num_threads: int = 1,
    progress: Callable[[int], None] | None = None,
) -> BuiltIndex:
    """Build one channel's index and measure it.

    Args:
        vectors: ``(num_rows, dim)`` float16 unit rows, for instance memory-mapped.
        space_id: where they belong.
        config: engine, factory string and recall to reach.
        num_threads: threads to train, add and tune with.
        progress: called with the number of rows added so far.

    Raises:
        ConfigError: FAISS does not know the factory, or cannot train it with so few rows.
    """
    num_rows, dim = vectors.shape
    held_out = held_out_rows(num_rows, NUM_HELD_OUT)
    # Every other held-out row chooses the settings, the rest says what they are worth.
    tuning = recall_sample(vectors, held_out[::2])
    judging = recall_sample(vectors, held_out[1::2] if num_rows > 2 else held_out)
    index: VectorIndex
    if config.engine == "exact":
        index = ExactIndex(space_id, dim, vectors)
        entry = IndexEntry("exact", "numpy", dim, dim, num_rows, exact=True, vectors_file=False)
        return BuiltIndex(index, entry, _measured(index, judging, vectors))
    factory = chosen_factory(config.factory, num_rows, dim)
    index = _filled(factory, vectors, space_id, held_out, num_threads, progress)
    curve = () if index.exact else tuple(_tuned(index, tuning, vectors, config.target_recall))
    if config.factory == "auto" and curve and curve[-1].recall_at_10 < config.target_recall:
        # Vectors without structure, noise for one, cannot be searched faster at this recall than
        # by comparing with each. The curve stays in the manifest and says so.
        factory = "Flat"
        index = _filled(factory, vectors, space_id, held_out, num_threads, progress)
    elif curve:
        index.settings = curve[-1].search
    entry = IndexEntry(
        engine="faiss",
        factory=factory,
        dim=dim,
        padded_dim=int(index.index.d),
        num_rows=num_rows,
        exact=index.exact,
        vectors_file=not index.keeps_vectors,
        search=index.settings,
        recall_curve=curve,
    )
    return BuiltIndex(index, entry, _measured(index, judging, vectors))


def _filled(
    factory: str,
    vectors: NDArray[np.float16],
    space_id: str,
    held_out: NDArray[np.int64],
    num_threads: int,
    progress: Callable[[int], None] | None,
) -> FaissIndex:
    num_rows, dim = vectors.shape
    faiss = load_faiss()
    try:
        raw = faiss.index_factory(width(factory, dim), factory, faiss.METRIC_INNER_PRODUCT)
    except RuntimeError as error:
        raise ConfigError(
            f"FAISS cannot make {factory!r} for {dim} dimensions: {error}", factory=factory
        ) from error
    index = FaissIndex(space_id, dim, raw, num_threads=num_threads, stored=vectors)
    if not raw.is_trained:
        num_lists = index.num_lists or 1
        wanted = max(MIN_TRAINING_ROWS, TRAINING_ROWS_PER_LIST * num_lists)
        rows = np.setdiff1d(np.arange(num_rows), held_out)
        if len(rows) < MIN_ROWS_WITHOUT_HELD_OUT:
            rows = np.arange(num_rows)
        if len(rows) > min(wanted, MAX_TRAINING_ROWS):
            picked = held_out_rows(len(rows), min(wanted, MAX_TRAINING_ROWS), seed=1)
            rows = rows[picked]
        try:
            index.train(vectors[rows].astype(np.float32))
        except RuntimeError as error:
            raise ConfigError(
                f"{num_rows} segments are too few to train {factory!r}; take the factory `auto`, "
                f"which is flat while small ({error})",
                factory=factory,
                num_rows=num_rows,
            ) from error
    for start in range(0, num_rows, ROWS_PER_BLOCK):
        block = vectors[start : start + ROWS_PER_BLOCK].astype(np.float32)
        index.add(np.arange(start, start + len(block)), block)
        if progress is not None:
            progress(start + len(block))
    return index


def _tuned(
    index: FaissIndex,
    sample: RecallSample | None,
    vectors: NDArray[np.float16],
    target_recall: float,
) -> Iterator[CurvePoint]:
    """Try settings from cheap to dear and yield each; the last one is the one to use."""
    if sample is None:
        return
    best = CurvePoint(SearchSettings(), -1.0)
    for row in _settings_grid(index):
        before = -1.0
        for settings in row:
            found = index.search(sample.queries, sample.k + 1, settings=settings)
            point = CurvePoint(settings, round(recall(sample, found, vectors), 6))
            yield point
            if point.recall_at_10 >= target_recall:
                return
            best = max(best, point, key=lambda tried: tried.recall_at_10)
            if point.recall_at_10 < before + WORTHWHILE_GAIN:
                break
            before = point.recall_at_10
    yield best


def _settings_grid(index: FaissIndex) -> Iterator[list[SearchSettings]]:
    """Yield rows of settings: lists or graph width doubles from row to row, k_factor inside."""
    factors: tuple[int | None, ...] = K_FACTORS if index.refines else (None,)
    num_lists = index.num_lists
    if num_lists is not None:
        probes = [1 << power for power in range(num_lists.bit_length())]
        for nprobe in [*(p for p in probes if p < num_lists), num_lists]:
            yield [SearchSettings(nprobe=nprobe, k_factor=factor) for factor in factors]
    elif index.walks_graph:
        for ef_search in (16, 32, 64, 128, 256, 512, 1024):
            yield [SearchSettings(ef_search=ef_search, k_factor=factor) for factor in factors]
    else:
        yield [SearchSettings(k_factor=factor) for factor in factors]


def _measured(
    index: VectorIndex, sample: RecallSample | None, vectors: NDArray[np.float16]
) -> float | None:
    if sample is None:
        return None
    return round(recall(sample, index.search(sample.queries, sample.k + 1), vectors), 6)
