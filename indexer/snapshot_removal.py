"""Removing snapshots, and what builds that died left behind, from disk and from Qdrant servers."""

from __future__ import annotations

import shutil
from pathlib import Path

import structlog

from indexer.ann.qdrant_errors import QdrantServerFailed
from indexer.ann.qdrant_generation import GENERATION_FILE, GenerationUnreadable
from indexer.ann.qdrant_server_build import drop_generations
from indexer.data_dir import DataDir

BUILDING_PREFIX = ".building-"
"""Of the names of folders that are no finished snapshots, yet or any more."""

log = structlog.get_logger("kindred.snapshot")


def remove_snapshot(path: Path) -> None:
    """Remove a finished snapshot: one step makes it unfinished, so no part of it ever counts.

    Should that be all that happens, the next build removes the rest.

    Raises:
        QdrantServerFailed: the part of it that is on a server could not be removed.
        GenerationUnreadable: nobody knows where that part is.
    """
    discard(path.rename(path.with_name(f"{BUILDING_PREFIX}{path.name}")))


def discard(folder: Path) -> None:
    """Remove an unfinished snapshot, on servers first: only its files say what is there.

    Raises:
        QdrantServerFailed: a generation could not be removed; its record stays, all else is gone.
        GenerationUnreadable: nobody knows where one is; the same.
    """
    try:
        drop_generations(folder)
    except (QdrantServerFailed, GenerationUnreadable):
        for path in list(folder.rglob("*")):
            if path.is_file() and path.name != GENERATION_FILE:
                path.unlink()
        raise
    shutil.rmtree(folder)


def unfinished_snapshots(data_dir: DataDir, collection: str) -> list[Path]:
    """Return the folders of snapshots that are being built, or removed, or were left so."""
    return sorted(data_dir.snapshots(collection).glob(f"{BUILDING_PREFIX}*"))


def remove_unfinished(data_dir: DataDir, collection: str) -> None:
    """Remove what runs that died left behind; the caller holds the collection's writer lock.

    What is on a server that does not answer is left for the next time.
    """
    for leftover in unfinished_snapshots(data_dir, collection):
        try:
            discard(leftover)
        except (QdrantServerFailed, GenerationUnreadable) as error:
            log.warning(
                "cannot remove an old snapshot from its server; the next build tries again (remove "
                "the folder if the server is gone for good)",
                folder=str(leftover),
                error=error.message,
            )
