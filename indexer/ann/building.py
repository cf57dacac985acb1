"""Making an index from stored vectors: which kind, tuned to a recall, and measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from indexer.ann.choosing import Candidate, candidates
from indexer.ann.exact_index import ExactIndex
from indexer.ann.faiss_index import FaissIndex
from indexer.ann.filling import filled_index
from indexer.ann.index_entry import IndexChoice, IndexEntry, TriedIndex
from indexer.ann.tuning import Tuning, tune
from indexer.ann.vector_index import Rows, VectorIndex
from indexer.config import IndexConfig
from indexer.recall import RecallSample, held_out_rows, recall, recall_sample

NUM_HELD_OUT = 1024


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
        config: engine, factory string, recall to reach and memory it may take.
        num_threads: threads to train, add and tune with.
        progress: called with the number of rows added so far.

    Raises:
        ConfigError: FAISS does not know the factory, cannot train it with so few rows, or no kind
            of index fits the memory budget.
    """
    num_rows, dim = vectors.shape
    held_out = held_out_rows(num_rows, NUM_HELD_OUT)
    sample = recall_sample(vectors, held_out)
    if config.engine == "exact":
        exact = ExactIndex(space_id, dim, vectors)
        entry = IndexEntry("exact", "numpy", dim, dim, num_rows, exact=True, vectors_file=False)
        return BuiltIndex(exact, entry, _measured(exact, sample, vectors))
    builder = _Builder(vectors, space_id, config, held_out, sample, num_threads, progress)
    # An empty channel is flat: no other kind can be trained with nothing.
    if config.factory == "auto" or num_rows == 0:
        return builder.chosen()
    return builder.named(config.factory)


@dataclass(frozen=True, slots=True, eq=False)
class _Builder:
    """Builds and tunes kinds of index over the same vectors."""

    vectors: NDArray[np.float16]
    space_id: str
    config: IndexConfig
    held_out: Rows
    sample: RecallSample | None
    num_threads: int
    progress: Callable[[int], None] | None

    def named(self, factory: str) -> BuiltIndex:
        """Build the kind that the configuration names, tuned as well as it can be."""
        index = self._filled(factory)
        tuning = self._tuned(index)
        why = "named in the configuration"
        if tuning is not None and not tuning.reached:
            why += f"; {_missed(tuning, self.config.target_recall)}"
        return self._built(factory, index, tuning, IndexChoice(why))

    def chosen(self) -> BuiltIndex:
        """Try kinds in order of preference until one reaches the target recall.

        Where none does, the one of highest recall is built again.
        """
        num_rows, dim = self.vectors.shape
        budget = self.config.memory_budget_bytes
        fitting, passed_over = candidates(num_rows, dim, self.config.target_recall, budget)
        missed: list[tuple[float, Candidate]] = []
        for candidate in fitting:
            index = self._filled(candidate.factory)
            tuning = self._tuned(index, candidate.max_microseconds)
            if tuning is None or tuning.reached:
                why = _reached(tuning, self.config.target_recall)
                return self._built(
                    candidate.factory,
                    index,
                    tuning,
                    IndexChoice(why, candidate.estimated_bytes, budget, tuple(passed_over)),
                )
            best_recall = tuning.chosen.recall_at_10
            missed.append((best_recall, candidate))
            why = _missed(tuning, self.config.target_recall, candidate.max_microseconds)
            passed_over.append(
                TriedIndex(candidate.factory, why, candidate.estimated_bytes, best_recall)
            )
        return self._nearest_miss(missed, passed_over)

    def _nearest_miss(
        self, missed: list[tuple[float, Candidate]], passed_over: list[TriedIndex]
    ) -> BuiltIndex:
        """Build the kind of highest recall once more: only one was kept in memory at a time."""
        _, candidate = max(missed, key=lambda one: one[0])
        index = self._filled(candidate.factory)
        choice = IndexChoice(
            f"no kind within the budget reaches {self.config.target_recall}; this one comes "
            "nearest",
            candidate.estimated_bytes,
            self.config.memory_budget_bytes,
            tuple(passed_over),
        )
        return self._built(candidate.factory, index, self._tuned(index), choice)

    def _filled(self, factory: str) -> FaissIndex:
        return filled_index(
            factory,
            self.vectors,
            self.space_id,
            held_out=self.held_out,
            num_threads=self.num_threads,
            progress=self.progress,
        )

    def _tuned(self, index: FaissIndex, max_microseconds: float = np.inf) -> Tuning | None:
        """Try settings on every other held-out row; the rest says what they are worth."""
        if self.sample is None or index.exact:
            return None
        return tune(
            index,
            self.sample.part(slice(0, None, 2)),
            self.vectors,
            self.config.target_recall,
            max_microseconds=max_microseconds,
        )

    def _built(
        self, factory: str, index: FaissIndex, tuning: Tuning | None, choice: IndexChoice
    ) -> BuiltIndex:
        if tuning is not None:
            index.settings = tuning.chosen.search
            index.cpu_microseconds = tuning.chosen.cpu_microseconds
        num_rows, dim = self.vectors.shape
        entry = IndexEntry(
            engine="faiss",
            factory=factory,
            dim=dim,
            padded_dim=int(index.index.d),
            num_rows=num_rows,
            exact=index.exact,
            vectors_file=not index.keeps_vectors,
            search=index.settings,
            recall_curve=tuning.curve if tuning else (),
            choice=choice,
        )
        return BuiltIndex(index, entry, _measured(index, self.sample, self.vectors))


def _measured(
    index: VectorIndex, sample: RecallSample | None, vectors: NDArray[np.float16]
) -> float | None:
    """Return the recall on the half of the sample that nothing was tuned with."""
    if sample is None:
        return None
    judging = sample.part(slice(1, None, 2)) if len(sample.rows) > 2 else sample
    return round(recall(judging, index.search(judging.queries, judging.k + 1), vectors), 6)


def _reached(tuning: Tuning | None, target_recall: float) -> str:
    if tuning is None:
        return "compares a query with every row"
    point = tuning.chosen
    return (
        f"the first kind tried to reach recall@10 {target_recall}: {point.recall_at_10} in "
        f"{point.cpu_microseconds} µs"
    )


def _missed(tuning: Tuning, target_recall: float, max_microseconds: float = np.inf) -> str:
    point = tuning.chosen
    said = f"recall@10 {point.recall_at_10} in {point.cpu_microseconds} µs at best; wanted "
    said += f"{target_recall}"
    if np.isfinite(max_microseconds):
        said += f" within {max_microseconds:.0f} µs, what comparing with every row takes"
    return said
