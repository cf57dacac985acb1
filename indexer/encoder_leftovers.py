"""Vectors that nobody asks: of a backfill that was given up, for instance.

A reindex forgets the vectors of encoders whose last snapshot it removes. Those of an encoder that
never made a snapshot stay, since the backfill that makes them may go on tomorrow; once the
collection does not name it any more they can be dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from encoders.encoder import EncoderIdentity
from indexer.catalog.catalog import Catalog
from indexer.data_dir import DataDir
from indexer.manifest import SnapshotCorrupt, SnapshotUnreadable, read_manifest
from indexer.publish import finished_snapshots


@dataclass(frozen=True, slots=True)
class Leftover:
    """What one encoder made in one channel, which neither a snapshot nor the collection names."""

    channel: str
    encoder_id: str

    items: int
    """Live items with vectors of it."""

    only: int
    """Of these: items that nothing else is encoded of in the channel. Their vectors are kept: words
    that were heard or cut are read from them.
    """

    bytes: int
    """Size of the vectors."""

    def as_json(self) -> dict[str, Any]:
        """Return it as the command line prints it."""
        return asdict(self)


def encoders_of_snapshots(data_dir: DataDir, collection: str) -> set[str]:
    """Return the encoders whose vectors are in a snapshot that can be served."""
    found = set()
    for path in finished_snapshots(data_dir, collection):
        try:
            manifest = read_manifest(path)
        except (SnapshotCorrupt, SnapshotUnreadable):
            continue  # it cannot be served
        found |= {entry.encoder_id for entry in manifest.channels.values()}
    return found


def find_leftovers(
    catalog: Catalog,
    data_dir: DataDir,
    collection: str,
    identities: Mapping[str, EncoderIdentity],
) -> tuple[Leftover, ...]:
    """Return what is stored of encoders that nobody asks.

    Args:
        catalog: where vectors are.
        data_dir: whose snapshots are asked.
        collection: which one.
        identities: the encoders that it names.
    """
    needed = _needed(data_dir, collection, identities)
    return tuple(Leftover(*row) for row in catalog.encodings_beside(collection, needed))


def drop_leftovers(
    catalog: Catalog,
    data_dir: DataDir,
    collection: str,
    identities: Mapping[str, EncoderIdentity],
) -> tuple[Leftover, ...]:
    """Drop what `find_leftovers` finds, but for items of which nothing else is encoded.

    The caller holds the collection's writer lock. No change of any item: whoever serves notices
    nothing. Arguments as there.

    Returns:
        What was found before.
    """
    found = find_leftovers(catalog, data_dir, collection, identities)
    if found:
        needed = _needed(data_dir, collection, identities)
        catalog.drop_encodings_beside(collection, needed)
    return found


def _needed(
    data_dir: DataDir, collection: str, identities: Mapping[str, EncoderIdentity]
) -> set[str]:
    named = {identity.encoder_id for identity in identities.values()}
    return named | encoders_of_snapshots(data_dir, collection)
