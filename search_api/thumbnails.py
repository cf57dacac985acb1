"""Small pictures for display: made once per content and instant, kept on disk."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Protocol

from encoders.media.rejection import MediaRejected
from indexer.catalog.records import ItemRecord
from search_api.blob_cache import BlobCache
from search_api.bounded_pool import BoundedPool
from search_api.errors import MediaGone, NoThumbnail
from search_api.stored_media import IsStored, require_stored, require_unchanged

MAX_SIDE_PX = 320
MEDIA_TYPE = "image/webp"

MAX_CACHE_BYTES = 2_000_000_000
"""Some 200 000 pictures: a video has as many as people look at instants of it."""


class MakeThumbnail(Protocol):
    """Makes a small WebP."""

    async def __call__(
        self, path: Path, max_side_px: int, *, at_seconds: float | None = None
    ) -> bytes:
        """Return a WebP of a picture, or of the frame that a video shows at ``at_seconds``."""
        ...


class Thumbnails:
    """The thumbnail cache of a data folder.

    Args:
        folder: where they are kept; safe to delete.
        make: makes one.
        pool: for reading and writing files.
        is_stored: asked when one was made, so that none is kept of an item taken down meanwhile.
    """

    def __init__(
        self, folder: Path, make: MakeThumbnail, pool: BoundedPool, is_stored: IsStored
    ) -> None:
        self._cache = BlobCache(folder, max_bytes=MAX_CACHE_BYTES)
        self._make = make
        self._pool = pool
        self._is_stored = is_stored

    async def of(self, item: ItemRecord, *, at_seconds: float = 0.0) -> bytes:
        """Return a WebP of at most `MAX_SIDE_PX` on its longer side.

        Args:
            item: a picture or video.
            at_seconds: where in a video; see `rounded_instant`.

        Raises:
            NoThumbnail: the item has no picture.
            MediaGone: its file is no longer the one that was taken in, or the item was removed.
        """
        if item.medium not in ("image", "video"):
            raise NoThumbnail(
                f"item {item.item_id!r} is {item.medium} and has no picture", item_id=item.item_id
            )
        instant = at_seconds if item.medium == "video" else None
        name = f"{item.content_sha256}-{MAX_SIDE_PX}"
        name += ".webp" if instant is None else f"@{instant:.1f}.webp"
        cached = await self._pool.run(lambda: self._read(name))
        if cached is not None:
            return cached
        await self._pool.run(lambda: require_unchanged(item))
        try:
            picture = await self._make(Path(item.location), MAX_SIDE_PX, at_seconds=instant)
        except MediaRejected as error:
            raise NoThumbnail(
                f"the picture of item {item.item_id!r} cannot be read: {error.message}",
                item_id=item.item_id,
                reason=error.reason,
            ) from error
        # It is kept under the content's digest, so it must not show what came after.
        await self._pool.run(lambda: require_unchanged(item))
        await self._pool.run(lambda: self._keep(item, name, picture))
        return picture

    def _keep(self, item: ItemRecord, name: str, picture: bytes) -> None:
        self._cache.write(name, picture)
        # Only after it was written: a takedown that comes later erases it itself.
        try:
            require_stored(item, self._is_stored)
        except MediaGone:
            self._cache.remove(name)
            raise

    def _read(self, name: str) -> bytes | None:
        path = self._cache.find(name)
        try:
            return None if path is None else path.read_bytes()
        except OSError:
            return None  # made anew, like one that was never kept


def rounded_instant(at_seconds: float, item: ItemRecord) -> float:
    """Return ``at_seconds`` inside the item, in tenths of a second: few enough to keep each."""
    end_seconds = item.duration_seconds or 0.0
    return math.floor(10 * min(max(0.0, at_seconds), end_seconds)) / 10
