"""Where items lie, as the catalog keeps it: uploads by a path that moves with the data folder.

```
upload    blobs/<2 digits>/<sha256>    below the data folder, wherever that is restored to
file      /media/cat.png               as it was ingested
```
Earlier versions kept the whole path of an upload. Since the name of a blob is the sha256 of its
content, which the item has as well, it is recognised wherever its data folder lay then.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePath

from indexer.catalog.records import ItemRecord
from indexer.data_dir import BLOBS_FOLDER

UPLOADED = "api"
"""What items written one by one name as the folder they were found through."""


def blob_location(sha256: str) -> str:
    """Return where the blob of a content lies below a data folder."""
    return f"{BLOBS_FOLDER}/{sha256[:2]}/{sha256}"


def stored_location(item: ItemRecord) -> str:
    """Return the location of an item as it is kept and shown."""
    if item.source != UPLOADED or PurePath(item.location).name != item.content_sha256:
        return item.location
    return blob_location(item.content_sha256)


def located(item: ItemRecord, root: Path) -> ItemRecord:
    """Return an item with the path at which its file can be opened.

    Args:
        item: as it was stored.
        root: the data folder.
    """
    kept = stored_location(item)
    if item.source != UPLOADED or not kept:
        return item
    return replace(item, location=str(root / kept))
