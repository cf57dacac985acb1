"""The GPU path with a stand-in for FAISS's GPU classes: a real index behind the same calls."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from encoders.errors import ConfigError
from encoders.space import Vectors
from indexer.ann import gpu_index
from indexer.ann.building import build_index
from indexer.ann.faiss_library import load_faiss
from indexer.ann.gpu_index import GpuIndex
from indexer.ann.opening import FAISS_FILE, VECTORS_FILE, IndexDevice, open_index
from indexer.ann.vector_index import Selection, VectorIndex
from indexer.config import IndexConfig
from tests.indexer.stored_items import clustered_vectors

NUM_ROWS, DIM = 2_000, 16
ON_GPU = IndexDevice("cuda:0")


class StandInGpu:
    """Two devices that hold copies, and note who calls and whether two ever call at once."""

    def __init__(self) -> None:
        self.threads: set[str] = set()
        self.float16: list[bool] = []
        self.num_searches = 0
        self.num_held = 0
        self.overlapped = False
        self._busy = threading.Lock()

    def resources(self) -> object:
        self._called()
        return object()

    def copy(self, resources: object, number: int, index: Any, options: Any) -> StandInCopy:
        self._called()
        self.float16.append(options.useFloat16)
        return StandInCopy(self, index)

    def search(self, index: Any, queries: Vectors, k: int, params: Any) -> Any:
        self._called()
        self.num_searches += 1
        if not self._busy.acquire(blocking=False):
            self.overlapped = True
            return index.search(queries, k, params=params)
        try:
            time.sleep(0.001)
            return index.search(queries, k, params=params)
        finally:
            self._busy.release()

    def _called(self) -> None:
        self.threads.add(threading.current_thread().name)


class StandInCopy:
    def __init__(self, gpu: StandInGpu, index: Any) -> None:
        self._gpu, self._index = gpu, index
        gpu.num_held += 1

    def search(self, queries: Vectors, k: int, params: Any = None) -> Any:
        return self._gpu.search(self._index, queries, k, params)

    def __del__(self) -> None:
        self._gpu.num_held -= 1
        self._gpu.threads.add(threading.current_thread().name)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandInGpu]:
    stand_in, faiss = StandInGpu(), load_faiss()
    monkeypatch.setattr(faiss, "StandardGpuResources", stand_in.resources, raising=False)
    monkeypatch.setattr(
        faiss, "GpuClonerOptions", lambda: SimpleNamespace(useFloat16=False), raising=False
    )
    monkeypatch.setattr(faiss, "index_cpu_to_gpu", stand_in.copy, raising=False)
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 2)
    gpu_index._kept_owner.cache_clear()
    yield stand_in
    gpu_index._kept_owner.cache_clear()


@pytest.fixture(scope="module")
def vectors() -> Vectors:
    return clustered_vectors(NUM_ROWS, DIM).astype(np.float16).astype(np.float32)


def opened(
    folder: Path, factory: str, vectors: Vectors, device: IndexDevice | None = None
) -> VectorIndex:
    stored = vectors.astype(np.float16)
    built = build_index(stored, "words", IndexConfig(factory=factory))
    built.write(folder / FAISS_FILE)
    if built.entry.vectors_file:
        np.save(folder / VECTORS_FILE, stored)
    return open_index(folder, built.entry, "words", device=device or IndexDevice())


@pytest.mark.parametrize("factory", ["Flat", "SQfp16", "IVF16,Flat", "IVF16,SQ8", "PCA8,IVF16,PQ4"])
def test_a_copy_on_the_gpu_answers_what_the_index_answers(
    gpu: StandInGpu, tmp_path: Path, vectors: Vectors, factory: str
) -> None:
    usual = opened(tmp_path, factory, vectors).search(vectors[:20], 7)
    index = opened(tmp_path, factory, vectors, ON_GPU)
    assert isinstance(index, GpuIndex)
    found = index.search(vectors[:20], 7)
    np.testing.assert_array_equal(found.rows, usual.rows)
    assert found.mode == usual.mode
    assert gpu.num_searches == 1
    np.testing.assert_allclose(index.vectors(np.array([3])), vectors[3:4], atol=1e-6)


def test_one_thread_owns_the_gpu_whoever_asks(
    gpu: StandInGpu, tmp_path: Path, vectors: Vectors
) -> None:
    (tmp_path / "other").mkdir()
    indexes = [
        opened(tmp_path, "Flat", vectors, ON_GPU),
        opened(tmp_path / "other", "IVF16,Flat", vectors, ON_GPU),
    ]
    with ThreadPoolExecutor(8) as askers:
        found = list(
            askers.map(lambda row: indexes[row % 2].search(vectors[row : row + 1], 1), range(60))
        )
    assert [int(each.rows[0, 0]) for each in found] == list(range(60))
    assert gpu.num_searches == 60
    assert not gpu.overlapped
    assert gpu.threads == {"faiss-cuda:0_0"}


def test_a_copy_is_freed_by_the_owner_when_its_index_is_dropped(
    gpu: StandInGpu, tmp_path: Path, vectors: Vectors
) -> None:
    index = opened(tmp_path, "Flat", vectors, ON_GPU)
    (tmp_path / "next").mkdir()
    following = opened(tmp_path / "next", "Flat", vectors, ON_GPU)
    assert gpu.num_held == 2
    del index
    gc.collect()
    following.search(vectors[:1], 1)  # the owner works in order: the release came before
    assert gpu.num_held == 1
    assert gpu.threads == {"faiss-cuda:0_0"}


def test_filters_and_very_long_answers_are_the_processors(
    gpu: StandInGpu, tmp_path: Path, vectors: Vectors
) -> None:
    index = opened(tmp_path, "Flat", np.concatenate([vectors, vectors]), ON_GPU)
    mask = np.zeros(2 * NUM_ROWS, np.bool_)
    mask[[5, 9]] = True
    found = index.search(vectors[5:6], 3, among=Selection(mask))
    assert found.rows.tolist() == [[5, 9, -1]]
    assert index.search(vectors[:1], 3_000).rows.min() >= 0
    assert gpu.num_searches == 0
    everything = Selection(np.ones(2 * NUM_ROWS, np.bool_))
    index.search(vectors[:1], 3, among=everything)
    assert gpu.num_searches == 1


def test_more_neighbours_than_the_lists_read_hold_are_completed(
    gpu: StandInGpu, tmp_path: Path, vectors: Vectors
) -> None:
    opened(tmp_path, "IVF400,Flat", vectors)
    index = opened(tmp_path, "IVF400,Flat", vectors, ON_GPU)
    found = index.search(vectors[:4], 1_500)
    assert found.rows.min() >= 0


def test_rounded_scores_are_not_called_exact(
    gpu: StandInGpu, tmp_path: Path, vectors: Vectors
) -> None:
    index = opened(tmp_path, "Flat", vectors, IndexDevice("cuda:1", float16=True))
    assert gpu.float16 == [True]
    assert not index.exact
    assert index.search(vectors[:1], 2).mode == "approximate"
    assert gpu.threads == {"faiss-cuda:1_0"}


def test_nothing_is_added_to_an_opened_index(
    gpu: StandInGpu, tmp_path: Path, vectors: Vectors
) -> None:
    index = opened(tmp_path, "Flat", vectors, ON_GPU)
    with pytest.raises(ValueError, match="cannot be added to"):
        index.add(np.array([NUM_ROWS]), vectors[:1])


@pytest.mark.parametrize(
    ("factory", "kind"),
    [
        ("HNSW16", "IndexHNSWFlat"),
        ("IVF16,PQ8x4fsr,RFlat", "IndexRefineFlat"),
        ("IVF16,PQ8x4fsr", "IndexIVFPQFastScan"),
        ("SQ8", "IndexScalarQuantizer"),
    ],
)
def test_kinds_that_a_gpu_cannot_keep_are_refused_by_name(
    gpu: StandInGpu, tmp_path: Path, vectors: Vectors, factory: str, kind: str
) -> None:
    with pytest.raises(ConfigError, match=rf"keeps no {kind} on a GPU.*IVF…,Flat"):
        opened(tmp_path, factory, vectors, ON_GPU)
    assert gpu.num_held == 0


def test_what_faiss_itself_cannot_keep_there_is_said(
    gpu: StandInGpu, tmp_path: Path, vectors: Vectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> object:
        raise RuntimeError("cudaMalloc error out of memory")

    monkeypatch.setattr(load_faiss(), "index_cpu_to_gpu", full)
    with pytest.raises(ConfigError, match="cannot keep this index on cuda:0: cudaMalloc"):
        opened(tmp_path, "Flat", vectors, ON_GPU)


def test_a_device_that_is_not_there_is_refused(
    gpu: StandInGpu, tmp_path: Path, vectors: Vectors
) -> None:
    with pytest.raises(ConfigError, match="'cuda:2' is not there: FAISS sees 2 CUDA devices"):
        opened(tmp_path, "Flat", vectors, IndexDevice("cuda:2"))


@pytest.mark.parametrize("device", ["gpu", "cuda", "cuda:", "cuda:-1", "CUDA:0", "auto"])
def test_devices_are_named_as_for_encoders(tmp_path: Path, vectors: Vectors, device: str) -> None:
    with pytest.raises(ConfigError, match=rf"must be cpu or cuda:N, got '{device}'"):
        opened(tmp_path, "Flat", vectors, IndexDevice(device))


@pytest.mark.skipif(
    hasattr(load_faiss(), "StandardGpuResources"), reason="this FAISS is built for GPUs"
)
def test_a_faiss_without_gpu_support_says_what_to_install(tmp_path: Path, vectors: Vectors) -> None:
    with pytest.raises(ConfigError, match=r"faiss-cpu .* without GPU .*kindred-search\[gpu\]"):
        opened(tmp_path, "Flat", vectors, ON_GPU)
