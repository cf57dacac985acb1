from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from indexer.catalog.catalog import Catalog
from indexer.data_dir import DataDir
from indexer.free_space import NoSpace, expected_bytes, require_free_space
from indexer.publish import live_snapshot_path
from indexer.reindex import reindex
from indexer.snapshot import build_snapshot
from tests.indexer.stored_items import COLLECTION, identities, tiny_config, write_of

CONFIG = tiny_config()


def disk_with(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    monkeypatch.setattr(
        "indexer.free_space.shutil.disk_usage", lambda folder: SimpleNamespace(free=free)
    )


def test_twice_as_much_as_is_written_must_be_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk_with(monkeypatch, 2_000)
    require_free_space(tmp_path, 1_000)
    with pytest.raises(NoSpace, match="nothing was changed") as refused:
        require_free_space(tmp_path, 1_001)
    assert refused.value.detail["wanted_bytes"] == 2_002
    assert refused.value.detail["free_bytes"] == 2_000


def test_what_is_expected_is_about_what_a_snapshot_takes(tmp_path: Path) -> None:
    data_dir = DataDir(tmp_path)
    dim = 384
    wide = identities(dim=dim)
    with Catalog.open(data_dir) as catalog:
        catalog.register_collection(CONFIG)
        writes = [write_of(f"item-{n}", 5, seed=n, dim=dim) for n in range(400)]
        catalog.write(COLLECTION, writes)
        expected = expected_bytes(catalog, CONFIG, wide)
        snapshot = build_snapshot(catalog, data_dir, CONFIG, wide)
    taken = sum(path.stat().st_size for path in snapshot.path.rglob("*") if path.is_file())
    assert taken <= expected <= 4 * taken


def test_a_full_disk_refuses_a_reindex_and_the_live_snapshot_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_dir = DataDir(tmp_path)
    with Catalog.open(data_dir) as catalog:
        catalog.register_collection(CONFIG)
        catalog.write(COLLECTION, [write_of("a")])
        reindex(catalog, data_dir, CONFIG, identities())
        live = live_snapshot_path(data_dir, COLLECTION)
        disk_with(monkeypatch, 100)
        with pytest.raises(NoSpace):
            reindex(catalog, data_dir, CONFIG, identities())
        assert live_snapshot_path(data_dir, COLLECTION) == live
