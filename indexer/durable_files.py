"""Files that are whole or absent after a crash, and that say so when they were changed."""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
from pathlib import Path

_digests: dict[tuple[str, int, int, int], str] = {}
_digests_lock = threading.Lock()


def sync_file(path: Path) -> None:
    """Wait until a file's content is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Wait until a folder's entries (new names, renames) are on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


SUFFIX_BYTES = 4


def remove_leftovers(path: Path) -> None:
    """Remove what runs of `replace_durably` left that were killed; the caller writes it alone."""
    for leftover in path.parent.glob(f".{path.name}-{'[0-9a-f]' * 2 * SUFFIX_BYTES}"):
        leftover.unlink()


def replace_durably(path: Path, content: bytes) -> None:
    """Give a file new content in one step: a reader sees the old or the new, never a part."""
    temporary = path.with_name(f".{path.name}-{secrets.token_hex(SUFFIX_BYTES)}")
    try:
        temporary.write_bytes(content)
        sync_file(temporary)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def file_sha256(path: Path) -> str:
    """Return a file's sha256 as hex digits, from memory while the file is the same.

    The same means: path, inode, size and modification time are what they were when it was read.
    """
    stat = path.stat()
    key = (str(path), stat.st_ino, stat.st_size, stat.st_mtime_ns)
    with _digests_lock:
        known = _digests.get(key)
    if known is not None:
        return known
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    with _digests_lock:
        _digests[key] = digest
    return digest
