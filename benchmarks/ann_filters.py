"""What an index finds among the rows that a filter leaves, by how many those are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.ann_curves import K, questions, recall
from benchmarks.timing import spent_on
from encoders.space import Vectors
from indexer.ann.vector_index import Selection, VectorIndex

SELECTIVITIES = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 0.8, 0.99, 1.0)
NUM_QUERIES = 200
NUM_TOPICS = 100


def masks(
    vectors: Vectors, selectivity: float, seed: int = 0
) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Yield named masks that let a share of the rows through, at least one.

    Args:
        vectors: ``(num_rows, dim)`` float32
        selectivity: the share, above 0 and at most 1.
        seed: equal seeds give equal masks.
    """
    random = np.random.default_rng(seed)
    num_kept = max(1, round(selectivity * len(vectors)))
    order = random.permutation(len(vectors))
    # Filters that go with content: most queries lie far from all that is left.
    nearness = vectors @ vectors[order[:NUM_TOPICS]].T
    by_topic = np.lexsort((-nearness.max(axis=1), nearness.argmax(axis=1)))
    for name, rows in (
        ("random", order),
        ("near one row", np.argsort(-nearness[:, 0], kind="stable")),
        ("some topics", by_topic),
    ):
        mask = np.zeros(len(vectors), np.bool_)
        mask[rows[:num_kept]] = True
        yield name, mask


def filter_figures(index: VectorIndex, vectors: Vectors, queries: Vectors) -> list[dict[str, Any]]:
    """Return recall@min(10, survivors) and the time of a question, by band and kind of filter.

    Args:
        index: as opened, with its own settings.
        vectors: ``(num_rows, dim)`` float32, what it holds.
        queries: asked one at a time.
    """
    queries = queries[:NUM_QUERIES]
    figures = []
    for selectivity in SELECTIVITIES:
        for name, mask in masks(vectors, selectivity):
            among = Selection(mask)
            asked = questions(vectors, queries, among)
            found = np.empty((len(queries), asked.k), np.int64)

            def ask(
                found: NDArray[np.int64] = found, among: Selection = among, k: int = asked.k
            ) -> None:
                for row in range(len(queries)):
                    found[row] = index.search(queries[row : row + 1], k, among=among).rows[0]

            spent = spent_on(ask)
            figures.append(
                {
                    "selectivity": selectivity,
                    "filter": name,
                    "survivors": among.num_selected,
                    "k": min(K, among.num_selected),
                    "recall": round(recall(asked, found, vectors, among), 4),
                    "cpu_us": round(1e6 * spent.cpu / len(queries), 1),
                }
            )
    return figures
