from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from indexer.blob_store import BlobStore


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "blobs")


def received(store: BlobStore, content: bytes) -> Path:
    store.incoming.mkdir(parents=True, exist_ok=True)
    path = store.incoming / "upload"
    path.write_bytes(content)
    return path


def blobs(store: BlobStore) -> set[str]:
    return {path.name for path in store.root.glob("??/*") if path.parent.name != "in"}


def test_a_blob_lies_under_the_digest_of_its_content(store: BlobStore) -> None:
    blob = store.add(received(store, b"content"))
    assert blob.sha256 == hashlib.sha256(b"content").hexdigest()
    assert blob.path == store.path(blob.sha256)
    assert blob.path.read_bytes() == b"content"
    assert (blob.size_bytes, blob.mtime_ns) == (7, blob.path.stat().st_mtime_ns)
    assert list(store.incoming.iterdir()) == []


def test_content_that_is_there_keeps_the_modification_time_that_items_remember(
    store: BlobStore,
) -> None:
    first = store.add_text("the same words")
    again = store.add_text("the same words")
    assert again == first
    assert len(blobs(store)) == 1
    assert list(store.incoming.iterdir()) == []


def test_a_blob_cut_short_is_replaced_by_the_whole_one(store: BlobStore) -> None:
    blob = store.add_text("all of it")
    os.truncate(blob.path, 3)
    assert store.add_text("all of it").path.read_text() == "all of it"


def test_a_sweep_takes_old_orphans_alone(store: BlobStore) -> None:
    kept = store.add_text("an item has it")
    orphan = store.add_text("nobody has it")
    assert store.sweep({kept.sha256}, grace_seconds=3600) == 0, "they are young"
    assert store.sweep({kept.sha256}, grace_seconds=-1) == 1
    assert blobs(store) == {kept.sha256}
    assert not orphan.path.exists()


def test_what_was_never_received_whole_is_swept_too(store: BlobStore) -> None:
    left = received(store, b"half of an upl")
    assert store.sweep(set(), grace_seconds=3600) == 0
    assert store.sweep(set(), grace_seconds=-1) == 1
    assert not left.exists()


def test_there_is_nothing_to_sweep_before_the_first_blob(store: BlobStore) -> None:
    assert store.sweep(set()) == 0
    assert not store.root.exists()
