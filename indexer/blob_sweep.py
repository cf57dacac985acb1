"""Removing uploaded originals that no item has any more."""

from __future__ import annotations

import msgspec

from indexer.blob_store import GRACE_SECONDS, BlobStore
from indexer.catalog.catalog import Catalog
from indexer.catalog.write_jobs import WriteJobs
from indexer.data_dir import DataDir
from indexer.item_operations import PutBlob

# msgspec writes the tag first; so operations that hold vectors need not be read.
_STORES_BLOB = '{"op":"put_blob",'


def sweep_blobs(catalog: Catalog, data_dir: DataDir, grace_seconds: float = GRACE_SECONDS) -> int:
    """Remove blobs that neither a live item of any collection nor a job refers to.

    Returns:
        How many were removed. Younger ones than ``grace_seconds`` stay: the write that brought them
        may still be under way.
    """
    store = BlobStore(data_dir.blobs)
    # Jobs first: an operation that is settled in between has its item by the time items are read.
    waiting = {
        msgspec.json.decode(text, type=PutBlob).sha256
        for text in WriteJobs(catalog.engine).pending_operations(_STORES_BLOB)
    }
    return store.sweep(waiting | catalog.blob_contents(), grace_seconds)
