from __future__ import annotations

import errno
import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from indexer.backup import TargetNotEmpty, back_up
from indexer.backup_manifest import BACKUP_FILE, BackupCorrupt, BackupUnreadable
from indexer.catalog.catalog import Catalog
from indexer.catalog.database import HEAD_REVISION, CatalogError
from indexer.data_dir import DataDir
from indexer.live_view import LiveCollection
from indexer.manifest import FORMAT_VERSION, SnapshotUnreadable
from indexer.publish import finished_snapshots, live_snapshot_path
from indexer.reindex import reindex
from indexer.restore import restore
from indexer.snapshot import SnapshotCorrupt
from tests.indexer.stored_items import COLLECTION, identities, random_vectors, tiny_config, write_of

CONFIG = tiny_config()


@pytest.fixture
def data_dir(tmp_path: Path) -> DataDir:
    return DataDir(tmp_path / "data")


@pytest.fixture
def catalog(data_dir: DataDir) -> Iterator[Catalog]:
    with Catalog.open(data_dir) as opened:
        opened.register_collection(CONFIG)
        opened.write(COLLECTION, [write_of("a"), write_of("b", seed=1)])
        reindex(opened, data_dir, CONFIG, identities())
        opened.write(COLLECTION, [write_of("late", seed=2)])
        yield opened


def names_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


def found_in(data_dir: DataDir) -> list[tuple[str, float]]:
    with Catalog.open(data_dir) as catalog:
        view = LiveCollection(catalog, data_dir, CONFIG, identities()).view()
        neighbors = view.search("passages", random_vectors(1, 16, seed=9), 50)
        rows = neighbors.rows[0][neighbors.rows[0] >= 0]
        ids = view.items.column("item_id").take(view.segments("passages", rows).item_rows)
        return list(zip(ids.to_pylist(), neighbors.scores[0].tolist(), strict=False))


def test_what_was_restored_answers_as_the_original(
    catalog: Catalog, data_dir: DataDir, tmp_path: Path
) -> None:
    made = back_up(data_dir, tmp_path / "backup")
    back = DataDir(tmp_path / "back")
    assert restore(tmp_path / "backup", back).manifest == made
    assert found_in(back) == found_in(data_dir)
    assert {item_id for item_id, _ in found_in(back)} == {"a", "b", "late"}
    live = live_snapshot_path(data_dir, COLLECTION)
    assert live is not None
    entry = made.collections[COLLECTION]
    assert (entry.items, entry.snapshot) == (3, live.name)
    assert (entry.through_seq, entry.change_seq) == (1, 2)
    with Catalog.open(back) as restored:
        restored.check_integrity()


def test_state_is_copied_and_caches_locks_keys_and_older_snapshots_are_not(
    catalog: Catalog, data_dir: DataDir, tmp_path: Path
) -> None:
    reindex(catalog, data_dir, CONFIG, identities())
    assert len(finished_snapshots(data_dir, COLLECTION)) == 2
    blob = data_dir.root / "blobs" / "ab" / "abcd"
    for path in (blob, data_dir.root / "blobs" / ".abcd-half", data_dir.keys, *(
        folder / "x" for folder in (data_dir.thumbnails, data_dir.playable, data_dir.run)
    )):  # fmt: skip
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"content")
    back_up(data_dir, tmp_path / "backup")
    live = live_snapshot_path(data_dir, COLLECTION)
    assert live is not None
    snapshot = {f"snapshots/{COLLECTION}/{live.name}/{name}" for name in names_in(live)}
    assert names_in(tmp_path / "backup") == {
        BACKUP_FILE, "catalog.sqlite", "blobs/ab/abcd", f"snapshots/{COLLECTION}/live", *snapshot,
    }  # fmt: skip


def test_a_backup_taken_while_items_are_written_and_published_holds_together(
    catalog: Catalog, data_dir: DataDir, tmp_path: Path
) -> None:
    stop, written, problems = threading.Event(), [0], []

    def write() -> None:
        while not stop.is_set():
            catalog.write(COLLECTION, [write_of(f"w{written[0]}", seed=written[0])])
            written[0] += 1

    def publish() -> None:
        try:
            while not stop.is_set():
                reindex(catalog, data_dir, CONFIG, identities())
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=write), threading.Thread(target=publish)]
    for thread in threads:
        thread.start()
    try:
        for number in range(5):
            acknowledged = written[0]
            made = back_up(data_dir, tmp_path / f"backup-{number}")
            entry = made.collections[COLLECTION]
            assert entry.through_seq <= entry.change_seq
            back = DataDir(tmp_path / f"back-{number}")
            restore(tmp_path / f"backup-{number}", back)
            with Catalog.open(back) as restored:
                restored.check_integrity()
                view = LiveCollection(restored, back, CONFIG, identities()).view()
                held = set(view.items.column("item_id").filter(view.live).to_pylist())
            assert {f"w{n}" for n in range(acknowledged)} <= held
            assert len(held) == entry.items
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert problems == []


