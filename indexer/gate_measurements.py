"""What the gate decides by that a manifest does not say: failed files and canaries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np

from encoders.encoder import EncoderIdentity
from encoders.errors import KindredError
from indexer.ann.vector_index import NO_ROW
from indexer.canaries import (
    ChannelCanaries,
    compared,
    known_items,
    nearest_other_items,
    rows_of_unchanged,
    sample_segment_ids,
)
from indexer.catalog.catalog import Catalog
from indexer.config import CollectionConfig
from indexer.gate_config import CanaryConfig
from indexer.opened_snapshot import OpenedSnapshot
from indexer.snapshot import Snapshot
from indexer.snapshot_files import SEGMENT_IDS_FILE


class Measured(msgspec.Struct, frozen=True):
    """Numbers about a new snapshot and the run before it."""

    num_items: int = 0
    """Live items of the collection."""

    failed: dict[str, int] = {}
    """Files that failed at their latest attempt, by reason."""

    channels: dict[str, ChannelCanaries] = {}

    wrong_canaries: tuple[str, ...] = ()
    """Named canaries that did not find what they should, one sentence each."""

    notes: tuple[str, ...] = ()
    """What could not be looked at, and why."""

    @property
    def num_failed(self) -> int:
        """Files that failed at their latest attempt."""
        return sum(self.failed.values())

    @property
    def failed_share(self) -> float:
        """Failed files of all that are known; 0 where there is none."""
        return self.num_failed / max(1, self.num_items + self.num_failed)


def measure(
    catalog: Catalog,
    config: CollectionConfig,
    identities: Mapping[str, EncoderIdentity],
    snapshot: Snapshot,
    live_path: Path | None,
) -> Measured:
    """Ask a new snapshot what the gate wants to know.

    Args:
        catalog: what it was built from.
        config: the collection.
        identities: the encoder of each channel.
        snapshot: finished, and searched once in a process of its own.
        live_path: folder of the snapshot that is served; ``None`` before the first.
    """
    new = OpenedSnapshot(snapshot, config.attributes, identities)
    channels = {name: _known_items(catalog, snapshot, new, name) for name in new.channels}
    notes = []
    if live_path is not None:
        try:
            live = OpenedSnapshot(Snapshot.open(live_path), config.attributes, identities)
        except KindredError as error:
            notes.append(f"nothing was compared with the live snapshot: {error.message}")
        else:
            new_rows = rows_of_unchanged(live, new)
            channels = {
                name: compared(live, new, name, new_rows, measured)
                for name, measured in channels.items()
            }
    wrong = []
    for canary in config.gate.canaries:
        gone = _unknown_items(catalog, config.name, canary)
        if gone:
            notes.append(f"{_title(canary)} was not asked: {', '.join(gone)} is not in the catalog")
        elif problem := _wrong(new, canary):
            wrong.append(f"{_title(canary)} {problem}")
    return Measured(
        num_items=catalog.counts(config.name).items,
        failed=dict(
            Counter(
                failure.reason or "unknown" for failure in catalog.failures(config.name)
            ).most_common()
        ),
        channels=channels,
        wrong_canaries=tuple(wrong),
        notes=tuple(notes),
    )


def _known_items(
    catalog: Catalog, snapshot: Snapshot, new: OpenedSnapshot, channel: str
) -> ChannelCanaries:
    segment_ids = np.load(snapshot.channel_folder(channel) / SEGMENT_IDS_FILE)
    with catalog.state() as state:
        asked = state.embeddings.some(
            snapshot.manifest.collection,
            sample_segment_ids(segment_ids),
            through_seq=snapshot.manifest.through_seq,
        )
    return known_items(new, channel, asked)


def _title(canary: CanaryConfig) -> str:
    return f"canary {canary.item_id!r} of channel {canary.channel!r}"


def _unknown_items(catalog: Catalog, collection: str, canary: CanaryConfig) -> list[str]:
    """Return the items of a canary that were deleted or never were: no fault of the snapshot."""
    return [
        repr(item_id)
        for item_id in (canary.item_id, *canary.expect)
        if catalog.item(collection, item_id) is None
    ]


def _wrong(new: OpenedSnapshot, canary: CanaryConfig) -> str | None:
    """Return what is wrong with the answer to a canary."""
    (item_row,) = new.item_rows([canary.item_id]).tolist()
    nearest = None
    if item_row != NO_ROW and canary.channel in new.channels:
        nearest = nearest_other_items(new, canary.channel, item_row)
    if nearest is None:
        return "has no segment to ask with"
    expected = zip(canary.expect, new.item_rows(canary.expect).tolist(), strict=True)
    missing = [repr(item_id) for item_id, row in expected if row not in nearest]
    if not missing:
        return None
    column = new.items.column("item_id")
    found = ", ".join(repr(column[row].as_py()) for row in nearest) or "nothing"
    return f"does not find {', '.join(missing)} among the ten nearest other items: {found}"
