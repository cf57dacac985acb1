from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from indexer.catalog.catalog import Catalog
from indexer.data_dir import DataDir
from indexer.publish import finished_snapshots, live_snapshot_path, pointer_path
from indexer.reindex import GateRefused, reindex
from tests.indexer.stored_items import COLLECTION, identities, tiny_config, write_of

CONFIG = tiny_config()


@pytest.fixture
def catalog(data_dir: DataDir) -> Iterator[Catalog]:
    with Catalog.open(data_dir) as opened:
        opened.register_collection(CONFIG)
        yield opened


def test_if_changed_builds_only_what_is_new(catalog: Catalog, data_dir: DataDir) -> None:
    empty = reindex(catalog, data_dir, CONFIG, identities(), if_changed=True)
    assert (empty.manifest, empty.built) == (None, False)
    catalog.write(COLLECTION, [write_of("a")])
    first = reindex(catalog, data_dir, CONFIG, identities(), if_changed=True)
    assert first.built
    again = reindex(catalog, data_dir, CONFIG, identities(), if_changed=True)
    assert not again.built
    assert again.manifest == first.manifest
    assert reindex(catalog, data_dir, CONFIG, identities()).built
    catalog.delete(COLLECTION, ["a"])
    assert reindex(catalog, data_dir, CONFIG, identities(), if_changed=True).built


def test_what_could_not_be_removed_goes_with_the_next_run_that_has_nothing_to_do(
    catalog: Catalog, data_dir: DataDir
) -> None:
    catalog.write(COLLECTION, [write_of("a")])
    for _ in range(4):
        reindex(catalog, data_dir, CONFIG, identities())
    kept = finished_snapshots(data_dir, COLLECTION)
    oldest = kept[0].with_name("20200101T000000.000000Z-000000")
    half = oldest.with_name(f".building-{oldest.name}")
    for folder in (oldest, half):
        shutil.copytree(kept[0], folder)
    assert not reindex(catalog, data_dir, CONFIG, identities(), if_changed=True).built
    assert finished_snapshots(data_dir, COLLECTION) == kept
    assert not half.exists()


def test_a_refused_snapshot_is_not_kept_and_the_live_one_stays(
    catalog: Catalog, data_dir: DataDir
) -> None:
    catalog.write(COLLECTION, [write_of("a")])
    first = reindex(catalog, data_dir, CONFIG, identities())
    assert first.manifest is not None
    with pytest.raises(GateRefused, match="0 of 1 items"):
        reindex(catalog, data_dir, CONFIG, identities(version=2))
    live = live_snapshot_path(data_dir, COLLECTION)
    assert live is not None
    assert live.name == first.manifest.snapshot_id
    assert finished_snapshots(data_dir, COLLECTION) == [live]
    forced = reindex(catalog, data_dir, CONFIG, identities(version=2), force=True)
    assert forced.overruled


@pytest.mark.parametrize("damage", ["manifest", "folder", "pointer"])
@pytest.mark.parametrize("if_changed", [True, False])
def test_a_damaged_live_snapshot_is_replaced(
    catalog: Catalog, data_dir: DataDir, damage: str, if_changed: bool
) -> None:
    catalog.write(COLLECTION, [write_of("a")])
    reindex(catalog, data_dir, CONFIG, identities())
    live = live_snapshot_path(data_dir, COLLECTION)
    assert live is not None
    if damage == "manifest":
        (live / "manifest.json").write_text("{")
    elif damage == "folder":
        shutil.rmtree(live)
    else:
        pointer_path(data_dir, COLLECTION).write_text("{")
    report = reindex(catalog, data_dir, CONFIG, identities(), if_changed=if_changed)
    assert report.built
    assert live_snapshot_path(data_dir, COLLECTION) not in (None, live)
