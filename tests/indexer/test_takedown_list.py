"""Takedowns outlive the data folder, and what they forbid does not come back with a backup."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from indexer.backup import back_up
from indexer.blob_store import BlobStore
from indexer.catalog.catalog import Catalog
from indexer.catalog.locations import UPLOADED
from indexer.catalog.records import ItemWrite
from indexer.catalog.takedown_records import Takedown, TakenDown
from indexer.data_dir import DataDir
from indexer.live_view import LiveCollection
from indexer.reindex import reindex
from indexer.restore import Restored, restore
from indexer.takedown import read_receipt, take_down
from indexer.takedown_list import (
    TakedownListUnreadable,
    export_takedowns,
    read_list_file,
    read_takedowns_of,
)
from tests.indexer.stored_items import COLLECTION, identities, tiny_config, write_of

CONFIG = tiny_config()
WORDS = b"secret-5 passage 1"


def upload(data_dir: DataDir, item_id: str, seed: int, text: str) -> ItemWrite:
    blob = BlobStore(data_dir.blobs).add_text(text)
    write = write_of(item_id, 3, seed=seed)
    item = replace(write.item, source=UPLOADED, location=str(blob.path), content_sha256=blob.sha256)
    return replace(write, item=item)


@pytest.fixture
def data_dir(tmp_path: Path) -> DataDir:
    return DataDir(tmp_path / "data")


@pytest.fixture
def catalog(data_dir: DataDir) -> Iterator[Catalog]:
    with Catalog.open(data_dir) as opened:
        opened.register_collection(CONFIG)
        opened.write(
            COLLECTION,
            [
                upload(data_dir, "secret", 5, "what nobody may read"),
                upload(data_dir, "twin", 6, "what two have"),
                upload(data_dir, "other", 7, "what two have"),
                write_of("early", seed=1),
                write_of("kept", seed=2),
            ],
        )
        reindex(opened, data_dir, CONFIG, identities())
        yield opened


@pytest.fixture
def backup(catalog: Catalog, data_dir: DataDir, tmp_path: Path) -> Path:
    """A backup that knows of one takedown, before three more and a lift."""
    down(catalog, data_dir, "early")
    back_up(data_dir, tmp_path / "backup")
    return tmp_path / "backup"


def down(catalog: Catalog, data_dir: DataDir, *item_ids: str, **options: Any) -> Takedown:
    done = take_down(catalog, data_dir, COLLECTION, item_ids, requested_by="legal", **options)
    return done.takedown


def found_in(data_dir: DataDir) -> set[str]:
    with Catalog.open(data_dir) as catalog:
        view = LiveCollection(catalog, data_dir, CONFIG, identities()).view()
        ids = view.items.column("item_id").to_pylist()
        return {ids[row] for row in range(len(ids)) if view.live[row]}


def restored_with(backup: Path, path: Path, target: Path) -> Restored:
    return restore(backup, DataDir(target), read_takedowns_of(path))


@pytest.mark.parametrize("told_by", ["list", "data folder", "newer backup"])
def test_what_was_taken_down_later_stays_away(
    told_by: str, backup: Path, catalog: Catalog, data_dir: DataDir, tmp_path: Path
) -> None:
    later = down(catalog, data_dir, "secret", "twin", reason="a claim")
    listed = tmp_path / "takedowns.jsonl"
    if told_by == "list":
        export_takedowns(catalog, listed)
    elif told_by == "newer backup":
        listed = tmp_path / "newer"
        back_up(data_dir, listed)
    else:
        listed = data_dir.root
    back = DataDir(tmp_path / "back")
    done = restored_with(backup, listed, back.root)

    assert done.takedowns is not None
    assert [each.takedown_id for each in done.takedowns.brought] == [later.takedown_id]
    assert done.takedowns.hidden_items == (f"{COLLECTION}/secret", f"{COLLECTION}/twin")
    assert found_in(back) == {"other", "kept"}
    assert [path for path in back.root.iterdir() if path.name.startswith(".")] == []
    texts = {path.read_text() for path in back.blobs.glob("??/*")}
    assert texts == {"what two have"}, "which another item has"
    assert WORDS not in back.catalog_path.read_bytes()
    with Catalog.open(back) as opened:
        with pytest.raises(TakenDown):
            opened.write(COLLECTION, [write_of("secret", seed=5)])
        receipt = read_receipt(opened, back, COLLECTION, later.takedown_id).as_json()
        assert (receipt["reason"], receipt["requested_by"]) == ("a claim", "legal")
        assert any(each.startswith("snapshot") for each in receipt["held_by"])
        for _ in range(3):
            reindex(opened, back, CONFIG, identities())
        settled = opened.takedowns.get(COLLECTION, later.takedown_id)
        assert settled.erased_at is not None


def test_a_name_of_before_does_not_save_it(
    catalog: Catalog, data_dir: DataDir, tmp_path: Path
) -> None:
    """In the backup the content has another id than when it was taken down."""
    back_up(data_dir, tmp_path / "backup")
    catalog.delete(COLLECTION, ["secret"])
    catalog.write(COLLECTION, [upload(data_dir, "renamed", 5, "what nobody may read")])
    down(catalog, data_dir, "renamed")
    back = DataDir(tmp_path / "back")
    done = restored_with(tmp_path / "backup", data_dir.root, back.root)
    assert done.takedowns is not None
    assert done.takedowns.hidden_items == (f"{COLLECTION}/secret",)
    assert "secret" not in found_in(back)


def test_lifted_ones_forbid_nothing(
    backup: Path, catalog: Catalog, data_dir: DataDir, tmp_path: Path
) -> None:
    (early,) = catalog.takedowns.all()
    catalog.takedowns.lift(COLLECTION, early.takedown_id, lifted_by="legal")
    later = down(catalog, data_dir, "secret")
    catalog.takedowns.lift(COLLECTION, later.takedown_id, lifted_by="legal")
    back = DataDir(tmp_path / "back")
    done = restored_with(backup, data_dir.root, back.root)
    assert done.takedowns is not None
    assert done.takedowns.lifted == (early.takedown_id,)
    assert done.takedowns.hidden_items == ()
    assert "secret" in found_in(back)
    with Catalog.open(back) as opened:
        assert opened.takedowns.active(COLLECTION) == []
        assert opened.takedowns.get(COLLECTION, later.takedown_id).lifted_by == "legal"
        opened.write(COLLECTION, [write_of("early", seed=1)])


def test_a_restore_that_was_told_nothing_says_until_when_it_knows(
    backup: Path, catalog: Catalog, data_dir: DataDir, tmp_path: Path
) -> None:
    down(catalog, data_dir, "secret")
    done = restore(backup, DataDir(tmp_path / "back"))
    assert done.takedowns is None
    assert done.takedowns_known_through == done.manifest.created
    assert found_in(DataDir(tmp_path / "back")) == {"secret", "twin", "other", "kept"}


def test_a_list_forgets_nothing(catalog: Catalog, data_dir: DataDir, tmp_path: Path) -> None:
    listed = tmp_path / "takedowns.jsonl"
    first = down(catalog, data_dir, "secret")
    export_takedowns(catalog, listed)
    with Catalog.open(DataDir(tmp_path / "fresh")) as other:
        other.register_collection(CONFIG)
        second = down(other, DataDir(tmp_path / "fresh"), "unknown")
        export_takedowns(other, listed)
    catalog.takedowns.lift(COLLECTION, first.takedown_id, lifted_by="me")
    export_takedowns(catalog, listed)
    read = read_list_file(listed).takedowns
    assert [each.takedown_id for each in read] == [first.takedown_id, second.takedown_id]
    assert read[0] == catalog.takedowns.get(COLLECTION, first.takedown_id)
    assert read[0].lifted_by == "me"


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "line 1"),
        (b"name: tiny\n", "line 1"),
        (b'{"kindred_takedowns":1,"exported":"2026"}\n{"takedown_id":"t"}\n', "line 2"),
        (b'{"kindred_takedowns":9,"exported":"2026"}\n', "format version 9"),
    ],
)
def test_what_is_no_list_is_refused_and_kept(
    content: bytes, match: str, catalog: Catalog, tmp_path: Path
) -> None:
    path = tmp_path / "other"
    path.write_bytes(content)
    with pytest.raises(TakedownListUnreadable, match=match):
        read_takedowns_of(path)
    with pytest.raises(TakedownListUnreadable, match=match):
        export_takedowns(catalog, path)
    assert path.read_bytes() == content
    for missing in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(TakedownListUnreadable):
            read_takedowns_of(missing)


def test_a_restore_whose_takedowns_fail_leaves_nothing(
    backup: Path, data_dir: DataDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr("indexer.restore.bring_back", broken)
    with pytest.raises(OSError, match="the disk is gone"):
        restored_with(backup, data_dir.root, tmp_path / "back")
    assert not (tmp_path / "back").exists()
