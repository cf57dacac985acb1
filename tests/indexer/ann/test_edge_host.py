"""Qdrant Edge in its own process: what it is told, what it must not touch, and how it ends."""

from __future__ import annotations

import gc
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import psutil
import pytest

from encoders.errors import DependencyMissing
from indexer.ann.edge_files import REST_FILE
from indexer.ann.edge_host import EdgeFailed, EdgeHost, EdgePoints
from indexer.ann.edge_messages import OpenShard
from indexer.ann.index_entry import SearchSettings
from indexer.durable_files import file_sha256
from tests.indexer.ann.edge_indexes import EdgeIndex, edge_index
from tests.indexer.stored_items import random_vectors

DIM = 16
VECTORS = random_vectors(400, DIM)


@pytest.fixture(scope="module")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the processes of ``index`` lay out what they open."""
    return tmp_path_factory.mktemp("temporary")


@pytest.fixture(scope="module")
def index(temporary: Path) -> EdgeIndex:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(temporary))
        return edge_index(VECTORS, graph=True)


def files_below(folder: Path) -> dict[str, str]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): file_sha256(path) for path in paths}


def test_opening_and_searching_changes_no_file(index: EdgeIndex) -> None:
    before = files_below(index.folder)
    assert f"qdrant/{REST_FILE}" in before
    assert any(name.endswith("vector_storage/matrix.dat") for name in before)
    assert len(before) < 10, "every file of a snapshot costs a flush to the disk"
    points = EdgePoints(index.folder / "qdrant", DIM, len(VECTORS))
    for exact in (True, False):
        points.search(VECTORS[:3], 10, exact=exact, settings=SearchSettings(), condition=None)
    del points
    gc.collect()
    assert files_below(index.folder) == before


def test_no_file_is_left_beside_an_index_that_is_open(index: EdgeIndex, temporary: Path) -> None:
    points = EdgePoints(index.folder / "qdrant", DIM, len(VECTORS))
    process = psutil.Process(points._opened_in._process.pid)
    assert process.environ()["TMPDIR"] == str(temporary)
    assert list(temporary.iterdir()) == []
    found = points.search(VECTORS[:1], 1, exact=True, settings=SearchSettings(), condition=None)
    assert found.tolist() == [[0]]


def test_the_process_ends_with_the_last_index_that_needs_it(
    index: EdgeIndex, tmp_path: Path
) -> None:
    for name in ("first", "second"):
        shutil.copytree(index.folder / "qdrant", tmp_path / name / "qdrant")
    points = [EdgePoints(tmp_path / n / "qdrant", DIM, len(VECTORS)) for n in ("first", "second")]
    process = psutil.Process(points[0]._opened_in._process.pid)
    assert points[1]._opened_in._process.pid == process.pid, "channels of a snapshot share it"
    points.pop()
    gc.collect()
    assert process.is_running()
    points.pop()
    gc.collect()
    assert not process.is_running()


def test_a_process_that_died_is_replaced(index: EdgeIndex) -> None:
    points = index._points
    assert isinstance(points, EdgePoints)
    for _ in range(2):
        os.kill(points._opened_in._process.pid, signal.SIGKILL)
        points._opened_in._process.wait()
        assert index.search(VECTORS[:2], 1).rows.tolist() == [[0], [1]]


def test_a_shard_with_other_rows_than_recorded_is_refused(
    index: EdgeIndex, temporary: Path
) -> None:
    with pytest.raises(EdgeFailed, match="expected 399 rows, got 400"):
        EdgePoints(index.folder / "qdrant", DIM, len(VECTORS) - 1)
    assert list(temporary.iterdir()) == []


def test_a_damaged_archive_is_refused_by_its_name(index: EdgeIndex, tmp_path: Path) -> None:
    shutil.copytree(index.folder / "qdrant", tmp_path / "qdrant")
    rest = tmp_path / "qdrant" / REST_FILE
    rest.write_bytes(rest.read_bytes()[:-100])
    with pytest.raises(EdgeFailed, match=f"{tmp_path}.*qdrant.*zip"):
        EdgePoints(tmp_path / "qdrant", DIM, len(VECTORS))


def test_a_process_that_hangs_is_ended(index: EdgeIndex) -> None:
    host = EdgeHost()
    os.kill(host._process.pid, signal.SIGSTOP)
    with pytest.raises(EdgeFailed, match="no answer within"):
        host.ask(OpenShard(str(index.folder), DIM, 1), 0.05)
    assert not host.alive
    with pytest.raises(EdgeFailed, match="has ended"):
        host.ask(OpenShard(str(index.folder), DIM, 1))


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "qdrant_edge.py").write_text("raise ImportError('no qdrant_edge here')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(DependencyMissing, match=r"kindred-search\[qdrant\]"):
        EdgeHost()


def test_an_empty_channel_needs_no_process() -> None:
    before = set(psutil.Process().children())
    index = edge_index(np.empty((0, DIM), np.float32), graph=False)
    assert index.search(VECTORS[:2], 3).rows.tolist() == [[-1] * 3] * 2
    assert set(psutil.Process().children()) == before


@pytest.mark.parametrize("num_rows", [1, 2, 40])
@pytest.mark.parametrize("graph", [False, True])
def test_a_few_rows_are_found_too(num_rows: int, graph: bool) -> None:
    index = edge_index(VECTORS[:num_rows], graph=graph)
    found = index.search(VECTORS[:num_rows], 1)
    assert found.rows[:, 0].tolist() == list(range(num_rows))
