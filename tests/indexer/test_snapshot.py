from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from encoders.errors import ConfigError, SpaceMismatch
from indexer.ann.opening import IndexMismatch, open_index
from indexer.catalog.catalog import Catalog
from indexer.data_dir import DataDir
from indexer.manifest import Manifest, encode_manifest, read_manifest
from indexer.opened_snapshot import OpenedSnapshot
from indexer.snapshot import Snapshot, SnapshotCorrupt, SnapshotUnreadable, build_snapshot
from tests.indexer.stored_items import (
    COLLECTION,
    identities,
    random_vectors,
    tiny_config,
    write_of,
)

CONFIG = tiny_config()


@pytest.fixture
def catalog(data_dir: DataDir) -> Iterator[Catalog]:
    with Catalog.open(data_dir) as opened:
        opened.register_collection(CONFIG)
        for number in (3, 1, 2):
            write = write_of(
                f"item-{number}",
                number,
                channels=("pictures", "passages"),
                seed=number,
                attributes={"title": f"number {number}", "other": number},
            )
            opened.write(COLLECTION, [write])
        yield opened


@pytest.fixture
def snapshot(catalog: Catalog, data_dir: DataDir) -> Snapshot:
    return build_snapshot(catalog, data_dir, CONFIG, identities())


def files_of(snapshot: Snapshot) -> set[str]:
    paths = snapshot.path.rglob("*")
    return {path.relative_to(snapshot.path).as_posix() for path in paths if path.is_file()}


def test_a_snapshot_holds_what_the_catalog_held(snapshot: Snapshot) -> None:
    manifest = snapshot.manifest
    assert manifest == read_manifest(snapshot.path)
    assert (manifest.through_seq, manifest.num_items, manifest.num_segments) == (3, 3, 12)
    assert manifest.config_digest == CONFIG.digest
    assert manifest.channels["pictures"].index.engine == "faiss"
    assert manifest.channels["passages"].index.engine == "exact"
    for entry in manifest.channels.values():
        assert (entry.num_items, entry.num_segments, entry.recall_at_10) == (3, 6, 1.0)
    assert files_of(snapshot) == set(manifest.files) | {"manifest.json"}
    assert set(manifest.files) == {
        "collection.json",
        "items.arrow",
        "channels/pictures/index.faiss",
        "channels/pictures/segment_ids.npy",
        "channels/pictures/segments.arrow",
        "channels/passages/index.npy",
        "channels/passages/segment_ids.npy",
        "channels/passages/segments.arrow",
    }


def test_rows_are_sorted_by_item_and_keep_their_order(snapshot: Snapshot) -> None:
    opened = OpenedSnapshot(Snapshot.open(snapshot.path), CONFIG.attributes, identities())
    assert opened.items.column("item_id").to_pylist() == ["item-1", "item-2", "item-3"]
    assert opened.items.column("attributes.title").to_pylist()[2] == "number 3"
    assert opened.items.column("extra").to_pylist()[0] == '{"other":1}'
    assert opened.item_rows(["item-2", "item-0", "item-9"]).tolist() == [1, -1, -1]
    many = [f"item-{number}" for number in range(2_000)]
    assert opened.item_rows(many).tolist()[:5] == [-1, 0, 1, 2, -1]
    passages = opened.channels["passages"]
    assert passages.item_rows.tolist() == [0, 1, 1, 2, 2, 2]
    texts = passages.texts(np.array([5, 0, 3]))
    assert texts == ["item-3-3 passage 2", "item-1-1 passage 0", "item-3-3 passage 0"]
    wanted = random_vectors(3, seed=31)
    np.testing.assert_allclose(passages.index.vectors(np.arange(3, 6)), wanted, atol=1e-3)


def test_vectors_of_another_encoder_stay_out_and_are_counted(
    catalog: Catalog, data_dir: DataDir
) -> None:
    catalog.write(COLLECTION, [write_of("new", 4, version=2)])
    manifest = build_snapshot(catalog, data_dir, CONFIG, identities(version=2)).manifest
    passages = manifest.channels["passages"]
    assert (passages.num_items, passages.num_segments, passages.num_uncovered_items) == (1, 4, 3)


def test_a_channel_without_an_identity_is_refused(catalog: Catalog, data_dir: DataDir) -> None:
    with pytest.raises(ConfigError, match="passages"):
        build_snapshot(catalog, data_dir, CONFIG, {"pictures": identities()["pictures"]})


