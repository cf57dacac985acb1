"""Make a tiny data folder in the formats of whatever version of Kindred is imported.

One archive is kept for each pair of catalog revision and snapshot format. To make one with the code
of an older commit, from the root of the repository::

    mkdir ../old && git archive COMMIT | tar -x -C ../old
    PYTHONPATH=../old python -P tests/formats/make_data_dir.py tests/formats

The archive's name says which formats are inside. Those that are there were made with 41591e2
(catalog 0001), acb735b (catalog 0002) and 7aa4fc3 (catalog 0005). Revisions 0003 and 0004 were
never the newest of any version; their archives are what a migration passes through, made of the one
before and of what the revision introduced::

    PYTHONPATH=. python -P tests/formats/make_data_dir.py tests/formats 0003 0004
"""

from __future__ import annotations

import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine

from indexer.catalog.catalog import Catalog
from indexer.catalog.database import HEAD_REVISION
from indexer.data_dir import DataDir
from indexer.manifest import FORMAT_VERSION
from indexer.publish import publish
from indexer.snapshot import build_snapshot
from tests.indexer.stored_items import COLLECTION, identities, tiny_config, write_of

UPLOADED_TEXT = "an upload of before"


def fill(data_dir: DataDir) -> None:
    """Publish three items of which one is then deleted, and write one that is in no snapshot."""
    config = tiny_config()
    with Catalog.open(data_dir) as catalog:
        catalog.register_collection(config)
        both = ("passages", "pictures")
        attributes = {"title": "An old friend", "tags": ["kept"], "year": 2026}
        catalog.write(COLLECTION, [write_of("a", channels=both, attributes=attributes)])
        catalog.write(COLLECTION, [write_of("b", seed=1), write_of("gone", seed=2)])
        publish(build_snapshot(catalog, data_dir, config, identities()), data_dir)
        catalog.delete(COLLECTION, ["gone"])
        catalog.write(COLLECTION, [write_of("late", seed=3)])
        if HEAD_REVISION >= "0003":
            take_down(catalog.engine)
        if HEAD_REVISION >= "0004":
            accept_writes(catalog.engine, data_dir)
            upload(catalog, data_dir)
        if HEAD_REVISION >= "0005":
            encode_again(catalog)


def take_down(engine: Any) -> None:
    """Take an item down that had been deleted."""
    from indexer.catalog.takedowns import TakedownStore

    store = TakedownStore(engine)
    store.take_down(COLLECTION, ["gone"], requested_by="legal", reason="a claim")


def accept_writes(engine: Any, data_dir: DataDir) -> None:
    """Answer a request that has a key, and accept a job that stays to be done."""
    import msgspec

    from indexer.blob_store import BlobStore
    from indexer.catalog.idempotency import KeyClaim, StoredAnswer
    from indexer.catalog.job_records import JobEntry
    from indexer.catalog.live_writes import LiveWrites
    from indexer.catalog.write_jobs import WriteJobs
    from indexer.item_operations import PutBlob

    blob = BlobStore(data_dir.blobs).add_text("to be stored yet")
    operation = PutBlob(
        item_id="queued", sha256=blob.sha256, size_bytes=blob.size_bytes, mtime_ns=blob.mtime_ns,
        medium="text", format="plain", name="queued.txt",
    )  # fmt: skip
    entry = JobEntry("queued", msgspec.json.encode(operation).decode())
    claim = KeyClaim(COLLECTION, "key-1", "0" * 64, "somebody", 1e9)
    LiveWrites(engine).claim(claim)
    answer = StoredAnswer(202, '{"job_id":"job-1"}', "/v1/jobs/job-1")
    WriteJobs(engine).create(COLLECTION, [entry], lambda _: answer, claim, max_open=9)


def upload(catalog: Catalog, data_dir: DataDir) -> None:
    """Store an item whose original lies in the data folder."""
    from dataclasses import replace

    from indexer.blob_store import BlobStore

    blob = BlobStore(data_dir.blobs).add_text(UPLOADED_TEXT)
    write = write_of("upload", seed=4)
    item = replace(
        write.item,
        source="api",
        location=str(blob.path),
        content_sha256=blob.sha256,
        size_bytes=blob.size_bytes,
        mtime_ns=blob.mtime_ns,
    )
    catalog.write(COLLECTION, [replace(write, item=item)])


def encode_again(catalog: Catalog) -> None:
    """Put another model's vectors beside those of an item."""
    from dataclasses import replace

    catalog.write(COLLECTION, [replace(write_of("a", version=2), adds_encodings=True)])


def pass_through(data_dir: DataDir, revision: str) -> None:
    """Bring the catalog of a data folder to a revision and write what it introduced."""
    from indexer.catalog import migrations

    engine = create_engine(f"sqlite:///{data_dir.catalog_path}")
    with engine.begin() as connection:
        migrations.upgrade(connection, revision)
    if revision == "0003":
        take_down(engine)
    if revision == "0004":
        accept_writes(engine, data_dir)
    engine.dispose()


def pack(folder: Path, archives: Path, revision: str) -> None:
    """Write a data folder into an archive."""
    name = f"catalog-{revision}-snapshot-{FORMAT_VERSION}.tar.xz"
    with tarfile.open(archives / name, "w:xz") as archive:
        for path in sorted(folder.iterdir()):
            archive.add(path, path.name)


def main() -> None:
    """Write archives into the folder that is named."""
    archives, *revisions = sys.argv[1:]
    for revision in revisions or [HEAD_REVISION]:
        with tempfile.TemporaryDirectory() as scratch:
            data_dir = DataDir(Path(scratch))
            if revision == HEAD_REVISION:
                fill(data_dir)
            else:
                before = f"catalog-{int(revision) - 1:04}-snapshot-{FORMAT_VERSION}.tar.xz"
                with tarfile.open(Path(archives) / before) as archive:
                    archive.extractall(scratch, filter="data")
                pass_through(data_dir, revision)
            pack(Path(scratch), Path(archives), revision)


if __name__ == "__main__":
    main()
