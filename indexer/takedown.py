"""Taking items down for good: hidden at once, kept out, erased in time or now, with a receipt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from encoders.encoder import EncoderIdentity
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
from indexer.lock import writer_lock
from indexer.manifest import SnapshotCorrupt
from indexer.publish import finished_snapshots, read_pointer, remove_snapshots
from indexer.reindex import reindex
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
    identities: Mapping[str, EncoderIdentity],
    takedown_id: str,
) -> Receipt:
    """Erase now what still holds the items of a takedown.

    The live snapshot is replaced by a new one before it is removed, older ones that hold the items
    are removed, and the catalog's file is written anew. It takes as long as a reindex and holds
    the collection's writer lock.

    Raises:
        UnknownTakedown: the collection has none of this id.
        PurgeRefused: saying why; the items stay taken down.
    """
    takedown = catalog.takedowns.get(config.name, takedown_id)
    try:
        with writer_lock(data_dir, config.name, "kindred takedown --purge"):
            _purge(catalog, data_dir, config, identities, takedown)
    except (KindredError, OSError) as error:
        raise PurgeRefused.because(takedown_id, error) from error
    return read_receipt(catalog, data_dir, config.name, takedown_id)


def _purge(
    catalog: Catalog,
    data_dir: DataDir,
    config: CollectionConfig,
    identities: Mapping[str, EncoderIdentity],
    takedown: Takedown,
) -> None:
    name, takedown_id = config.name, takedown.takedown_id
    if takedown.lifted_at is not None:
        raise Refused(f"it was lifted at {takedown.lifted_at}")
    remove_unfinished(data_dir, name)
    if _live_holds(data_dir, takedown):
        reindex(catalog, data_dir, config, identities)
    holding = [path.name for path in finished_snapshots(data_dir, name) if holds(path, takedown)]
    removed = remove_snapshots(data_dir, name, holding)
    catalog.takedowns.note_erased(takedown_id, [f"snapshot {each}" for each in removed])
    settle_takedowns(catalog, data_dir, name)
    if catalog.takedowns.get(name, takedown_id).erased_at is None:
        still = ", ".join(forecast_of(data_dir, takedown).held_by)
        raise Refused(f"something still holds them: {still}")


def _live_holds(data_dir: DataDir, takedown: Takedown) -> bool:
    """Tell whether the live snapshot has to be replaced before what it holds can be removed."""
    try:
        pointer = read_pointer(data_dir, takedown.collection)
    except SnapshotCorrupt:
        return True
    if pointer is None:
        return False
    return holds(data_dir.snapshots(takedown.collection) / pointer.snapshot_id, takedown)
