"""Files that can be made or sent again: kept while there is room, the least used go first."""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from pathlib import Path

import structlog

from encoders.serving.version_maker import PARTIAL_SUFFIX

USE_NOTED_SECONDS = 60.0
"""A file used again within this time needs no new note of when it was used."""

SWEEP_SHARE = 20
"""The folder is looked through when a twentieth of what it may hold has been added."""

SWEEP_SECONDS = 3600.0

MAX_PARTIAL_SECONDS = 2 * 3600.0
"""Half a file that nobody has touched for so long belongs to a process that is gone."""

log = structlog.get_logger("kindred.api")


class BlobCache:
    """A folder of files by name, bounded in size. Several processes may share it.

    When a file was last used is its modification time. Calls read and write files: not for the
    event loop's own thread.

    Args:
        folder: made when it is first needed; safe to delete.
        max_bytes: all files together, give or take what was added since the last sweep.
        max_age_seconds: files not used for so long are removed; ``None``: never for that reason.
    """

    def __init__(
        self, folder: Path, *, max_bytes: int, max_age_seconds: float | None = None
    ) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._max_age_seconds = max_age_seconds
        self._added_bytes = 0
        self._swept_at = -SWEEP_SECONDS

    def path(self, name: str) -> Path:
        """Return where the file called ``name`` lies, or would."""
        return self._folder / name[:2] / name

    def find(self, name: str) -> Path | None:
        """Return where a kept file lies and note that it is used; ``None`` if it is not kept."""
        path = self.path(name)
        try:
            idle_seconds = time.time() - path.stat().st_mtime
            if self._is_old(idle_seconds):
                return None
            if idle_seconds > USE_NOTED_SECONDS:
                os.utime(path)
        except OSError:
            return None
        return path

    def write(self, name: str, content: bytes) -> None:
        """Keep ``content``; a full disk is logged and costs only making it again."""
        path = self.path(name)
        partial = path.with_name(f"{name}.{uuid.uuid4().hex}{PARTIAL_SUFFIX}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Under another name first, so that no reader ever sees half a file.
            partial.write_bytes(content)
            partial.replace(path)
        except OSError as error:
            log.warning("cannot keep a file", folder=self._folder.name, error=str(error))
            with contextlib.suppress(OSError):
                partial.unlink()
            return
        self.added(len(content))

    def remove(self, name: str) -> None:
        """Keep the file called ``name`` no longer, if it is kept."""
        self.path(name).unlink(missing_ok=True)

    def added(self, num_bytes: int) -> None:
        """Note that somebody put a file here, and make room if it is time to."""
        self._added_bytes += num_bytes
        due = time.monotonic() - self._swept_at > SWEEP_SECONDS
        if due or self._added_bytes > self._max_bytes / SWEEP_SHARE:
            self.sweep()

    def sweep(self) -> None:
        """Remove what is too old, then what was not used for the longest time beyond the bound."""
        self._swept_at, self._added_bytes = time.monotonic(), 0
        now = time.time()
        kept: list[tuple[float, int, Path]] = []
        for path in self._folder.glob("*/*"):
            with contextlib.suppress(OSError):
                found = path.stat()
                idle_seconds = now - found.st_mtime
                if path.name.endswith(PARTIAL_SUFFIX):
                    if idle_seconds > MAX_PARTIAL_SECONDS:
                        path.unlink()
                elif self._is_old(idle_seconds):
                    path.unlink()
                else:
                    kept.append((found.st_mtime, found.st_size, path))
        num_bytes = sum(size for _, size, _ in kept)
        for _, size, path in sorted(kept):
            if num_bytes <= self._max_bytes:
                break
            with contextlib.suppress(OSError):
                path.unlink()
            num_bytes -= size

    def _is_old(self, idle_seconds: float) -> bool:
        return self._max_age_seconds is not None and idle_seconds > self._max_age_seconds
