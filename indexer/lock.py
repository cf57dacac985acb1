"""One writer at a time for a collection, and a number that tells a later writer from an earlier.

A lock alone is not enough: a process that stands still cannot notice that its lock was taken away,
by someone who removed the lock file or by a network file system, and goes on as if it had it. So
whoever gets the lock also gets the next fencing token, and only the newest may publish. The tokens
count writers and not seconds: no clock can be wrong about them. (Martin Kleppmann, *How to do
distributed locking*, 2016.)
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import msgspec
from filelock import FileLock, Timeout

from encoders.errors import KindredError
from indexer.data_dir import DataDir
from indexer.durable_files import remove_half_written, replace_durably
from indexer.errors import LockHeld, WriterLeaseLost


class LeaseDamaged(KindredError):
    """The file that counts writers does not hold a count."""

    code = "lease_damaged"


class Lease(msgspec.Struct, frozen=True):
    """The right to publish, until the next lease is given out."""

    collection: str

    token: int
    """Larger than that of every lease given out before for the collection; 0 was never given."""

    holder: str
    """What runs, in which process, since when."""


@contextmanager
def writer_lock(data_dir: DataDir, collection: str, command: str) -> Iterator[Lease]:
    """Hold the writer lock of a collection and its newest lease, or refuse at once.

    The kernel lets go of the lock when the process ends, however it ends, so a killed run leaves
    nothing behind that has to be cleaned up by hand.

    Args:
        data_dir: where the lock file lies.
        collection: whose lock.
        command: what is running, told to whoever finds the lock taken.

    Raises:
        LockHeld: another process has it; the message says which.
        LeaseDamaged: the file that counts writers does not hold a count.
    """
    path = data_dir.writer_lock(collection)
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        # Nothing given out yet: it has the lock since a moment ago.
        who = newest_lease(data_dir, collection).holder or "another process"
        raise LockHeld(
            f"collection {collection!r} is being written by {who}; wait for it to end. If it hangs "
            f"where it cannot be ended, remove {path}: it publishes nothing any more then",
            collection=collection,
            holder=who,
        ) from error
    try:
        yield take_lease(data_dir, collection, command)
    finally:
        lock.release()


def take_lease(data_dir: DataDir, collection: str, command: str) -> Lease:
    """Give out the next lease of a collection; the one before is worth nothing from now on."""
    path = data_dir.lease(collection)
    path.parent.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    # Under the lock under which the live snapshot changes: nobody is in the middle of that.
    with FileLock(data_dir.publish_lock(collection)):
        token = newest_lease(data_dir, collection).token + 1
        lease = Lease(collection, token, f"`{command}` (process {os.getpid()}, since {now})")
        remove_half_written(path)
        replace_durably(path, msgspec.json.encode(lease))
    return lease


def newest_lease(data_dir: DataDir, collection: str) -> Lease:
    """Return the lease that was given out last; its token is 0 before the first.

    Raises:
        LeaseDamaged: the file does not hold a lease.
    """
    path = data_dir.lease(collection)
    try:
        return msgspec.json.decode(path.read_bytes(), type=Lease)
    except FileNotFoundError:
        return Lease(collection, 0, "")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise LeaseDamaged(
            f"{path}: not a lease: {error}; remove it when nothing writes the collection",
            file=str(path),
        ) from error


def require_newest(data_dir: DataDir, lease: Lease) -> None:
    """Refuse to go on for a writer that lost its lock.

    Raises:
        WriterLeaseLost: a later lease was given out; the message says to whom.
    """
    newest = newest_lease(data_dir, lease.collection)
    if newest.token != lease.token:
        raise WriterLeaseLost(
            f"collection {lease.collection!r}: {lease.holder} has lost its lock and publishes "
            f"nothing: its fencing token is {lease.token}, the newest is {newest.token}, given to "
            f"{newest.holder or 'nobody: the file that counts them was removed'}",
            collection=lease.collection,
            token=lease.token,
            newest=newest.token,
            holder=newest.holder,
        )
