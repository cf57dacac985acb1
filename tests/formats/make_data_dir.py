"""Make a tiny data folder in the formats of whatever version of Kindred is imported.

One archive is kept for each pair of catalog revision and snapshot format that a version wrote. To
make one with the code of an older commit, from the root of the repository::

    mkdir ../old && git archive COMMIT | tar -x -C ../old
    PYTHONPATH=../old python -P tests/formats/make_data_dir.py tests/formats

The archive's name says which formats are inside. Those that are there were made with 41591e2
(catalog 0001) and acb735b (catalog 0002).
"""

from __future__ import annotations

import sys
import tarfile
import tempfile
from pathlib import Path

from indexer.catalog.catalog import Catalog
from indexer.catalog.database import HEAD_REVISION
from indexer.data_dir import DataDir
from indexer.manifest import FORMAT_VERSION
from indexer.publish import publish
from indexer.snapshot import build_snapshot
from tests.indexer.stored_items import COLLECTION, identities, tiny_config, write_of


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


def main() -> None:
    """Write the archive into the folder that is named."""
    name = f"catalog-{HEAD_REVISION}-snapshot-{FORMAT_VERSION}.tar.xz"
    with tempfile.TemporaryDirectory() as scratch:
        fill(DataDir(Path(scratch)))
        with tarfile.open(Path(sys.argv[1]) / name, "w:xz") as archive:
            for path in sorted(Path(scratch).iterdir()):
                archive.add(path, path.name)


if __name__ == "__main__":
    main()
