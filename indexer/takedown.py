"""Taking items down for good: hidden at once, kept out, erased in time or now, with a receipt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from encoders.errors import KindredError
from encoders.media.item import check_item_id
from indexer.catalog.catalog import Catalog
from indexer.catalog.takedown_records import Takedown
from indexer.config import CollectionConfig
from indexer.data_dir import DataDir
from indexer.erasure import (
    Forecast,
    erase_files,
    forecast_of,
    holds,
    settle_takedowns,
)
from indexer.errors import Refused
from indexer.lock import Lease, writer_lock
from indexer.manifest import SnapshotCorrupt, SnapshotUnreadable
from indexer.publish import finished_snapshots, live_snapshot_path, remove_snapshots
from indexer.reindex import GateRefused, reindex
from indexer.reindex_report import ReindexReport
from indexer.served_collection import IdentitiesOf, made_by
from indexer.snapshot import remove_unfinished


class PurgeRefused(Refused):
    """Items that are taken down and hidden, but whose bytes could not be erased now."""

    code = "purge_refused"

    @classmethod
    def because(cls, takedown_id: str, error: KindredError | OSError) -> Self:
        """Return it with what stood in the way."""
        return cls(
            f"{takedown_id}: the items are taken down, but not purged yet: {error}",
            takedown=takedown_id,
            cause=error.code if isinstance(error, KindredError) else "system_error",
        )


@dataclass(frozen=True, slots=True)
class Receipt:
    """A takedown as it stands now."""

    takedown: Takedown

    erased_by: Forecast | None
    """What must go yet; ``None``: nothing holds it any more, or the takedown was lifted."""

    def as_json(self) -> dict[str, Any]:
        """Return it as the command line and the API print it."""
        done = self.takedown
        return {
            "takedown_id": done.takedown_id,
            "collection": done.collection,
            "requested_at": done.requested_at,
            "requested_by": done.requested_by,
            "reason": done.reason,
            "items": [asdict(item) for item in done.items],
            "content_sha256s": done.contents,
            "unknown": [item.item_id for item in done.items if item.state == "unknown"],
            "same_content": list(done.same_content),
            "erased": [asdict(erasure) for erasure in done.erasures],
            "held_by": self.erased_by.held_by if self.erased_by else [],
            "erased_by": self.erased_by.as_json() if self.erased_by else None,
            "erased_at": done.erased_at,
            "lifted_at": done.lifted_at,
            "lifted_by": done.lifted_by,
        }


def read_receipt(catalog: Catalog, data_dir: DataDir, collection: str, takedown_id: str) -> Receipt:
    """Return the receipt of a takedown.

    Raises:
        UnknownTakedown: the collection has none of this id.
    """
    takedown = catalog.takedowns.get(collection, takedown_id)
    is_over = takedown.erased_at is not None or takedown.lifted_at is not None
    return Receipt(takedown, None if is_over else forecast_of(data_dir, takedown))


def take_down(
    catalog: Catalog,
    data_dir: DataDir,
    collection: str,
    item_ids: Sequence[str],
    *,
    same_content: bool = False,
    requested_by: str,
    reason: str | None = None,
) -> Receipt:
    """Hide items everywhere and keep them from coming back; an ingest may go on meanwhile.

    Every snapshot hides them, older ones and one that is being built as well: what became of an
    item after a snapshot is read from the catalog whichever one is served. What caches hold of them
    is erased.

    Args:
        catalog: where they are.
        data_dir: whose caches are looked through.
        collection: whose items.
        item_ids: ids that may be unknown: they are blocked too, and the receipt says so.
        same_content: take down items with equal bytes as well, which else are only listed.
        requested_by: who asked, for the receipt.
        reason: why, for the receipt.

    Raises:
        InvalidItemId: an id does not have the agreed form; nothing was changed.
    """
    for item_id in item_ids:
        check_item_id(item_id)
    takedown = catalog.takedowns.take_down(
        collection, item_ids, same_content=same_content, requested_by=requested_by, reason=reason
    )
    erase_files(catalog, data_dir, takedown)
    return read_receipt(catalog, data_dir, collection, takedown.takedown_id)


def purge(
    catalog: Catalog,
    data_dir: DataDir,
    config: CollectionConfig,
    identities_of: IdentitiesOf,
    takedown_id: str,
) -> Receipt:
    """Erase now what still holds the items of a takedown.

    The live snapshot is replaced by a new one before it is removed, older ones that hold the items
    are removed, and the catalog's file is written anew. It takes as long as a reindex and holds
    the collection's writer lock.

    The new snapshot is built as the live one was, for the same collection with the same encoders,
    so a change of model that is half done waits; no model is needed. What the gate finds wrong with
    the collection (failed files, coverage, expected answers) does not keep it from being published,
    and the receipt says so; an index that is itself worse than it may be does.

    Args:
        catalog: where the takedown is.
        data_dir: whose snapshots.
        config: the collection, for when there is no live snapshot that says what it was built for.
        identities_of: gives its encoders then.
        takedown_id: of the takedown.

    Raises:
        UnknownTakedown: the collection has none of this id.
        PurgeRefused: saying why; the items stay taken down.
    """
    takedown = catalog.takedowns.get(config.name, takedown_id)
    try:
        with writer_lock(data_dir, config.name, "kindred takedown --purge") as lease:
            _purge(catalog, data_dir, config, identities_of, takedown, lease)
    except (KindredError, OSError) as error:
        raise PurgeRefused.because(takedown_id, error) from error
    return read_receipt(catalog, data_dir, config.name, takedown_id)


def _purge(
    catalog: Catalog,
    data_dir: DataDir,
    config: CollectionConfig,
    identities_of: IdentitiesOf,
    takedown: Takedown,
    lease: Lease,
) -> None:
    name, takedown_id = config.name, takedown.takedown_id
    if takedown.lifted_at is not None:
        raise Refused(f"it was lifted at {takedown.lifted_at}")
    remove_unfinished(data_dir, name)
    replaced: dict[str, str] = {}
    live, has_to_go = _live(data_dir, takedown)
    if has_to_go:
        report = _rebuild(catalog, data_dir, config, identities_of, live, takedown_id, lease)
        if live is not None and report.overruled:
            replaced[live.name] = _replaced(report)
    holding = [path.name for path in finished_snapshots(data_dir, name) if holds(path, takedown)]
    removed = remove_snapshots(data_dir, name, holding)
    catalog.takedowns.note_erased(
        takedown_id, [f"snapshot {each}{replaced.get(each, '')}" for each in removed]
    )
    settle_takedowns(catalog, data_dir, name)
    if catalog.takedowns.get(name, takedown_id).erased_at is None:
        still = ", ".join(forecast_of(data_dir, takedown).held_by)
        raise Refused(f"something still holds them: {still}")


def _rebuild(
    catalog: Catalog,
    data_dir: DataDir,
    config: CollectionConfig,
    identities_of: IdentitiesOf,
    live: Path | None,
    takedown_id: str,
    lease: Lease,
) -> ReindexReport:
    """Put a new snapshot in the place of the live one."""
    try:
        own = None if live is None else made_by(live)
    except (SnapshotCorrupt, SnapshotUnreadable):
        own = None
    built_for, identities = own or (config, identities_of(config))
    erasing = f"purge of {takedown_id}"
    try:
        return reindex(catalog, data_dir, built_for, identities, erasing=erasing, lease=lease)
    except GateRefused as error:
        raise GateRefused(
            f"{error.message}; `kindred reindex --force` publishes it all the same, then take the "
            "items down with --purge again",
            **error.detail,
        ) from error


def _replaced(report: ReindexReport) -> str:
    """Return what a receipt says of a rebuild that the gate would have refused."""
    assert report.manifest is not None, "a rebuild that ended without an error made a snapshot"
    found = "; ".join(report.overruled)
    return f", replaced by {report.manifest.snapshot_id} although the gate found: {found}"


def _live(data_dir: DataDir, takedown: Takedown) -> tuple[Path | None, bool]:
    """Return the live snapshot, and whether another has to take its place before it can go."""
    try:
        live = live_snapshot_path(data_dir, takedown.collection)
    except SnapshotCorrupt:  # nobody knows which one is live
        return None, True
    return live, live is not None and holds(live, takedown)