def test_an_empty_collection_has_a_snapshot_too(data_dir: DataDir) -> None:
    with Catalog.open(data_dir) as catalog:
        catalog.register_collection(CONFIG)
        snapshot = build_snapshot(catalog, data_dir, CONFIG, identities())
    opened = OpenedSnapshot(Snapshot.open(snapshot.path), CONFIG.attributes, identities())
    assert opened.num_items == 0
    assert all(one.index.search(random_vectors(1), 3).rows.max() == -1
               for one in opened.channels.values())  # fmt: skip


def test_what_a_dead_run_left_is_removed_by_the_next(catalog: Catalog, data_dir: DataDir) -> None:
    leftover = data_dir.snapshots(COLLECTION) / ".building-20200101T000000.000000Z-abcdef"
    leftover.mkdir(parents=True)
    (leftover / "items.arrow").write_bytes(b"half")
    build_snapshot(catalog, data_dir, CONFIG, identities())
    assert not leftover.exists()


def test_what_is_not_accepted_never_has_the_name_of_a_snapshot(
    catalog: Catalog, data_dir: DataDir
) -> None:
    seen: list[str] = []

    def refuse(folder: Path, manifest: Manifest) -> None:
        seen.append(folder.name.removesuffix(manifest.snapshot_id))
        assert read_manifest(folder) == manifest
        raise ValueError("not good enough")

    with pytest.raises(ValueError, match="not good enough"):
        build_snapshot(catalog, data_dir, CONFIG, identities(), accept=refuse)
    assert seen == [".building-"]
    assert list(data_dir.snapshots(COLLECTION).iterdir()) == []