def test_without_links_files_are_copied(
    catalog: Catalog, data_dir: DataDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    linked = back_up(data_dir, tmp_path / "linked")
    live = live_snapshot_path(data_dir, COLLECTION)
    assert live is not None
    assert (live / "items.arrow").stat().st_nlink == 2

    def refuse(self: Path, target: Path) -> None:
        raise OSError(errno.EXDEV, "another disk")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    copied = back_up(data_dir, tmp_path / "copied")
    assert (live / "items.arrow").stat().st_nlink == 2
    assert copied.files.keys() == linked.files.keys()
    restore(tmp_path / "copied", DataDir(tmp_path / "back"))
    assert found_in(DataDir(tmp_path / "back")) == found_in(data_dir)


def test_a_place_that_is_taken_is_refused(
    catalog: Catalog, data_dir: DataDir, tmp_path: Path
) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "note").write_text("mine")
    with pytest.raises(TargetNotEmpty, match="not an empty folder"):
        back_up(data_dir, taken)
    with pytest.raises(TargetNotEmpty, match="not an empty folder"):
        back_up(data_dir, taken / "note")
    with pytest.raises(TargetNotEmpty, match="lies inside the data folder"):
        back_up(data_dir, data_dir.root / "backup")
    back_up(data_dir, tmp_path / "backup")
    with pytest.raises(TargetNotEmpty):
        restore(tmp_path / "backup", DataDir(taken))
    assert names_in(taken) == {"note"}


def test_a_backup_that_fails_leaves_nothing(
    catalog: Catalog, data_dir: DataDir, tmp_path: Path
) -> None:
    live = live_snapshot_path(data_dir, COLLECTION)
    assert live is not None
    with (live / "items.arrow").open("ab") as file:
        file.write(b"x")
    with pytest.raises(SnapshotCorrupt, match=r"items\.arrow"):
        back_up(data_dir, tmp_path / "backup")
    assert not (tmp_path / "backup").exists()
    with pytest.raises(CatalogError, match="there is no SQLite catalog"):
        back_up(DataDir(tmp_path / "nothing"), tmp_path / "backup")
    assert not (tmp_path / "backup").exists()


def test_a_catalog_behind_its_snapshot_is_no_backup(
    catalog: Catalog, data_dir: DataDir, tmp_path: Path
) -> None:
    other = DataDir(tmp_path / "other")
    with Catalog.open(other) as empty:
        empty.register_collection(CONFIG)
    shutil.copytree(data_dir.all_snapshots, other.all_snapshots)
    with pytest.raises(CatalogError, match="changes up to 1, the catalog ends at 0"):
        back_up(other, tmp_path / "backup")


@pytest.mark.parametrize("damage", ["flipped", "missing", "longer"])
def test_a_damaged_backup_is_refused_before_anything_is_restored(
    catalog: Catalog, data_dir: DataDir, tmp_path: Path, damage: str
) -> None:
    made = back_up(data_dir, tmp_path / "backup")
    generator = np.random.default_rng(0)
    for name in made.files:
        path = tmp_path / "backup" / name
        content = path.read_bytes()
        path.unlink()  # linked files are not changed in the data folder
        if damage == "flipped":
            at = int(generator.integers(len(content)))
            path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        elif damage == "longer":
            path.write_bytes(content + b"\0")
        with pytest.raises((BackupCorrupt, SnapshotCorrupt, BackupUnreadable)):
            restore(tmp_path / "backup", DataDir(tmp_path / "back"))
        assert not (tmp_path / "back").exists()
        path.write_bytes(content)
    restore(tmp_path / "backup", DataDir(tmp_path / "back"))


def test_an_unfinished_backup_and_one_from_the_future_are_refused(
    catalog: Catalog, data_dir: DataDir, tmp_path: Path
) -> None:
    back_up(data_dir, tmp_path / "backup")
    path, back = tmp_path / "backup" / BACKUP_FILE, DataDir(tmp_path / "back")
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "format_version": 99}))
    with pytest.raises(
        BackupUnreadable, match="format version 99; this version of kindred reads 1"
    ):
        restore(tmp_path / "backup", back)
    path.write_text(json.dumps({**content, "catalog_revision": "9999"}))
    with pytest.raises(BackupUnreadable, match=f"9999, this version knows up to {HEAD_REVISION}"):
        restore(tmp_path / "backup", back)
    path.write_text(json.dumps({**content, "files": {"../x": {"sha256": "", "size_bytes": 0}}}))
    with pytest.raises(BackupCorrupt, match="no path inside"):
        restore(tmp_path / "backup", back)
    path.write_text("{")
    with pytest.raises(BackupCorrupt, match="not the manifest of a backup"):
        restore(tmp_path / "backup", back)
    path.unlink()
    with pytest.raises(BackupUnreadable, match="no finished backup"):
        restore(tmp_path / "backup", back)
    assert not back.root.exists()


def test_a_backup_with_a_snapshot_from_the_future_is_refused(
    catalog: Catalog, data_dir: DataDir, tmp_path: Path
) -> None:
    made = back_up(data_dir, tmp_path / "backup")
    snapshot = made.collections[COLLECTION].snapshot
    assert snapshot is not None
    path = DataDir(tmp_path / "backup").snapshots(COLLECTION) / snapshot / "manifest.json"
    content = json.loads(path.read_text())
    path.unlink()
    path.write_text(json.dumps({**content, "format_version": 99}))
    with pytest.raises(SnapshotUnreadable, match=f"version 99; .* reads up to {FORMAT_VERSION}"):
        restore(tmp_path / "backup", DataDir(tmp_path / "back"))


def test_a_restore_that_fails_leaves_nothing(
    catalog: Catalog, data_dir: DataDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    back_up(data_dir, tmp_path / "backup")
    copies: list[Path] = []

    def fill_disk(source: Path, place: Path) -> None:
        copies.append(place)
        if len(copies) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        place.write_bytes(source.read_bytes())

    monkeypatch.setattr(shutil, "copyfile", fill_disk)
    with pytest.raises(OSError, match="No space left"):
        restore(tmp_path / "backup", DataDir(tmp_path / "back"))
    assert not (tmp_path / "back").exists()
    assert DataDir(tmp_path / "back").catalog_path not in copies
