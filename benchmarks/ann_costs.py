"""What exact search and building take, against the arithmetic and the bare library under them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.ann_curves import K
from benchmarks.ann_engines import SPACE, KindredIndex
from benchmarks.timing import Spent, StageClock, spent_on
from encoders.space import Vectors
from indexer.ann import building
from indexer.ann.faiss_index import FaissIndex, load_faiss
from indexer.ann.filling import ROWS_PER_BLOCK
from indexer.ann.size_estimate import width
from indexer.config import IndexConfig

EXACT_BATCH = 256
NUM_EXACT_SINGLE = 5
ROWS_PER_PRODUCT = 16_384
"""Of the bare matrix product: its result shall not be written to memory and read again."""

BUILD_ROUNDS = 3
SEED = 1


def exact_figures(
    stored: NDArray[np.float16], queries: Vectors, folder: Path, rounds: int
) -> dict[str, Any]:
    """Compare exact search with reading the vectors once, and with the bare matrix product.

    Args:
        stored: ``(num_rows, dim)`` float16
        queries: at least `EXACT_BATCH` of them.
        folder: where the index goes.
        rounds: how often; all are run in turns.
    """
    flat = KindredIndex(stored, folder, IndexConfig(factory="Flat"))
    vectors = stored.astype(np.float32)
    batch = np.ascontiguousarray(queries[:EXACT_BATCH])
    out = np.empty((len(batch), ROWS_PER_PRODUCT), np.float32)

    def sgemv() -> None:
        for query in batch[:NUM_EXACT_SINGLE]:
            _ = vectors @ query

    def sgemm() -> None:
        for start in range(0, len(vectors), ROWS_PER_PRODUCT):
            block = vectors[start : start + ROWS_PER_PRODUCT]
            np.matmul(batch, block.T, out=out[:, : len(block)] if len(block) < len(out[0]) else out)

    def single() -> None:
        for row in range(NUM_EXACT_SINGLE):
            flat.search(batch[row : row + 1], K, {})

    actions = {
        "sgemv": sgemv,
        "single": single,
        "sgemm": sgemm,
        "batch": lambda: flat.search(batch, K, {}),
    }
    spent = in_turns(actions, rounds)
    cpu = {name: statistics.median(each.cpu for each in runs) for name, runs in spent.items()}
    return {
        "single_over_sgemv": _share(spent["single"], spent["sgemv"]),
        "batch_over_sgemm": _share(spent["batch"], spent["sgemm"]),
        "single_gb_per_cpu_second": round(
            NUM_EXACT_SINGLE * vectors.nbytes / cpu["single"] / 1e9, 2
        ),
        "sgemv_gb_per_cpu_second": round(NUM_EXACT_SINGLE * vectors.nbytes / cpu["sgemv"] / 1e9, 2),
        "batch_gflops": round(2 * vectors.size * len(batch) / cpu["batch"] / 1e9, 1),
        "sgemm_gflops": round(2 * vectors.size * len(batch) / cpu["sgemm"] / 1e9, 1),
    }


def in_turns(actions: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[Spent]]:
    """Return what each action took in each round, after one round that does not count."""
    spent: dict[str, list[Spent]] = {name: [] for name in actions}
    for number in range(rounds + 1):
        for name, action in actions.items():
            took = spent_on(action)
            if number:
                spent[name].append(took)
    return spent


def _share(ours: list[Spent], bare: list[Spent]) -> float:
    """Return the share of the bare operation's speed that we reach: the median over rounds."""
    return round(statistics.median(b.cpu / a.cpu for a, b in zip(ours, bare, strict=True)), 3)


def build_figures(stored: NDArray[np.float16], factory: str, rounds: int) -> dict[str, Any]:
    """Compare building an index, tuning and measuring apart, with what FAISS itself takes.

    The bare library trains with as many rows as we do and is handed them as float32.

    Args:
        stored: ``(num_rows, dim)`` float16
        factory: what ``auto`` chose.
        rounds: how often; both are built in turns.
    """
    ours: list[Spent] = []
    bare: list[Spent] = []
    tuning: list[Spent] = []
    for _ in range(rounds):
        clock, num_training_rows = _timed_build(stored, factory)
        ours.append(clock.stages["build"])
        tuning.append(clock.stages["tune"])
        bare.append(_bare_build(stored, factory, num_training_rows))
    return {
        "factory": factory,
        "build_cpu_seconds": round(statistics.median(each.cpu for each in ours), 2),
        "bare_cpu_seconds": round(statistics.median(each.cpu for each in bare), 2),
        "tuning_cpu_seconds": round(statistics.median(each.cpu for each in tuning), 2),
        "build_over_bare": round(
            statistics.median(a.cpu / b.cpu for a, b in zip(ours, bare, strict=True)), 3
        ),
    }


def _timed_build(stored: NDArray[np.float16], factory: str) -> tuple[StageClock, int]:
    """Return what building and tuning took, and how many rows the index was trained with."""
    clock = StageClock()
    trained_with = [0]
    original = FaissIndex.train

    def train(index: FaissIndex, vectors: Vectors) -> None:
        trained_with[0] = len(vectors)
        original(index, vectors)

    with ExitStack() as watched:
        for function in ("recall_sample", "tune", "_measured"):
            watched.enter_context(clock.watch(building, function, "tune"))
        FaissIndex.train = train  # type: ignore[assignment, method-assign]
        try:
            with clock.stage("build"):
                building.build_index(stored, SPACE, IndexConfig(factory=factory))
        finally:
            FaissIndex.train = original  # type: ignore[method-assign]
    return clock, trained_with[0]


def _bare_build(stored: NDArray[np.float16], factory: str, num_training_rows: int) -> Spent:
    faiss = load_faiss()
    faiss.omp_set_num_threads(1)
    vectors = stored.astype(np.float32)
    dim = width(factory, vectors.shape[1])
    if dim > vectors.shape[1]:
        vectors = np.pad(vectors, ((0, 0), (0, dim - vectors.shape[1])))
    chosen = np.random.default_rng(SEED).permutation(len(vectors))[:num_training_rows]
    training = vectors[np.sort(chosen)]

    def build() -> None:
        index = faiss.index_factory(dim, factory, faiss.METRIC_INNER_PRODUCT)
        if num_training_rows:
            index.train(training)
        for start in range(0, len(vectors), ROWS_PER_BLOCK):
            index.add(vectors[start : start + ROWS_PER_BLOCK])

    return spent_on(build)