def test_a_snapshot_whose_name_may_not_last_is_removed(
    catalog: Catalog, data_dir: DataDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused_for_the_parent(path: Path) -> None:
        if path == data_dir.snapshots(COLLECTION):
            raise OSError(5, "Input/output error", str(path))

    monkeypatch.setattr("indexer.snapshot.sync_folder", refused_for_the_parent)
    with pytest.raises(OSError, match="Input/output error"):
        build_snapshot(catalog, data_dir, CONFIG, identities())
    assert list(data_dir.snapshots(COLLECTION).iterdir()) == []


def test_a_build_that_fails_leaves_nothing(
    catalog: Catalog, data_dir: DataDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("indexer.snapshot.sync_file", full)
    with pytest.raises(OSError, match="No space left"):
        build_snapshot(catalog, data_dir, CONFIG, identities())
    assert list(data_dir.snapshots(COLLECTION).iterdir()) == []


@pytest.mark.parametrize(
    "name",
    ["items.arrow", "channels/pictures/index.faiss", "channels/passages/index.npy",
     "channels/passages/segments.arrow", "channels/pictures/segment_ids.npy"],
)  # fmt: skip
@pytest.mark.parametrize("damage", ["truncate", "flip", "append", "remove", "empty"])
def test_a_damaged_file_is_refused_and_named(snapshot: Snapshot, name: str, damage: str) -> None:
    path = snapshot.path / name
    content = bytearray(path.read_bytes())
    if damage == "truncate":
        path.write_bytes(content[:-1])
    elif damage == "flip":
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    elif damage == "append":
        path.write_bytes(content + b"\0")
    elif damage == "empty":
        path.write_bytes(b"")
    else:
        path.unlink()
    with pytest.raises(SnapshotCorrupt, match=name) as refused:
        Snapshot.open(snapshot.path)
    assert "expected" in refused.value.message


def rewritten(snapshot: Snapshot, **changes: object) -> Path:
    manifest = msgspec.structs.replace(snapshot.manifest, **changes)
    (snapshot.path / "manifest.json").write_bytes(encode_manifest(manifest))
    return snapshot.path


def test_a_wrong_sha256_is_refused(snapshot: Snapshot) -> None:
    files = dict(snapshot.manifest.files)
    files["items.arrow"] = msgspec.structs.replace(files["items.arrow"], sha256="0" * 64)
    with pytest.raises(SnapshotCorrupt, match=r"items\.arrow: expected sha256 000"):
        Snapshot.open(rewritten(snapshot, files=files))


def test_a_manifest_of_another_snapshot_is_refused(snapshot: Snapshot) -> None:
    with pytest.raises(SnapshotCorrupt, match="got other"):
        Snapshot.open(rewritten(snapshot, snapshot_id="other"))


def test_an_unknown_format_is_refused_before_anything_is_read(snapshot: Snapshot) -> None:
    path = snapshot.path / "manifest.json"
    path.write_text('{"format_version": 99, "everything": "else is new"}')
    with pytest.raises(SnapshotUnreadable, match="format version 99"):
        Snapshot.open(snapshot.path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b'{"format_version": 1}'])
def test_a_torn_manifest_is_refused(snapshot: Snapshot, content: bytes) -> None:
    (snapshot.path / "manifest.json").write_bytes(content)
    with pytest.raises(SnapshotCorrupt, match="not a manifest"):
        Snapshot.open(snapshot.path)


def test_an_unfinished_snapshot_is_refused(snapshot: Snapshot) -> None:
    (snapshot.path / "manifest.json").unlink()
    with pytest.raises(SnapshotCorrupt, match="No such file"):
        Snapshot.open(snapshot.path)


def test_a_snapshot_of_another_space_is_refused(snapshot: Snapshot) -> None:
    wider = identities(dim=32)
    with pytest.raises(SpaceMismatch, match=r"'pictures' of snapshot .*dim 16.*dim 32"):
        Snapshot.open(snapshot.path, identities=wider)


def test_an_index_of_another_size_than_its_entry_is_refused(snapshot: Snapshot) -> None:
    manifest: Manifest = snapshot.manifest
    for name in ("pictures", "passages"):
        entry = manifest.channels[name].index
        folder = snapshot.channel_folder(name)
        longer = msgspec.structs.replace(entry, num_rows=entry.num_rows + 1)
        with pytest.raises(IndexMismatch, match="expected 7 rows"):
            open_index(folder, longer, "words")


def test_an_opened_faiss_index_refuses_to_grow(snapshot: Snapshot) -> None:
    entry = snapshot.manifest.channels["pictures"].index
    index = open_index(snapshot.channel_folder("pictures"), entry, "words")
    with pytest.raises(ValueError, match="cannot be added to"):
        index.add(np.array([6]), random_vectors(1))


def test_new_attributes_are_empty_until_the_next_snapshot(snapshot: Snapshot) -> None:
    attributes = {"title": "keyword", "mood": "text"}
    opened = OpenedSnapshot(Snapshot.open(snapshot.path), attributes, identities())  # type: ignore[arg-type]
    assert opened.items.schema.field("attributes.title").type == pa.list_(pa.string())
    assert opened.items.column("attributes.title").null_count == 3
    assert opened.items.column("attributes.mood").null_count == 3


def test_a_file_that_the_manifest_does_not_know_is_refused(snapshot: Snapshot) -> None:
    """Else an index that nobody compared with anything could be opened."""
    manifest = read_manifest(snapshot.path)
    files = {name: entry for name, entry in manifest.files.items() if name != "items.arrow"}
    content = encode_manifest(msgspec.structs.replace(manifest, files=files))
    (snapshot.path / "manifest.json").write_bytes(content)
    with pytest.raises(SnapshotCorrupt, match=r"items\.arrow: not in the manifest"):
        Snapshot.open(snapshot.path)


@pytest.mark.parametrize("name", ["../elsewhere", "/etc/passwd", "channels/../../x", "", "a//b"])
def test_a_manifest_that_leads_elsewhere_is_refused(snapshot: Snapshot, name: str) -> None:
    manifest = read_manifest(snapshot.path)
    entry = manifest.files["items.arrow"]
    changed = msgspec.structs.replace(manifest, files={**manifest.files, name: entry})
    (snapshot.path / "manifest.json").write_bytes(encode_manifest(changed))
    with pytest.raises(SnapshotCorrupt, match="is not a file below it"):
        read_manifest(snapshot.path)


def test_a_channel_that_leads_elsewhere_is_refused(snapshot: Snapshot) -> None:
    manifest = read_manifest(snapshot.path)
    channels = {"../pictures": manifest.channels["pictures"]}
    changed = msgspec.structs.replace(manifest, channels=channels)
    (snapshot.path / "manifest.json").write_bytes(encode_manifest(changed))
    with pytest.raises(SnapshotCorrupt, match="is not the name of a channel"):
        read_manifest(snapshot.path)


def test_a_deeply_nested_manifest_is_refused(snapshot: Snapshot) -> None:
    nested = b'{"format_version": 1, "more": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    (snapshot.path / "manifest.json").write_bytes(nested)
    with pytest.raises(SnapshotCorrupt, match="not a manifest"):
        read_manifest(snapshot.path)
