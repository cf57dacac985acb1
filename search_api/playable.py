"""What browsers can play of an item: its own file, or a version made once and kept."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from encoders.media.sniff import MEDIA_TYPES
from encoders.media.transcoder import ALGORITHM_VERSION
from encoders.media.version_plan import PLAYED_AS_THEY_ARE, VERSION_FORMATS
from encoders.serving.version_maker import ORIGINAL, VersionRequest, version_path
from indexer.catalog.records import ItemRecord
from search_api.blob_cache import BlobCache
from search_api.bounded_pool import BoundedPool
from search_api.errors import MediaGone, NotPlayable
from search_api.stored_media import (
    IsStored,
    StoredMedia,
    open_kept,
    open_media,
    require_stored,
    require_unchanged,
)

MAX_CACHE_BYTES = 20_000_000_000
"""Some 40 hours of video at the usual rates."""


class Playables:
    """The versions of a data folder that browsers play.

    Args:
        folder: where they are kept; safe to delete.
        make: has one made; see `VersionMaker.version`.
        pool: for reading files.
        is_stored: asked when one was made, so that none is kept of an item taken down meanwhile.
    """

    def __init__(
        self,
        folder: Path,
        make: Callable[[VersionRequest], Awaitable[str]],
        pool: BoundedPool,
        is_stored: IsStored,
    ) -> None:
        self._cache = BlobCache(folder, max_bytes=MAX_CACHE_BYTES)
        self._make = make
        self._pool = pool
        self._is_stored = is_stored

    async def of(self, item: ItemRecord) -> StoredMedia:
        """Open what browsers play of an item.

        Raises:
            NotPlayable: the item is a text.
            MediaGone: its file is no longer the one that was taken in, or the item was removed.
            BeingPrepared: a version is being made; ask again.
            MediaRejected: none can be made.
        """
        if item.medium == "text":
            raise NotPlayable(f"item {item.item_id!r} is text, which nothing plays")
        if item.format in PLAYED_AS_THEY_ARE:
            return await self._pool.run(lambda: open_media(item))
        media = await self._pool.run(lambda: self._kept(item))
        if media is not None:
            return media
        mtime_ns = await self._pool.run(lambda: require_unchanged(item))
        request = VersionRequest(
            path=Path(item.location),
            size_bytes=item.size_bytes,
            mtime_ns=mtime_ns,
            target=self._cache.path(version_name(item)),
        )
        suffix = await self._make(request)
        return await self._pool.run(lambda: self._made(item, version_path(request.target, suffix)))

    def _kept(self, item: ItemRecord) -> StoredMedia | None:
        for suffix in (ORIGINAL, *VERSION_FORMATS):
            path = self._cache.find(f"{version_name(item)}.{suffix}")
            if path is not None:
                return _opened(item, path)
        return None

    def _made(self, item: ItemRecord, path: Path) -> StoredMedia:
        try:
            require_stored(item, self._is_stored)
        except MediaGone:
            path.unlink(missing_ok=True)
            raise
        media = _opened(item, path)
        self._cache.added(media.size_bytes)
        return media


def version_name(item: ItemRecord) -> str:
    """Return what the version of an item is called, without its suffix."""
    return f"{item.content_sha256}-v{ALGORITHM_VERSION}"


def _opened(item: ItemRecord, path: Path) -> StoredMedia:
    suffix = path.suffix.removeprefix(".")
    if suffix == ORIGINAL:
        return open_media(item)
    return open_kept(path, MEDIA_TYPES[suffix])
