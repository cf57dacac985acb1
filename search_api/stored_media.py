"""The files behind items: opened only where the catalog says an item lies, and only unchanged."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import TypeAlias

from encoders.media.sniff import MEDIA_TYPES
from indexer.catalog.locations import UPLOADED
from indexer.catalog.records import ItemRecord
from search_api.byte_range import ByteRange
from search_api.errors import MediaGone

CHUNK_BYTES = 256 * 1024

TEXT_MEDIA_TYPE = "text/plain"
DEFAULT_MEDIA_TYPE = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class StoredMedia:
    """An open file that is sent to somebody."""

    file: FileIO
    """Open; closed by whoever has read it."""

    size_bytes: int
    media_type: str


def open_media(item: ItemRecord) -> StoredMedia:
    """Open the file of ``item``.

    Raises:
        MediaGone: it is not there, cannot be read, or is not the file that was taken in.
    """
    if not item.location:
        raise MediaGone(
            f"item {item.item_id!r} was stored as vectors and has no file", item_id=item.item_id
        )
    try:
        # O_NONBLOCK: a pipe that has taken the file's place must not hold the server up.
        descriptor = os.open(item.location, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise MediaGone(
            f"the file of item {item.item_id!r} cannot be opened: {error.strerror}",
            item_id=item.item_id,
        ) from error
    file = FileIO(descriptor)
    found = os.fstat(descriptor)
    # The name of an upload says what it holds; its time changes where a data folder is copied.
    is_other_time = item.source != UPLOADED and found.st_mtime_ns != item.mtime_ns
    if not stat.S_ISREG(found.st_mode) or found.st_size != item.size_bytes or is_other_time:
        file.close()
        raise MediaGone(
            f"the file of item {item.item_id!r} has changed since it was taken in; ingest it again",
            item_id=item.item_id,
        )
    return StoredMedia(
        file=file,
        size_bytes=found.st_size,
        media_type=media_type_of(item),
    )


def open_kept(path: Path, media_type: str) -> StoredMedia:
    """Open a file that this server made or received itself.

    Raises:
        MediaGone: it was removed to make room, this very moment.
    """
    try:
        file = FileIO(path)
    except OSError as error:
        raise MediaGone(f"a kept file is gone again: {error.strerror}; ask again") from error
    return StoredMedia(file=file, size_bytes=os.fstat(file.fileno()).st_size, media_type=media_type)


def require_unchanged(item: ItemRecord) -> int:
    """Raise `MediaGone` unless the file of ``item`` is the one that was taken in.

    Returns:
        Its modification time in nanoseconds.
    """
    with open_media(item).file as file:
        return os.fstat(file.fileno()).st_mtime_ns


IsStored: TypeAlias = Callable[[ItemRecord], bool]
"""Tells whether the catalog still has an item with this content."""


def require_stored(item: ItemRecord, is_stored: IsStored) -> None:
    """Raise `MediaGone` if ``item`` was removed, for instance while something was made of it."""
    if not is_stored(item):
        raise MediaGone(f"item {item.item_id!r} is not there any more", item_id=item.item_id)


def media_type_of(item: ItemRecord) -> str:
    """Return the media type to serve ``item`` as.

    Texts are always served as plain text: a stored HTML page shown by a browser would run its
    scripts with the rights of this server's own pages.
    """
    if item.medium == "text":
        return TEXT_MEDIA_TYPE
    return MEDIA_TYPES.get(item.format, DEFAULT_MEDIA_TYPE)


async def read_chunks(media: StoredMedia, wanted: ByteRange) -> AsyncIterator[bytes]:
    """Yield the wanted bytes and close the file.

    Not in the pool of searches: when its queue is full, a file that is half sent would break off.
    """
    try:
        position = wanted.start
        while position < wanted.stop:
            length = min(CHUNK_BYTES, wanted.stop - position)
            chunk = await asyncio.to_thread(os.pread, media.file.fileno(), length, position)
            if not chunk:
                raise ConnectionAbortedError("the file became shorter while it was sent")
            position += len(chunk)
            yield chunk
    finally:
        media.file.close()
