"""What still holds items that were taken down, when that will be gone, and erasing the last of it.

Masking is done when the takedown has committed. Their bytes live on in snapshots that were built
before, which go one by one as new ones are published, and in the free space of the catalog's file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from encoders.errors import KindredError
from indexer.blob_store import BlobStore
from indexer.catalog.catalog import Catalog
from indexer.catalog.takedown_records import Takedown
from indexer.data_dir import DataDir
from indexer.free_space import require_free_space
from indexer.manifest import read_manifest
from indexer.publish import KEPT_SNAPSHOTS, finished_snapshots
from indexer.snapshot import unfinished_snapshots
from indexer.snapshot_files import mapped_items

CATALOG_REST = "the free space of catalog.sqlite"

CACHES_RECHECKED = timedelta(days=1)
"""A version for browsers that waited to be made when its item was taken down, and that nobody asks
for any more, is written later: caches are looked through again with each snapshot for so long.
"""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What must go before nothing holds the items of a takedown any more."""

    snapshots: tuple[str, ...]
    """Finished snapshots that hold them, oldest first."""

    building: bool
    """A snapshot is being built, perhaps from before the takedown, or was left unfinished."""

    further_snapshots: int
    """How many must be published until the last that holds them is removed."""

    expected: str | None
    """When that is if they come as often as so far, UTC, ISO 8601; ``None``: too few to tell."""

    @property
    def held_by(self) -> list[str]:
        """What holds them now."""
        held = [f"snapshot {name}" for name in self.snapshots]
        if self.building:
            held.append("an unfinished snapshot")
        return [*held, CATALOG_REST]

    def sentence(self) -> str:
        """Return it for people."""
        if self.snapshots:
            what = f"when {', '.join(self.held_by[:-1])} are removed"
        else:
            what = f"when {CATALOG_REST} is overwritten"
        number = self.further_snapshots
        sentence = f"{what}: {number} more published snapshot{'s' if number > 1 else ''}"
        if self.expected is not None:
            sentence += f", about {self.expected} at the rhythm so far"
        return f"{sentence}; `--purge` does it now"

    def as_json(self) -> dict[str, Any]:
        """Return it as receipts show it."""
        return {
            "snapshots": list(self.snapshots),
            "further_snapshots": self.further_snapshots,
            "expected": self.expected,
            "sentence": self.sentence(),
        }


def forecast(
    finished: Sequence[str],
    holding: Sequence[str],
    created: Sequence[datetime],
    *,
    building: bool,
    now: datetime,
    keep: int = KEPT_SNAPSHOTS,
) -> Forecast:
    """Work out when the last file that holds something is removed.

    ```
    finished:  A  B  C        keep 3; A and B hold it
    publish D: B  C  D        A is removed
    publish E: C  D  E        B is removed: 2 more snapshots
    ```

    Args:
        finished: names of finished snapshots, oldest first.
        holding: those of them that hold it, oldest first.
        created: when the finished ones were made, oldest first.
        building: one more that may hold it is being built.
        now: the present.
        keep: how many of the newest are kept.
    """
    if building:
        further = keep + 1
    elif holding:
        num_newer = len(finished) - 1 - finished.index(holding[-1])
        further = max(1, keep - num_newer)
    else:
        further = 1  # with the next one the catalog's file is written anew
    expected = None
    if len(created) > 1:
        interval = (created[-1] - created[0]) / (len(created) - 1)
        expected = (now + further * interval).isoformat(timespec="seconds")
    return Forecast(tuple(holding), building, further, expected)


def forecast_of(data_dir: DataDir, takedown: Takedown) -> Forecast:
    """Return what must go before nothing holds the items of ``takedown`` any more."""
    finished = finished_snapshots(data_dir, takedown.collection)
    created = []
    for path in finished:
        try:
            created.append(datetime.fromisoformat(read_manifest(path).created))
        except KindredError:
            continue  # a damaged one tells nothing about the rhythm
    return forecast(
        [path.name for path in finished],
        [path.name for path in finished if holds(path, takedown)],
        created,
        building=bool(unfinished_snapshots(data_dir, takedown.collection)),
        now=datetime.now(UTC),
    )


def holds(snapshot_folder: Path, takedown: Takedown) -> bool:
    """Tell whether a snapshot has an item of ``takedown``, or its content under another id.

    Items of equal content that were left alone do not count. A snapshot that cannot be read does.
    """
    try:
        items = mapped_items(snapshot_folder)
        named = pc.is_in(items.column("item_id"), pa.array(takedown.item_ids, pa.string()))
        spared = pc.is_in(items.column("item_id"), pa.array(takedown.same_content, pa.string()))
        equal = pc.is_in(items.column("content_sha256"), pa.array(takedown.contents, pa.string()))
    except KindredError:
        return True
    return bool(pc.any(pc.or_(named, pc.and_not(equal, spared))).as_py())


def erase_cached(data_dir: DataDir, contents: Sequence[str]) -> int:
    """Remove everything that was made of some contents, or is one, and return how many files.

    Half-written files are removed too, so that what is being made cannot be kept.

    Args:
        data_dir: whose caches.
        contents: sha256 in hex.
    """
    num_files = 0
    for folder in data_dir.content_caches:
        for sha256 in contents:
            for path in (folder / sha256[:2]).glob(f"{sha256}*"):
                path.unlink(missing_ok=True)
                num_files += 1
    return num_files


def erase_uploads(catalog: Catalog, data_dir: DataDir, contents: Sequence[str]) -> int:
    """Remove uploaded originals of some contents that no item has, and return how many.

    Items of equal content that were left alone keep theirs.
    """
    store = BlobStore(data_dir.blobs)
    return store.remove(set(contents) - catalog.blob_contents())


def settle_takedowns(catalog: Catalog, data_dir: DataDir, collection: str) -> list[str]:
    """Finish the takedowns that no snapshot holds any more: erase the rest and note when.

    The caller holds the collection's writer lock.

    Returns:
        The ids of takedowns that are erased now.

    Raises:
        NoSpace: the catalog's file cannot be written anew.
        CatalogError: it is busy, for instance. The next call tries again.
    """
    active = catalog.takedowns.active(collection)
    now = datetime.now(UTC)
    for takedown in active:
        age = now - datetime.fromisoformat(takedown.requested_at)
        if takedown.erased_at is None or age < CACHES_RECHECKED:
            erase_files(catalog, data_dir, takedown)
    due = [
        takedown
        for takedown in active
        if takedown.erased_at is None
        and not unfinished_snapshots(data_dir, collection)
        and not any(holds(path, takedown) for path in finished_snapshots(data_dir, collection))
    ]
    if not due:
        return []
    require_free_space(data_dir.root, data_dir.catalog_path.stat().st_size)
    catalog.rewrite()
    for takedown in due:
        catalog.takedowns.note_erased(
            takedown.takedown_id, ["every snapshot that held it", CATALOG_REST], last=True
        )
    return [takedown.takedown_id for takedown in due]


def erase_files(catalog: Catalog, data_dir: DataDir, takedown: Takedown) -> None:
    """Remove cached files and uploads of a takedown and note how many, if there were any."""
    num_cached = erase_cached(data_dir, takedown.contents)
    num_uploads = erase_uploads(catalog, data_dir, takedown.contents)
    erased = []
    if num_cached:
        erased.append(f"files in caches: {num_cached} (pictures, versions, questions)")
    if num_uploads:
        erased.append(f"uploaded originals: {num_uploads}")
    if erased:
        catalog.takedowns.note_erased(takedown.takedown_id, erased)
