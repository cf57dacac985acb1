"""What a manifest says of itself and of its files, and what is refused because of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from indexer.ann.index_entry import SearchSettings
from indexer.ann.opening import IndexMismatch
from indexer.catalog.catalog import Catalog
from indexer.data_dir import DataDir
from indexer.manifest import (
    MANIFEST_FILE,
    Manifest,
    SnapshotCorrupt,
    SnapshotUnreadable,
    durable_entries,
    encode_manifest,
    read_manifest,
)
from indexer.opened_snapshot import OpenedSnapshot
from indexer.snapshot import Snapshot, build_snapshot
from indexer.snapshot_files import mapped_items
from tests.indexer.stored_items import COLLECTION, identities, tiny_config, write_of

CONFIG = tiny_config()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    data_dir = DataDir(tmp_path)
    with Catalog.open(data_dir) as catalog:
        catalog.register_collection(CONFIG)
        catalog.write(COLLECTION, [write_of("a"), write_of("b", seed=1)])
        return build_snapshot(catalog, data_dir, CONFIG, identities()).path


def forged(folder: Path, **changes: object) -> Path:
    """Make the manifest fit the files as they are now, with some fields changed."""
    path = folder / MANIFEST_FILE
    manifest = read_manifest(folder)
    path.unlink()
    files = durable_entries(folder)
    path.write_bytes(encode_manifest(msgspec.structs.replace(manifest, files=files, **changes)))
    return folder


def opened(folder: Path) -> OpenedSnapshot:
    return OpenedSnapshot(Snapshot.open(folder), CONFIG.attributes, identities())


def test_every_changed_byte_of_a_manifest_is_noticed(folder: Path) -> None:
    path = folder / MANIFEST_FILE
    content = path.read_bytes()
    assert read_manifest(folder).num_items == 2
    for place in range(0, len(content), 7):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises((SnapshotCorrupt, SnapshotUnreadable), match=r"manifest\.json"):
            read_manifest(folder)
    changed = content.replace(b'"num_items": 2', b'"num_items": 3', 1)
    assert changed != content
    path.write_bytes(changed)
    with pytest.raises(SnapshotCorrupt, match="it says its sha256 is"):
        read_manifest(folder)


def test_a_manifest_of_format_1_has_no_digest_of_itself(folder: Path) -> None:
    manifest = msgspec.structs.replace(read_manifest(folder), format_version=1)
    (folder / MANIFEST_FILE).write_bytes(msgspec.json.encode(manifest))
    assert read_manifest(folder) == manifest
    manifest = msgspec.structs.replace(manifest, format_version=2)
    (folder / MANIFEST_FILE).write_bytes(msgspec.json.encode(manifest))
    with pytest.raises(SnapshotCorrupt, match="it has 0 sha256s of itself"):
        read_manifest(folder)


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def a_link(path: Path) -> None:
    copy = path.parents[3] / "copy"
    path.rename(copy)
    path.symlink_to(copy)


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("name", [MANIFEST_FILE, "items.arrow", "collection.json"])
@pytest.mark.parametrize("replaced", [a_pipe, a_link, a_folder])
def test_what_is_no_file_is_refused_and_not_waited_for(
    folder: Path, name: str, replaced: Callable[[Path], None]
) -> None:
    replaced(folder / name)
    with pytest.raises(SnapshotCorrupt, match=name):
        Snapshot.open(folder)
    if name == "collection.json":
        with pytest.raises(SnapshotCorrupt, match=name):
            _ = Snapshot(folder, read_manifest(folder)).collection


def replaced_table(path: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    table = change(pa.ipc.open_file(pa.OSFile(str(path))).read_all())
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)


def test_a_table_that_does_not_fit_its_manifest_is_refused(folder: Path) -> None:
    with pytest.raises(SnapshotCorrupt, match=r"items\.arrow: 2 items, expected 3"):
        opened(forged(folder, num_items=3))


def test_segments_of_unknown_items_are_refused(folder: Path) -> None:
    path = folder / "channels/passages/segments.arrow"

    def shifted(table: pa.Table) -> pa.Table:
        rows = pa.array(table.column("item_row").to_numpy() + 7)
        return table.set_column(0, table.schema.field(0), rows)

    replaced_table(path, shifted)
    with pytest.raises(SnapshotCorrupt, match="segments of items that are not in the snapshot"):
        opened(forged(folder))


def test_a_table_without_its_columns_is_refused(folder: Path) -> None:
    replaced_table(folder / "items.arrow", lambda table: table.drop_columns(["item_id"]))
    with pytest.raises(SnapshotCorrupt, match="no column 'item_id' of type string"):
        mapped_items(folder)


def test_a_table_whose_offsets_lead_out_of_it_is_refused(folder: Path) -> None:
    """Following them would end the process."""
    path = folder / "items.arrow"
    buffers = mapped_items(folder).column("item_id").chunk(0).buffers()
    offsets = bytes(buffers[1])[:12]
    content = path.read_bytes()
    assert content.count(offsets) > 0
    wild = np.array([0, 1, 2**30], np.int32).tobytes()
    path.write_bytes(content.replace(offsets, wild, 1))
    with pytest.raises(SnapshotCorrupt, match=r"items\.arrow: not a table"):
        mapped_items(folder)


def test_vectors_of_another_type_are_refused(folder: Path) -> None:
    path = folder / "channels/passages/index.npy"
    np.save(path, np.load(path).astype(np.float32))
    with pytest.raises(IndexMismatch, match=r"index\.npy: not an array of float16"):
        opened(forged(folder))


def test_an_effort_without_end_is_refused(folder: Path) -> None:
    manifest: Manifest = read_manifest(folder)
    channel = manifest.channels["pictures"]
    index = msgspec.structs.replace(channel.index, search=SearchSettings(ef_search=2**40))
    channels = {**manifest.channels, "pictures": msgspec.structs.replace(channel, index=index)}
    with pytest.raises(IndexMismatch, match="ef_search is 1099511627776"):
        opened(forged(folder, channels=channels))


def test_an_index_that_faiss_cannot_read_is_named(folder: Path) -> None:
    (folder / "channels/pictures/index.faiss").write_bytes(b"IxFIrubbish")
    with pytest.raises(IndexMismatch, match=r"index\.faiss: cannot be read: "):
        opened(forged(folder))
