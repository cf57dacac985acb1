"""Searching a snapshot once in a process of its own: ``python -m indexer.smoke_search FOLDER``.

An index that is wrong in spite of matching checksums, because a library wrote it so, ends a process
in the middle of a search. It ends this one instead of every server.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np

from encoders.child_processes import child_environment, module_command
from encoders.space import unit_rows
from indexer.ann.opening import open_index
from indexer.ann.vector_index import NO_ROW, VectorIndex
from indexer.errors import Refused
from indexer.manifest import ChannelEntry, read_manifest
from indexer.snapshot_files import (
    CHANNELS_FOLDER,
    mapped_items,
    mapped_segments,
    require_fitting_tables,
)

MAX_SCORE = 1.5
"""Inner products of unit vectors end at 1; quantised ones are estimates."""

NUM_QUERIES = 16
K = 10
MAX_SECONDS = 120.0


class SmokeSearchFailed(Refused):
    """A snapshot cannot be searched."""

    code = "smoke_search_failed"


def smoke_search(folder: Path, *, max_seconds: float = MAX_SECONDS) -> None:
    """Search every channel of a snapshot in a child process.

    Args:
        folder: of a finished snapshot.
        max_seconds: how long opening and searching may take.

    Raises:
        SmokeSearchFailed: the child died, hung, or found an answer that cannot be; saying which.
    """
    try:
        done = subprocess.run(
            module_command(__name__, str(folder)),
            env=child_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=max_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise SmokeSearchFailed(
            f"snapshot {folder.name}: no answer to {NUM_QUERIES} searches within {max_seconds:g} s",
            snapshot=folder.name,
            max_seconds=max_seconds,
        ) from error
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["it wrote nothing"])[-1]
        if done.returncode < 0:
            reason = f"the process died ({signal.Signals(-done.returncode).name}): {reason}"
        raise SmokeSearchFailed(
            f"snapshot {folder.name} cannot be searched: {reason}",
            snapshot=folder.name,
            exit_code=done.returncode,
        )


def search_once(folder: Path) -> None:
    """Search every channel of a snapshot, whose files were verified, in this process.

    Raises:
        ValueError: an answer cannot be.
        KindredError: a file is missing or does not hold what the manifest says, or tables and
            indexes do not fit together.
    """
    manifest = read_manifest(folder)
    folders = {name: folder / CHANNELS_FOLDER / name for name in manifest.channels}
    item_rows = {
        name: mapped_segments(channel_folder).column("item_row").to_numpy()
        for name, channel_folder in folders.items()
    }
    require_fitting_tables(folder, manifest, mapped_items(folder), item_rows)
    for name, entry in manifest.channels.items():
        _search_channel(name, entry, open_index(folders[name], entry.index, entry.space_id))


def _search_channel(name: str, entry: ChannelEntry, index: VectorIndex) -> None:
    generator = np.random.default_rng(0)
    queries = unit_rows(generator.standard_normal((NUM_QUERIES, entry.dim)))
    if entry.num_segments:
        some = generator.integers(0, entry.num_segments, NUM_QUERIES // 2)
        queries[: len(some)] = index.vectors(some)
    found = index.search(queries, K)
    is_row = found.rows != NO_ROW
    if is_row.any() != bool(entry.num_segments):
        raise ValueError(f"channel {name!r}: nothing found among {entry.num_segments} segments")
    if (found.rows[is_row] < 0).any() or (found.rows[is_row] >= entry.num_segments).any():
        raise ValueError(f"channel {name!r}: rows found that are not among its segments")
    if not np.isfinite(found.scores[is_row]).all():
        raise ValueError(f"channel {name!r}: scores that are not numbers")
    # Vectors that are not numbers become large ones on the way to the index; see `as_float32`.
    if (np.abs(found.scores[is_row]) > MAX_SCORE).any():
        raise ValueError(f"channel {name!r}: scores beyond 1, which unit vectors cannot have")


if __name__ == "__main__":
    search_once(Path(sys.argv[1]))
