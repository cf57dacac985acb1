from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from indexer.catalog.catalog import Catalog
from indexer.data_dir import DataDir
from indexer.publish import live_snapshot_path
from indexer.reindex import reindex
from indexer.smoke_search import SmokeSearchFailed, smoke_search
from indexer.snapshot import Snapshot, build_snapshot
from tests.indexer.stored_items import COLLECTION, identities, tiny_config, write_of

CONFIG = tiny_config()


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with Catalog.open(DataDir(tmp_path)) as opened:
        opened.register_collection(CONFIG)
        opened.write(COLLECTION, [write_of("a"), write_of("b", seed=1)])
        yield opened


@pytest.fixture
def snapshot(catalog: Catalog, tmp_path: Path) -> Snapshot:
    return build_snapshot(catalog, DataDir(tmp_path), CONFIG, identities())


def child_that(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    monkeypatch.setattr(
        "indexer.smoke_search.module_command", lambda *_: [sys.executable, "-c", code]
    )


def test_a_good_snapshot_passes(snapshot: Snapshot) -> None:
    smoke_search(snapshot.path)


def test_an_empty_snapshot_passes(tmp_path: Path) -> None:
    data_dir = DataDir(tmp_path / "empty")
    with Catalog.open(data_dir) as catalog:
        catalog.register_collection(CONFIG)
        smoke_search(build_snapshot(catalog, data_dir, CONFIG, identities()).path)


def test_an_index_of_other_length_is_named(snapshot: Snapshot) -> None:
    index = snapshot.channel_folder("passages") / "index.npy"
    np.save(index, np.load(index)[:-1])
    with pytest.raises(SmokeSearchFailed, match=r"index\.npy: expected 4 rows .* got 3"):
        smoke_search(snapshot.path)


def test_vectors_that_are_not_numbers_are_found(snapshot: Snapshot) -> None:
    index = snapshot.channel_folder("passages") / "index.npy"
    vectors = np.load(index)
    vectors[:] = np.nan
    np.save(index, vectors)
    with pytest.raises(SmokeSearchFailed, match=snapshot.path.name):
        smoke_search(snapshot.path)


def test_a_search_that_kills_its_process_ends_only_that(
    snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    child_that(monkeypatch, "import os; os.abort()")
    with pytest.raises(SmokeSearchFailed, match="SIGABRT"):
        smoke_search(snapshot.path)


def test_a_search_that_hangs_is_ended(snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    child_that(monkeypatch, "import time; time.sleep(600)")
    with pytest.raises(SmokeSearchFailed, match=r"within 0\.5 s"):
        smoke_search(snapshot.path, max_seconds=0.5)


def test_what_cannot_be_searched_is_not_published_even_by_force(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_dir = DataDir(tmp_path)
    reindex(catalog, data_dir, CONFIG, identities())
    live = live_snapshot_path(data_dir, COLLECTION)
    child_that(monkeypatch, "raise SystemExit('wrong')")
    with pytest.raises(SmokeSearchFailed, match="wrong"):
        reindex(catalog, data_dir, CONFIG, identities(), force=True)
    assert live_snapshot_path(data_dir, COLLECTION) == live
    assert [path for path in data_dir.snapshots(COLLECTION).iterdir() if path.is_dir()] == [live]
