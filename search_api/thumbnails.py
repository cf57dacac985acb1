"""Small pictures for display: made once per content, kept on disk."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog

from encoders.media.rejection import MediaRejected
from indexer.catalog.records import ItemRecord
from search_api.bounded_pool import BoundedPool
from search_api.errors import NoThumbnail
from search_api.stored_media import require_unchanged

MAX_SIDE_PX = 320
MEDIA_TYPE = "image/webp"

log = structlog.get_logger("kindred.api")


class Thumbnails:
    """The thumbnail cache of a data folder.

    Args:
        folder: where they are kept; safe to delete.
        make: makes one: path of a picture and longer side in, WebP out.
        pool: for reading and writing files.
    """

    def __init__(
        self, folder: Path, make: Callable[[Path, int], Awaitable[bytes]], pool: BoundedPool
    ) -> None:
        self._folder = folder
        self._make = make
        self._pool = pool

    async def of(self, item: ItemRecord) -> bytes:
        """Return a WebP of at most `MAX_SIDE_PX` on its longer side.

        Raises:
            NoThumbnail: the item has no picture.
            MediaGone: its file is no longer the one that was taken in.
        """
        if item.medium != "image":
            raise NoThumbnail(
                f"item {item.item_id!r} is {item.medium} and has no picture", item_id=item.item_id
            )
        sha256 = item.content_sha256
        path = self._folder / sha256[:2] / f"{sha256}-{MAX_SIDE_PX}.webp"
        cached = await self._pool.run(lambda: _read(path))
        if cached is not None:
            return cached
        await self._pool.run(lambda: require_unchanged(item))
        try:
            picture = await self._make(Path(item.location), MAX_SIDE_PX)
        except MediaRejected as error:
            raise NoThumbnail(
                f"the picture of item {item.item_id!r} cannot be read: {error.message}",
                item_id=item.item_id,
                reason=error.reason,
            ) from error
        # It is kept under the content's digest, so it must not show what came after.
        await self._pool.run(lambda: require_unchanged(item))
        await self._pool.run(lambda: _write(path, picture))
        return picture


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None  # made anew, like one that was never kept


def _write(path: Path, picture: bytes) -> None:
    """Write under another name first, so that no reader ever sees half a picture."""
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(picture)
        partial.replace(path)
    except OSError as error:
        # A full disk costs the next request the time to make it again, and this one nothing.
        log.warning("cannot keep a thumbnail", error=str(error))
        with contextlib.suppress(OSError):
            partial.unlink()
