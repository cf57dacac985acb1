"""Reading and keeping the files of models."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from pathlib import Path


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file as hex digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sync_path(path: Path) -> None:
    """Wait until a file's content, or a folder's entries, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def keep_if_possible(path: Path, content: bytes) -> None:
    """Write a file whole, or not at all where nothing can be written: it can be made again."""
    partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}.partial")
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            partial.write_bytes(content)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
