"""Files that are whole or absent after a crash, and that say so when they were changed."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_digests: dict[tuple[str, int, int, int], str] = {}
_digests_lock = threading.Lock()


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let what the system refuses in the block say which file it was.

    Opening a file fails with its name; writing, syncing and closing one fail without.
    """
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise


def read_file(path: Path, max_bytes: int) -> bytes:
    """Return the content of a regular file.

    Raises:
        OSError: naming the file; so too when it is a pipe, which might never end, or a link, or has
            more than ``max_bytes``.
    """
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not a file", str(path))
    if status.st_size > max_bytes:
        raise OSError(errno.EFBIG, f"larger than {max_bytes} bytes", str(path))
    with naming(path):
        return path.read_bytes()


def write_file(path: Path, content: bytes) -> None:
    """Write a whole file; whoever calls makes it durable.

    Raises:
        OSError: naming the file.
    """
    with naming(path):
        path.write_bytes(content)


def write_array(path: Path, array: NDArray[np.generic]) -> None:
    """Write an array as a ``.npy`` file; whoever calls makes it durable.

    Unlike `numpy.save`, which hands the file to the C library and does not ask it whether the last
    few KB could be written: a file that a full disk cut short looked complete.

    Raises:
        OSError: naming the file.
    """
    with naming(path), path.open("wb") as file:
        array = np.ascontiguousarray(array)
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
        file.write(array.data)


def sync_file(path: Path) -> None:
    """Wait until a file's content is on the disk."""
    _sync(path, os.O_RDONLY)


def sync_folder(path: Path) -> None:
    """Wait until a folder's entries (new names, renames) are on the disk."""
    _sync(path, os.O_RDONLY | os.O_DIRECTORY)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        with naming(path):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_durably(path: Path, content: bytes) -> None:
    """Give a file new content in one step: a reader sees the old or the new, never a part."""
    temporary = path.with_name(f"{_temporary_prefix(path)}{secrets.token_hex(4)}")
    try:
        write_file(temporary, content)
        sync_file(temporary)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def remove_half_written(path: Path) -> None:
    """Remove what killed calls of `replace_durably` left; nobody else may be replacing the file."""
    for leftover in path.parent.glob(f"{_temporary_prefix(path)}*"):
        leftover.unlink()


def _temporary_prefix(path: Path) -> str:
    return f".{path.name}-"


def file_sha256(path: Path) -> str:
    """Return a file's sha256 as hex digits, from memory while the file is the same.

    The same means: path, inode, size and modification time are what they were when it was read.
    """
    status = path.stat()
    key = (str(path), status.st_ino, status.st_size, status.st_mtime_ns)
    with _digests_lock:
        known = _digests.get(key)
    if known is not None:
        return known
    with naming(path), path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    with _digests_lock:
        _digests[key] = digest
    return digest
