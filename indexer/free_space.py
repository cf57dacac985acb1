"""Is there room for a new snapshot? Asked before it is built, not when the disk is full."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from encoders.encoder import EncoderIdentity
from indexer.catalog.catalog import Catalog
from indexer.config import CollectionConfig
from indexer.errors import Refused

SAFETY_FACTOR = 2.0
"""Free space asked for, over what a snapshot is expected to take."""

BYTES_PER_DIMENSION = 6
"""Two for the vector as it is staged, four for the index; refined ones keep both."""

BYTES_PER_SEGMENT = 100
"""Row numbers, times and some words; links of a graph."""

BYTES_PER_ITEM = 500
"""Identifier, location and attributes."""


class NoSpace(Refused):
    """The disk has no room for what is to be written."""

    code = "no_space"


def expected_bytes(
    catalog: Catalog, config: CollectionConfig, identities: Mapping[str, EncoderIdentity]
) -> int:
    """Return about how much a snapshot of a collection takes while it is built."""
    with catalog.state() as state:
        segments = {
            name: state.coverage(config.name, name, identities[name].encoder_id).current_segments
            for name in config.channels
        }
    of_vectors = sum(
        count * (BYTES_PER_DIMENSION * identities[name].dim + BYTES_PER_SEGMENT)
        for name, count in segments.items()
    )
    return of_vectors + BYTES_PER_ITEM * catalog.counts(config.name).items


def require_free_space(folder: Path, num_bytes: int) -> None:
    """Refuse to begin what would fill the disk.

    Args:
        folder: an existing folder on the disk in question.
        num_bytes: what is about to be written.

    Raises:
        NoSpace: less than `SAFETY_FACTOR` times as much is free.
    """
    wanted = round(SAFETY_FACTOR * num_bytes)
    free = shutil.disk_usage(folder).free
    if free < wanted:
        raise NoSpace(
            f"{folder}: a new snapshot takes about {num_bytes / 2**20:,.0f} MiB, "
            f"{wanted / 2**20:,.0f} MiB should be free, {free / 2**20:,.0f} MiB are; nothing was "
            "changed",
            folder=str(folder),
            expected_bytes=num_bytes,
            wanted_bytes=wanted,
            free_bytes=free,
        )
