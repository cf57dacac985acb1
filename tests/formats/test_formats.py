"""Data folders that earlier versions wrote still open, answer and take writes."""

from __future__ import annotations

import json
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path

import pytest

from indexer.backup import back_up
from indexer.catalog.catalog import Catalog
from indexer.catalog.database import HEAD_REVISION, CatalogError
from indexer.catalog.migrations import known_revisions
from indexer.data_dir import DataDir
from indexer.live_view import LiveCollection, LiveView
from indexer.manifest import FORMAT_VERSION, MANIFEST_FILE, SnapshotUnreadable
from indexer.publish import kept_snapshots, live_snapshot_path
from indexer.reindex import reindex
from indexer.restore import restore
from tests.indexer.stored_items import COLLECTION, identities, random_vectors, tiny_config, write_of

FORMATS = sorted(Path(__file__).parent.glob("*.tar.xz"))
CONFIG = tiny_config()


@pytest.fixture(params=FORMATS, ids=lambda path: path.name.removesuffix(".tar.xz"))
def data_dir(request: pytest.FixtureRequest, tmp_path: Path) -> DataDir:
    with tarfile.open(request.param) as archive:
        archive.extractall(tmp_path / "data", filter="data")
    return DataDir(tmp_path / "data")


def revision_of(data_dir: DataDir) -> str:
    with closing(sqlite3.connect(data_dir.catalog_path)) as connection:
        (revision,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(revision)


def found_in(view: LiveView) -> dict[str, list[int]]:
    """Return each item's passages by the query vectors they are nearest to."""
    found: dict[str, list[int]] = {}
    for item_id, seed in (("a", 0), ("b", 10), ("gone", 20), ("late", 30)):
        for number, query in enumerate(random_vectors(2, seed=seed)):
            neighbors = view.search("passages", query[None], 1)
            if neighbors.scores[0, 0] > 0.999:
                item = view.segments("passages", neighbors.rows[0]).item_rows[0]
                assert view.items.column("item_id")[item].as_py() == item_id
                found.setdefault(item_id, []).append(number)
    return found


def test_there_is_an_archive_of_the_snapshots_of_this_version() -> None:
    assert any(path.name.endswith(f"snapshot-{FORMAT_VERSION}.tar.xz") for path in FORMATS)
    revisions = {path.name.split("-")[1] for path in FORMATS}
    assert {"0001", "0002"} <= revisions <= known_revisions()


def test_an_older_data_folder_answers_after_its_catalog_was_migrated(data_dir: DataDir) -> None:
    with Catalog.open(data_dir) as catalog:
        assert revision_of(data_dir) == HEAD_REVISION
        catalog.check_integrity()
        view = LiveCollection(catalog, data_dir, CONFIG, identities()).view()
        assert found_in(view) == {"a": [0, 1], "b": [0, 1], "late": [0, 1]}
        item = catalog.item(COLLECTION, "a")
        assert item is not None
        assert item.attributes == {"title": "An old friend", "tags": ["kept"], "year": 2026}
        assert [kept.is_live for kept in kept_snapshots(data_dir, COLLECTION)] == [True]


def test_an_older_data_folder_takes_writes_and_is_indexed_anew(data_dir: DataDir) -> None:
    with Catalog.open(data_dir) as catalog:
        catalog.write(COLLECTION, [write_of("new", seed=4)])
        report = reindex(catalog, data_dir, CONFIG, identities())
        assert report.manifest is not None
        assert (report.manifest.num_items, report.manifest.format_version) == (4, FORMAT_VERSION)
        view = LiveCollection(catalog, data_dir, CONFIG, identities()).view()
        assert found_in(view) == {"a": [0, 1], "b": [0, 1], "late": [0, 1]}
        assert view.item_row("new") is not None
        assert view.item_row("gone") is None


def test_a_backup_keeps_the_formats_it_found(data_dir: DataDir, tmp_path: Path) -> None:
    before = revision_of(data_dir)
    made = back_up(data_dir, tmp_path / "backup")
    assert (made.catalog_revision, revision_of(data_dir)) == (before, before)
    back = DataDir(tmp_path / "back")
    restore(tmp_path / "backup", back)
    with Catalog.open(back) as catalog:
        view = LiveCollection(catalog, back, CONFIG, identities()).view()
        assert found_in(view) == {"a": [0, 1], "b": [0, 1], "late": [0, 1]}


def test_a_catalog_from_the_future_is_refused_and_left_as_it_is(data_dir: DataDir) -> None:
    with closing(sqlite3.connect(data_dir.catalog_path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(CatalogError, match=f"9999, this version knows up to {HEAD_REVISION}"):
        Catalog.open(data_dir)
    assert revision_of(data_dir) == "9999"


def test_a_snapshot_from_the_future_is_refused(data_dir: DataDir) -> None:
    live = live_snapshot_path(data_dir, COLLECTION)
    assert live is not None
    path = live / MANIFEST_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), "format_version": 99}))
    with Catalog.open(data_dir) as catalog:
        collection = LiveCollection(catalog, data_dir, CONFIG, identities())
        with pytest.raises(SnapshotUnreadable, match=f"format version 99; .* {FORMAT_VERSION}"):
            collection.view()
