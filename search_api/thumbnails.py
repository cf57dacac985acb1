"""Small pictures for display: made once per content, kept on disk."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from encoders.media.rejection import MediaRejected
from indexer.catalog.records import ItemRecord
from search_api.bounded_pool import BoundedPool
from search_api.errors import NoThumbnail

MAX_SIDE_PX = 320
MEDIA_TYPE = "image/webp"


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
            NoThumbnail: the item has no picture, or it can no longer be read.
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
        try:
            picture = await self._make(Path(item.location), MAX_SIDE_PX)
        except MediaRejected as error:
            raise NoThumbnail(
                f"the picture of item {item.item_id!r} cannot be read: {error.message}",
                item_id=item.item_id,
                reason=error.reason,
            ) from error
        await self._pool.run(lambda: _write(path, picture))
        return picture


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _write(path: Path, picture: bytes) -> None:
    """Write under another name first, so that no reader ever sees half a picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as partial:
        partial.write(picture)
    os.replace(partial.name, path)  # noqa: PTH105  (atomic, and it overwrites)
