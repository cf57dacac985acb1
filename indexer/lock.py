"""One writer at a time for a collection."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from filelock import FileLock, Timeout

from indexer.data_dir import DataDir
from indexer.errors import LockHeld


@contextmanager
def writer_lock(data_dir: DataDir, collection: str, command: str) -> Iterator[None]:
    """Hold the writer lock of a collection, or refuse at once.

    The kernel lets go of the lock when the process ends, however it ends, so a killed run leaves
    nothing behind that has to be cleaned up by hand.

    Args:
        data_dir: where the lock file lies.
        collection: whose lock.
        command: what is running, told to whoever finds the lock taken.

    Raises:
        LockHeld: another process has it; the message says which.
    """
    path = data_dir.writer_lock(collection)
    path.parent.mkdir(parents=True, exist_ok=True)
    holder = path.with_suffix(".holder")
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        try:
            who = holder.read_text(encoding="utf-8")
        except FileNotFoundError:  # just before it is written, or just after the run ended
            who = "another process"
        raise LockHeld(
            f"collection {collection!r} is being written by {who}; wait for it to end",
            collection=collection,
            holder=who,
        ) from error
    try:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        holder.write_text(f"`{command}` (process {os.getpid()}, since {now})", encoding="utf-8")
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()
