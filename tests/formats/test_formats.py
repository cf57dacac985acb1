"""Data folders that earlier versions wrote still open, answer and take writes."""

from __future__ import annotations

import json
import sqlite3
import tarfile
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import update

from indexer.backup import back_up
from indexer.blob_store import BlobStore
from indexer.blob_sweep import sweep_blobs
from indexer.catalog.catalog import Catalog
from indexer.catalog.database import HEAD_REVISION, CatalogError
from indexer.catalog.idempotency import KeyClaim
from indexer.catalog.live_writes import LiveWrites
from indexer.catalog.migrations import known_revisions
from indexer.catalog.schema import idempotency_keys
from indexer.catalog.takedown_records import TakenDown
from indexer.catalog.write_jobs import WriteJobs
from indexer.data_dir import DataDir
from indexer.item_operations import PutBlob
from indexer.live_view import LiveCollection, LiveView
from indexer.manifest import FORMAT_VERSION, MANIFEST_FILE, SnapshotUnreadable
from indexer.publish import kept_snapshots, live_snapshot_path
from indexer.reindex import reindex
from indexer.restore import restore
from search_api.stored_media import open_media
from tests.formats.make_data_dir import UPLOADED_TEXT
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


def require_revision(data_dir: DataDir, revision: str) -> None:
    """Skip the test for folders of before something could be in them."""
    if revision_of(data_dir) < revision:
        pytest.skip(f"came with {revision}")


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
    assert revisions == known_revisions()


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
        num_items = catalog.counts(COLLECTION).items
        catalog.write(COLLECTION, [write_of("new", seed=8)])
        report = reindex(catalog, data_dir, CONFIG, identities())
        assert report.manifest is not None
        assert report.manifest.num_items == num_items + 1
        assert report.manifest.format_version == FORMAT_VERSION
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


def test_what_was_taken_down_stays_down(data_dir: DataDir) -> None:
    require_revision(data_dir, "0003")
    with Catalog.open(data_dir) as catalog:
        (takedown,) = catalog.takedowns.active(COLLECTION)
        assert (takedown.item_ids, takedown.reason) == (["gone"], "a claim")
        with pytest.raises(TakenDown):
            catalog.write(COLLECTION, [write_of("gone", seed=2)])
        renamed = write_of("renamed", seed=2)
        item = replace(renamed.item, content_sha256=write_of("gone", seed=2).item.content_sha256)
        with pytest.raises(TakenDown):
            catalog.write(COLLECTION, [replace(renamed, item=item)])


def test_jobs_and_answers_of_before_are_taken_up(data_dir: DataDir) -> None:
    require_revision(data_dir, "0004")
    with Catalog.open(data_dir) as catalog:
        sweep_blobs(catalog, data_dir, grace_seconds=-60.0)
        jobs = WriteJobs(catalog.engine)
        lease = jobs.lease(COLLECTION, 60.0)
        assert lease is not None
        (pending,) = jobs.pending(lease, 9)
        operation = msgspec.json.decode(pending.operation_json, type=PutBlob)
        blob = BlobStore(data_dir.blobs).path(operation.sha256)
        assert (operation.item_id, blob.read_text()) == ("queued", "to be stored yet")
        with catalog.engine.begin() as connection:  # as if it had been asked a moment ago
            connection.execute(update(idempotency_keys).values(created_at_seconds=time.time()))
        claim = KeyClaim(COLLECTION, "key-1", "0" * 64, "somebody else", 60.0)
        answer = LiveWrites(catalog.engine).claim(claim)
        assert answer is not None
        assert (answer.status, answer.location) == (202, "/v1/jobs/job-1")


def test_uploads_and_other_models_vectors_of_before_are_there(data_dir: DataDir) -> None:
    """The catalog of before holds the whole path of the upload in a folder that is no more."""
    require_revision(data_dir, "0005")
    with Catalog.open(data_dir) as catalog:
        sweep_blobs(catalog, data_dir, grace_seconds=-60.0)
        item = catalog.item(COLLECTION, "upload")
        assert item is not None
        assert Path(item.location).is_relative_to(data_dir.blobs)
        with open_media(item).file as file:
            assert file.read() == UPLOADED_TEXT.encode()
        with catalog.state() as state:
            assert state.coverage(COLLECTION, "passages", "text-encoder-2").current_items == 1


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
