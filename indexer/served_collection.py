"""Which encoders the live snapshot wants to be asked with: those that made it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

from encoders.config import medium_of_encoder
from encoders.encoder import EncoderIdentity
from encoders.errors import KindredError
from indexer.config import CollectionConfig
from indexer.manifest import Manifest, read_manifest
from indexer.snapshot import Snapshot

IdentitiesOf: TypeAlias = Callable[[CollectionConfig], Mapping[str, EncoderIdentity]]
"""Gives the encoder of each channel of a collection without loading any."""


def served_collection(
    path: Path | None, config: CollectionConfig, identities_of: IdentitiesOf
) -> CollectionConfig:
    """Return the collection to answer from a snapshot with.

    While a new model is brought in, the collection's file names encoders that the live snapshot was
    not made by. Then the collection that the snapshot was built for goes on serving, as long as its
    models are there.

    Args:
        path: the folder of the live snapshot, ``None`` before the first.
        config: the collection as its file describes it now.
        identities_of: gives a collection's encoders.

    Returns:
        ``config``, unless the snapshot's own collection fits the snapshot and ``config`` does not.

    Raises:
        SnapshotCorrupt, SnapshotUnreadable: the snapshot cannot be read.
    """
    if path is None:
        return config
    manifest = read_manifest(path)
    if is_made_by(manifest, identities_of(config)):
        return config
    return own_collection(path, identities_of) or config


def own_collection(path: Path, identities_of: IdentitiesOf) -> CollectionConfig | None:
    """Return the collection that a snapshot was built for, if its encoders are still there.

    Args:
        path: the folder of the snapshot.
        identities_of: gives a collection's encoders.

    Raises:
        SnapshotCorrupt, SnapshotUnreadable: the snapshot cannot be read.
    """
    manifest = read_manifest(path)
    own = Snapshot(path, manifest).collection
    if own is None:
        return None
    try:
        fits = is_made_by(manifest, identities_of(own))
    except KindredError:  # a model is not there any more
        return None
    return own if fits else None


def made_by(path: Path) -> tuple[CollectionConfig, dict[str, EncoderIdentity]] | None:
    """Return the collection that a snapshot was built for and its encoders, as the snapshot says.

    Whether their models are there is not asked: an index is built from vectors that are.

    Args:
        path: the folder of the snapshot.

    Returns:
        ``None`` for a snapshot of a version that did not say which collection it was built for.

    Raises:
        SnapshotCorrupt, SnapshotUnreadable: the snapshot cannot be read.
    """
    manifest = read_manifest(path)
    own = Snapshot(path, manifest).collection
    if own is None or not own.channels.keys() <= manifest.channels.keys():
        return None
    return own, {
        name: EncoderIdentity(
            entry.encoder_id, entry.space_id, entry.dim, medium_of_encoder(channel.encoder)
        )
        for name, channel in own.channels.items()
        for entry in [manifest.channels[name]]
    }


def is_made_by(manifest: Manifest, identities: Mapping[str, EncoderIdentity]) -> bool:
    """Tell whether the vectors of every channel that both know come from these encoders."""
    return all(
        manifest.channels[name].encoder_id == identity.encoder_id
        for name, identity in identities.items()
        if name in manifest.channels
    )
