"""Uploaded originals, kept by the sha256 of their content.

```
blobs/<2 digits>/<sha256>    whole and on the disk before the catalog says that an item has it
     /in/                    being received
```

Whoever adds a blob holds the store's lock together with others who add; a sweep holds it alone. So
a blob that is found again just before it would be swept is young when the sweep looks at it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import secrets
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from indexer.durable_files import sync_file, sync_folder, write_file

INCOMING = "in"
_NAME = re.compile(r"[0-9a-f]{64}")
GRACE_SECONDS = 24 * 3600.0
"""How long a blob that no item has is kept: the write it belongs to may still be under way."""


def is_blob_name(name: str) -> bool:
    """Tell whether a file is called by the digest of its content, which says nothing to people."""
    return _NAME.fullmatch(name) is not None


@dataclass(frozen=True, slots=True)
class Blob:
    """A stored original."""

    path: Path
    sha256: str
    size_bytes: int
    mtime_ns: int


class BlobStore:
    """The originals of a data folder; safe to use from several threads and processes.

    Args:
        root: `DataDir.blobs`; made with the first blob.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def incoming(self) -> Path:
        """Where files are received that `add` is given later: on the same file system."""
        return self.root / INCOMING

    def path(self, sha256: str) -> Path:
        """Return where the blob of a content lies, whether it is there or not."""
        return self.root / sha256[:2] / sha256

    def add_text(self, text: str) -> Blob:
        """Store a text as UTF-8."""
        self.incoming.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self.incoming / f"text-{secrets.token_hex(8)}"
        try:
            write_file(path, text.encode())
            return self.add(path)
        finally:
            path.unlink(missing_ok=True)

    def add(self, path: Path) -> Blob:
        """Take a file of the folder `incoming` into the store.

        When this returns the content is on the disk, under a name that is on the disk.
        """
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        sync_file(path)
        target = self.path(sha256)
        is_new_folder = not target.parent.is_dir()
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._lock(fcntl.LOCK_SH):
            if target.is_file() and target.stat().st_size == path.stat().st_size:
                # A new time of change, by which sweeps go; items remember the modification time.
                stat = target.stat()
                os.utime(target, ns=(stat.st_atime_ns, stat.st_mtime_ns))
            else:
                path.replace(target)
            stat = target.stat()
        sync_folder(target.parent)
        if is_new_folder:
            sync_folder(self.root)
        return Blob(target, sha256, stat.st_size, stat.st_mtime_ns)

    def sweep(self, in_use: Collection[str], grace_seconds: float = GRACE_SECONDS) -> int:
        """Remove blobs that nothing refers to and return how many.

        Args:
            in_use: sha256 of what items have and jobs wait for, read before this call.
            grace_seconds: blobs added later than this long ago stay.
        """
        removed = 0
        before = time.time() - grace_seconds
        for folder in self._folders():
            with self._lock(fcntl.LOCK_EX):
                for path in list(folder.iterdir()):
                    if path.name not in in_use and path.stat().st_ctime < before:
                        path.unlink()
                        removed += 1
        return removed

    def remove(self, contents: Collection[str]) -> int:
        """Remove the blobs of some contents, however young, and return how many there were."""
        removed = 0
        if not self.root.is_dir():
            return 0
        with self._lock(fcntl.LOCK_EX):
            for path in [self.path(sha256) for sha256 in contents]:
                if path.exists():
                    path.unlink()
                    removed += 1
        return removed

    def _folders(self) -> list[Path]:
        if not self.root.is_dir():
            return []
        return sorted(path for path in self.root.iterdir() if path.is_dir())

    @contextmanager
    def _lock(self, kind: int) -> Iterator[None]:
        descriptor = os.open(self.root / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, kind)
            yield
        finally:
            os.close(descriptor)
